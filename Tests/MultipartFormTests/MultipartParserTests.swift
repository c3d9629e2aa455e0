import MultipartForm
import Testing

@Suite struct MultipartParserTests {
    private static let disposition = "Content-Disposition: form-data; name=f\r\n\r\n"

    private static func body(_ data: String, end: String = "\r\n--b--\r\n") -> [UInt8] {
        Array(("--b\r\n" + disposition + data + end).utf8)
    }

    private func data(_ blocks: [[UInt8]]) throws -> String {
        var text = ""
        for case .bytes(let bytes) in try parse(blocks).events { text += String(decoding: bytes, as: UTF8.self) }
        return text
    }

    /// Bodies that come close to a delimiter in every way.
    static let hostile: [String] = [
        "", "x", "\r", "\r\n", "\r\n-", "\r\n--", "\r\n--a", "\r\n--bb", "\r\n--b-", "\r\n--b-x", "\r\n--b x",
        "\r\n--b \t \rx", "\r\n--b\rx", "\r\n--b\nx", "\n--b--\n", "x--b--", "--bx", "--b x", "--b\rx", "--b-",
        "-", "--", "--\r\n--", "-\r\n--", "--b\r\r\n", "\r\r\n--", "\r\n\r\n--\r\n--c",
        "\r\n--b\r\r\n--c", "\r\n--b \r\r\n-", String(repeating: "\r", count: 40), String(repeating: "-", count: 40),
        String(repeating: "\r\n--", count: 10), String(repeating: "\r\n--bx", count: 10),
        "\r\n--b" + String(repeating: " ", count: 257) + "\r\n",
    ]

    @Test("data that looks like a delimiter is data, wherever the body is cut in two", arguments: hostile)
    func everyCut(text: String) throws {
        let whole = Self.body(text)
        let expected = try parse([whole]).events
        #expect(try data([whole]) == text)
        for cut in 0...whole.count {
            #expect(try parse([Array(whole[..<cut]), Array(whole[cut...])]).events == expected, "cut at \(cut)")
        }
        #expect(try parse(whole.map { [$0] }).events == expected, "byte by byte")
    }

    @Test("random bodies read the same however they are cut", arguments: 0..<50)
    func random(seed: UInt64) throws {
        var generator = SplitMix(state: seed)
        let alphabet: [UInt8] = [13, 10, 45, 98, 32, 97]
        var whole: [UInt8] = []
        var texts: [[UInt8]] = []
        for _ in 0..<3 {
            let text = (0..<Int.random(in: 0...200, using: &generator)).map { _ in
                alphabet.randomElement(using: &generator)!
            }
            // A delimiter line in the data would be one.
            let safe = Array(String(decoding: text, as: UTF8.self).replacing("--b", with: "--c").utf8)
            texts.append(safe)
            whole += "--b\r\n\(Self.disposition)".utf8
            whole += safe + [13, 10]
        }
        whole += "--b--".utf8
        var events: [Recorder.Event] = []
        for text in texts {
            events += [.part(name: "f", fileName: nil)] + (text.isEmpty ? [] : [.bytes(text)]) + [.end]
        }
        var blocks: [[UInt8]] = []
        var rest = whole[...]
        while !rest.isEmpty {
            let count = Int.random(in: 1...20, using: &generator)
            blocks.append(Array(rest.prefix(count)))
            rest = rest.dropFirst(count)
        }
        #expect(try parse(blocks).events == events, "seed \(seed)")
    }

    @Test(
        "boundaries of 1 to 200 bytes, of any characters",
        arguments: ["b", "-", "----", "a b", "'()+_,-./:=?", "aaaaaaaa"]
    )
    func boundaries(boundary: String) throws {
        for boundary in [boundary, String(repeating: boundary, count: 200 / boundary.utf8.count)] {
            let near = "\r\n--" + boundary.dropLast() + "\u{1}\r\n--" + boundary.dropLast()
            let text = "--\(boundary)\r\n\(Self.disposition)\(near)\r\n--\(boundary)--"
            let events = try parse([Array(text.utf8)], boundary: boundary).events
            #expect(events == [.part(name: "f", fileName: nil), .bytes(Array(near.utf8)), .end])
        }
    }

    @Test(
        "preamble, epilogue, padding behind a boundary and a missing last line end are tolerated",
        arguments: ["", "preamble\r\n", "--bx\r\n", "\r\n"],
        ["", "\r\n", " \t\r\nepilogue", "--b\r\n"]
    )
    func tolerated(preamble: String, epilogue: String) throws {
        let text = preamble + "--b \t\r\n\(Self.disposition)x\r\n--b--\(epilogue)"
        #expect(try data([Array(text.utf8)]) == "x")
    }

    @Test("lines that end in LF alone are no delimiters")
    func bareLF() throws {
        #expect(throws: MultipartError.noDelimiter) { try parse([Array("--b\nContent-Disposition: form-data".utf8)]) }
        #expect(throws: MultipartError.truncated) { try parse([Self.body("x", end: "\n--b--\n")]) }
    }

    @Test("a part without headers has no name; its bytes are handed on to be dropped")
    func noHeaders() throws {
        let events = try parse([Array("--b\r\n\r\nx\r\n--b--".utf8)]).events
        #expect(events == [.part(name: nil, fileName: nil), .bytes([120]), .end])
    }

    /// Parts of which some have neither body nor line end of their own, and what is in them.
    private static let bodiless: [(form: String, events: [Recorder.Event])] = {
        let header = { (name: String) in "--b\r\nContent-Disposition: form-data; name=\(name)\r\n\r\n" }
        let file = "--b\r\nContent-Disposition: form-data; name=\"f\"; filename=\"empty.txt\"\r\n\r\n"
        let none: (String?, String?) -> [Recorder.Event] = { [.part(name: $0, fileName: $1), .end] }
        let last: [Recorder.Event] = [.part(name: "t", fileName: nil), .bytes(Array("last".utf8)), .end]
        return [
            (file + header("s") + header("t") + "last\r\n--b--", none("f", "empty.txt") + none("s", nil) + last),
            (file + "--b--\r\n", none("f", "empty.txt")),
            (header("t") + "last\r\n" + file + "--b--", last + none("f", "empty.txt")),
            ("--b\r\n\r\n--b\r\n\r\n" + header("s") + "--b--", none(nil, nil) + none(nil, nil) + none("s", nil)),
            (
                file + "--b \t\r\nContent-Disposition: form-data; name=s\r\n\r\n--b--",
                none("f", "empty.txt") + none("s", nil)
            ),
            (file + "\r\n--b--", none("f", "empty.txt")),
            (file + "\r\n\r\n--b--", [.part(name: "f", fileName: "empty.txt"), .bytes([13, 10]), .end]),
        ]
    }()

    @Test("a part without a body does not swallow the next one, wherever the form is cut", arguments: bodiless.indices)
    func partsWithoutBody(index: Int) throws {
        let (form, events) = Self.bodiless[index]
        let whole = Array(form.utf8)
        for cut in 0...whole.count {
            #expect(try parse([Array(whole[..<cut]), Array(whole[cut...])]).events == events, "cut at \(cut)")
        }
        #expect(try parse(whole.map { [$0] }).events == events, "byte by byte")
    }

    @Test("a header that a delimiter line breaks off refuses the form")
    func brokenHeader() throws {
        let form = "--b\r\nContent-Disposition: form-data; name=f; filename=x\r\n--b\r\n\(Self.disposition)x\r\n--b--"
        #expect(throws: MultipartError.headerMalformed("--b")) { try parse([Array(form.utf8)]) }
    }

    @Test("a body that ends early is truncated, and has given all that is certain to be data")
    func truncated() throws {
        var parser = MultipartParser(boundary: try Boundary(bytes: [98]))
        var recorder = Recorder()
        let body = Self.body("0123\r\n--", end: "")
        try parser.parse(body.span, &recorder)
        #expect(recorder.events.last == .bytes(Array("0123".utf8)))
        #expect(throws: MultipartError.truncated) { try parser.finish() }
        #expect(throws: MultipartError.noDelimiter) { try parse([[]]) }
        #expect(throws: MultipartError.noDelimiter) { try parse([Array("no form at all".utf8)]) }
    }

    @Test("a part more than the limit is refused by name")
    func tooManyParts() throws {
        let body = { (count: Int) in
            Array(String(repeating: "--b\r\n\(Self.disposition)\r\n", count: count).utf8) + Array("--b--".utf8)
        }
        #expect(try parse([body(1_000)]).headers.count == 1_000)
        #expect(throws: MultipartError.tooManyParts(max: 1_000)) { try parse([body(1_001)]) }
    }

    @Test("a part header of a byte more than the limit is refused by name")
    func partHeaderTooLarge() throws {
        let limits = MultipartLimits()
        let body = { (count: Int) in
            let line = "Content-Disposition: form-data; name=f\r\nX: "
            return Array((("--b\r\n" + line) + String(repeating: "x", count: count - line.utf8.count)).utf8)
                + Array("\r\n\r\n\r\n--b--".utf8)
        }
        #expect(try parse([body(limits.partHeaderBytesMax)]).headers[0].name == "f")
        #expect(throws: MultipartError.partHeaderTooLarge(max: 16384)) {
            try parse([body(limits.partHeaderBytesMax + 1)])
        }
        #expect(throws: MultipartError.partHeaderTooLarge(max: 16384)) {
            try parse([Array("--b\r\n".utf8) + [UInt8](repeating: 120, count: 100_000)])
        }
    }

    @Test("fields of a byte more than a limit are refused by name")
    func fieldLimits() throws {
        var collector = FieldCollector(limits: MultipartLimits())
        collector.begin("f")
        try collector.append([UInt8](repeating: 97, count: 65_536).span)
        #expect(collector.value.text.utf8.count == 65_536)
        #expect(throws: MultipartError.fieldTooLarge(max: 65_536)) { try collector.append([97].span) }
        for _ in 0..<15 {
            collector.begin("f")
            try collector.append([UInt8](repeating: 97, count: 65_536).span)
        }
        collector.begin("f")
        #expect(throws: MultipartError.fieldsTooLarge(max: 1 << 20)) { try collector.append([97].span) }
    }

    @Test("a field that may be longer than others is")
    func longField() throws {
        var limits = MultipartLimits()
        limits.longFields["list"] = 70_000
        let bytes = [UInt8](repeating: 97, count: 70_000)
        var collector = FieldCollector(limits: limits)
        collector.begin("list")
        try collector.append(bytes.span)
        #expect(throws: MultipartError.fieldTooLarge(max: 70_000)) { try collector.append([97].span) }
        collector.begin("other")
        #expect(throws: MultipartError.fieldTooLarge(max: 65_536)) { try collector.append(bytes.span) }
        #expect(try FormURLEncoded.parse(Array("list=".utf8) + bytes, limits: limits)[0].rawValue == bytes)
        #expect(throws: MultipartError.fieldTooLarge(max: 65_536)) {
            try FormURLEncoded.parse(Array("other=".utf8) + bytes, limits: limits)
        }
    }
}

/// A generator whose numbers follow from its seed (SplitMix64).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
