import Testing
import Uploads

@testable import Dialects

@Suite struct JSONReaderTests {
    private func read(_ text: String, _ syntax: JSONReader.Syntax = .strict) throws -> JSON {
        try JSONReader.read(Array(text.utf8), syntax)
    }

    @Test("strict JSON is read in either way")
    func strict() throws {
        let text =
            #" {"a":[1,-2,0,1.5e+3,true,false,null],"b":{"c":"\"\\\/\b\f\n\r\té\u00e9\ud83d\ude00"},"a":"last"} "#
        for syntax in [JSONReader.Syntax.strict, .relaxed] {
            let json = try read(text, syntax)
            #expect(json["a"] == .string("last"), "of members with one name the last wins")
            #expect(json["b"]?["c"] == .string("\"\\/\u{8}\u{C}\n\r\téé😀"))
            guard case .object(let members) = json else {
                Issue.record("an object")
                return
            }
            #expect(
                members[0].1
                    == .array([
                        .integer(1), .integer(-2), .integer(0), .number("1.5e+3"), .boolean(true), .boolean(false),
                        .null,
                    ])
            )
        }
    }

    @Test(
        "the relaxed literal accepts what the documents show, and strict JSON does not",
        arguments: [
            "{1: 'md51', 2: 'md52'}", "{ a1_$ : \"x\", }", "{'1':'x'}", "{1:'a',\n\t2:'b',}", "['a',]", "{0:'it\\'s'}",
        ]
    )
    func relaxed(text: String) throws {
        _ = try read(text, .relaxed)
        #expect(throws: JSONReader.Failure.self) { try read(text) }
    }

    @Test(
        "nothing else is read",
        arguments: [
            "", " ", "{", "[1", "{\"a\"}", "{\"a\":}", "{a:b}", "{1:'a' 2:'b'}", "[1,,2]", "{,}", "// c\n{}", "{}x",
            "01",
            "1.", "+1", "-", "\"\n\"", "\"\\x\"", "\"\\u12\"", "\"\\ud800\"", "\"\\ud800\\u0041\"", "\"a", "'a\"",
            "tru",
            "{1.5:'a'}", "{a-b:'c'}", "[1 + 1]", "{\"a\":undefined}", "nul", "\u{FEFF}{}", "\"\\u+123\"",
        ]
    )
    func refused(text: String) {
        #expect(throws: JSONReader.Failure.self) { try read(text, .relaxed) }
        #expect(throws: JSONReader.Failure.self) { try read(text) }
    }

    @Test("a byte order mark is refused in words")
    func byteOrderMark() throws {
        #expect(throws: JSONReader.Failure.byteOrderMark) { try read("\u{FEFF}{}") }
        #expect("\(JSONReader.Failure.byteOrderMark)".contains("byte order mark"))
    }

    @Test("a number that is not written in digits alone is no natural number")
    func decimals() throws {
        for text in ["1.0", "1e0", "-1", "true", "\"1.0\""] { #expect(try read(text).natural == nil, "\(text)") }
        #expect(try read("1").natural == 1)
        #expect(try read("\"1\"").natural == 1)
    }

    @Test("metadata of many members is read in linear time, and the last of one name counts", .timeLimit(.minutes(5)))
    func metadata() throws {
        let members = (0..<50_000).map { ("k\($0)", JSON.integer(Int64($0))) } + [("k0", .boolean(true))]
        guard case .object(let last) = try CallArguments(.object(members)).metadata() else {
            Issue.record("metadata is an object")
            return
        }
        #expect(last.count == 50_000)
        #expect(last.first?.1 == .boolean(true))
    }

    @Test("sixteen levels are read, seventeen are not, and a thousand cost nothing")
    func depth() throws {
        let nested = { (depth: Int) in String(repeating: "[", count: depth) + String(repeating: "]", count: depth) }
        _ = try read(nested(JSONReader.nestingMax))
        _ = try read(String(repeating: "[", count: 16) + "1" + String(repeating: "]", count: 16))
        for depth in [17, 1000, 100_000] {
            #expect(throws: JSONReader.Failure.tooDeep) { try read(nested(depth)) }
        }
    }

    @Test("bytes that are not UTF-8 are no text")
    func encoding() {
        #expect(throws: JSONReader.Failure.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
    }

    @Test("numbers may come as text (docs/dialects/README.md 0.3)")
    func naturals() throws {
        #expect(try read("\"12\"").natural == 12)
        #expect(try read("12").natural == 12)
        for text in ["-1", "1.0", "\"1.0\"", "true", "null", "[1]", "99999999999999999999", "\"-1\""] {
            #expect(try read(text).natural == nil)
        }
    }
}
