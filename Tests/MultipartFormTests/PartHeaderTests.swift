import MultipartForm
import Testing

@Suite struct PartHeaderTests {
    @Test(
        "file names as clients write them",
        arguments: [
            (#"filename="a.txt""#, "a.txt"), ("filename=a.txt", "a.txt"), (#"filename="""#, ""),
            (#"filename="C:\Users\me\a.txt""#, #"C:\Users\me\a.txt"#), (#"filename="a\"b.txt""#, #"a"b.txt"#),
            (#"filename="a\\b.txt""#, #"a\b.txt"#), (#"filename="a"b.txt""#, #"a"b.txt"#),
            (#"filename="a%22b%0D%0A%41.txt""#, "a\"b\r\n%41.txt"), (#"filename="a;b.txt" ; x=y"#, "a;b.txt"),
            (#"filename*=UTF-8''na%C3%AFve.txt"#, "naïve.txt"), (#"filename*=iso-8859-1'en'na%EFve.txt"#, "naïve.txt"),
            (#"filename="old.txt"; filename*=UTF-8''new.txt"#, "old.txt"), (#"FILENAME="a.txt""#, "a.txt"),
            (#"filename="日本.txt""#, "日本.txt"), (#"filename="unclosed"#, "unclosed"), ("filename = a.txt ", "a.txt"),
        ]
    )
    func fileNames(parameter: String, expected: String) throws {
        let header = try header("Content-Disposition: form-data; name=\"f\"; " + parameter)
        #expect(header.name == "f")
        #expect(header.fileName == expected)
    }

    @Test("a name that is not UTF-8 is Latin-1")
    func latin1() throws {
        let block = Array(#"content-disposition: form-data; name=f; filename=""#.utf8) + [0x66, 0xFC, 0x72, 0x22]
        #expect(try PartHeader(block).fileName == "für")
    }

    @Test("header names are case-insensitive, others are ignored, and one with a space is none")
    func names() throws {
        let header = try header(
            "X-Other: name=x",
            "CONTENT-disposition:form-data;name=f",
            "content-TYPE:  image/png ",
            "Content-Length: 99",
            "Content- Disposition: form-data; name=wrong",
            " folded=1"
        )
        #expect(header.name == "f")
        #expect(header.contentType == "image/png")
    }

    @Test(
        "a file is one however its Content-Disposition is written",
        arguments: [
            #"Content-Disposition: name="f"; filename="a.txt""#, #"Content-Disposition: filename="a.txt"; name="f""#,
            #"Content-Disposition : form-data; name="f"; filename="a.txt""#,
            "Content-Disposition\t:attachment;filename=a.txt;name=f", #"Content-Disposition:;name=f;filename=a.txt"#,
            #"Content-Disposition: attachments; NAME = "f" ; FileName = "a.txt";"#,
        ]
    )
    func dispositions(line: String) throws {
        let header = try header(line)
        #expect(header.name == "f")
        #expect(header.fileName == "a.txt")
    }

    @Test(
        "a line that is no header field refuses the form",
        arguments: [
            "Content-Disposition form-data", "--b", "--x: y", ": x", " folded: without a line before", "N\u{0}: x",
            "X: bare\nContent-Type: image/png", "X: bare\rline", "Ü: x",
        ]
    )
    func malformed(line: String) throws {
        #expect(throws: MultipartError.headerMalformed(line)) {
            try header(line, "Content-Disposition: form-data; name=f")
        }
    }

    @Test("a header field that stands twice counts if both are the same, else the form is refused")
    func repeated() throws {
        let line = "Content-Disposition: form-data; name=f; filename=a"
        #expect(try header(line, line).fileName == "a")
        for other in [line + "b", "content-disposition: form-data; name=f"] {
            #expect(throws: MultipartError.headerRepeated("content-disposition")) { try header(line, other) }
        }
        #expect(throws: MultipartError.headerRepeated("content-type")) {
            try header(line, "Content-Type: image/png", "Content-Type: text/plain")
        }
        #expect(throws: MultipartError.headerRepeated("content-transfer-encoding")) {
            try header(line, "Content-Transfer-Encoding: base64", "Content-Transfer-Encoding: binary")
        }
    }

    @Test("a parameter that stands twice counts if both are the same, else the form is refused")
    func repeatedParameter() throws {
        #expect(try header(#"Content-Disposition: form-data; name=f; filename="a"; filename=a"#).fileName == "a")
        for name in ["name", "filename", "filename*", "range"] {
            #expect(throws: MultipartError.parameterRepeated(name)) {
                try header("Content-Disposition: form-data; \(name)=a; \(name)=b")
            }
        }
    }

    @Test(
        "a backslash before the quote that closes a value is no escape",
        arguments: [
            (#"filename="C:\Windows\""#, #"C:\Windows\"#, nil),
            (#"filename="C:\"; range="0-199/500""#, #"C:\"#, "0-199/500"),
            (#"filename="C:\" ; range=0-199/500"#, #"C:\"#, "0-199/500"),
            (#"filename="\\host\dir\"; range="0-199/500"; x="y""#, #"\host\dir\"#, "0-199/500"),
            (#"filename="a\\"; range="0-199/500""#, #"a\"#, "0-199/500"),
            (#"filename="a\"; b=\"c.txt"; range=0-199/500"#, #"a"; b="c.txt"#, "0-199/500"),
            (#"filename="a\";b\".txt"; range=0-199/500"#, #"a";b".txt"#, "0-199/500"),
        ] as [(String, String, String?)]
    )
    func backslashes(parameters: String, fileName: String, range: String?) throws {
        for line in ["name=f; " + parameters, parameters + "; name=f", parameters + #"; name="f""#] {
            let header = try header("Content-Disposition: form-data; " + line)
            #expect(header.name == "f")
            #expect(header.fileName == fileName)
            #expect(header.range == range)
        }
    }

    @Test(
        "quotes that are not closed before the next parameter refuse the form: nothing may be swallowed",
        arguments: [
            #"name=f; filename="abc; range="0-199/500""#, #"name="f; filename=a.txt"#,
            #"name=f; filename="abc; range=0-199/500"#, #"filename="a; name = "f""#,
        ]
    )
    func unclosed(parameters: String) throws {
        #expect(throws: MultipartError.self) { try header("Content-Disposition: form-data; " + parameters) }
    }

    @Test("16 KiB of quotes and backslashes are read in linear time", .timeLimit(.minutes(5)))
    func longParameters() throws {
        for unit in ["\\\";", "\" ", "\"", "a=\"", "=?", "=?a?q?", "x=1;", "filename*0=x;", "\\", "\\\";a=\""] {
            let value = String(repeating: unit, count: 16_000 / unit.utf8.count)
            for _ in 0..<20 { _ = try? header("Content-Disposition: form-data; name=\"" + value) }
            for _ in 0..<20 { _ = try? header("Content-Disposition: form-data; name=f; " + value) }
        }
    }

    @Test("the chunk of another library is told by its Content-Range")
    func contentRange() throws {
        let header = try header("Content-Disposition: form-data; name=f", "Content-Range: bytes 0-199/500")
        #expect(header.contentRange == "bytes 0-199/500")
    }

    @Test("a folded line continues the one before")
    func folded() throws {
        let header = try header("Content-Disposition: form-data;", "\tname=f; range=\"0-4/10\"")
        #expect(header.name == "f")
        #expect(header.range == "0-4/10")
    }

    @Test("a part without a name has none, whatever its disposition")
    func nameless() throws {
        #expect(try header("Content-Disposition: attachment").name == nil)
        #expect(try header("Content-Type: text/plain").name == nil)
    }

    @Test(
        "a part is a file if it has a range, a file name in any form, or a media type that no field has",
        arguments: [
            ("name=f", nil, false), ("name=f", "image/png", true), ("name=f", "application/octet-stream", true),
            ("name=f; filename=\"\"", nil, true), ("name=f; filename", nil, true),
            ("name=f; filename=x", "text/plain", true), ("name=f; filename=x", "application/json", true),
            ("name=f; filename*0=x", nil, true), ("name=f; filename*=x-unknown''x", nil, true),
            ("name=f; filename*1=x", nil, true), ("name=f; range=0-1/1", nil, true),
            ("name=scalar", "application/octet-stream", false), ("name=\"\u{212A}\"", "image/png", true),
            ("name=scalar; filename=x", nil, true), ("name=f", "text/plain; charset=utf-8", false),
            ("name=f", "text/html", false), ("name=f", "TEXT/csv", false), ("name=f", "application/json", false),
            ("name=f", "application/vnd.api+JSON; x=y", false), ("name=f", "application/xml", false),
            ("name=f", "application/x-www-form-urlencoded", false), ("name=f", "multipart/form-data", false),
            ("name=f", "multipart/related; boundary=x", false), ("name=f", "", false),
            ("name=f", "text/plain\"", false),
            ("name=f", "image", false), ("name=f", "image/", false), ("name=f", "/png", false),
            ("name=f", "image/png/x", false), ("name=f", "application/json5", true),
            ("name=f", "application/xml-dtd", true), ("name=f", "application/atom+xml", true),
        ]
    )
    func isFile(parameters: String, type: String?, expected: Bool) throws {
        let block = "Content-Disposition: form-data; \(parameters)" + (type.map { "\r\nContent-Type: \($0)" } ?? "")
        #expect(try PartHeader(Array(block.utf8)).isFile(scalarFields: ["scalar", "K"]) == expected)
    }

    @Test(
        "a file part without a name that can be read refuses the form, a field is let pass",
        arguments: [
            ("Content-Disposition: form-data; filename=x", true), ("Content-Type: image/png", true),
            ("Content-Disposition: form-data; name*=x-unknown''f; filename=x", true),
            ("Content-Disposition: form-data; range=0-1/1", true), ("Content-Disposition: form-data", false),
            ("Content-Type: text/plain", false), ("Content-Disposition: form-data; name*=utf-8''%FF", false),
        ]
    )
    func unnamed(line: String, isRefused: Bool) throws {
        if isRefused {
            #expect(throws: MultipartError.fileWithoutName) { try header(line) }
        } else {
            #expect(try header(line).name == nil)
        }
    }

    @Test(
        "the boundary of a Content-Type",
        arguments: [
            ("multipart/form-data; boundary=abc", "abc"), ("multipart/form-data; charset=x; BOUNDARY=\"a b\"", "a b"),
            ("multipart/form-data;boundary= abc ;x=y", "abc"),
        ]
    )
    func boundary(contentType: String, expected: String) throws {
        #expect(try Boundary(contentType: contentType).bytes == Array(expected.utf8))
    }

    @Test("a boundary that is missing, empty or too long is refused by name")
    func boundaryErrors() throws {
        for type in ["multipart/form-data", "multipart/form-data; boundary=", "multipart/form-data; boundary=\"\""] {
            #expect(throws: MultipartError.boundaryMissing) { try Boundary(contentType: type) }
        }
        #expect(throws: MultipartError.boundaryMissing) { try Boundary(bytes: [97, 13]) }
        #expect(throws: MultipartError.boundaryTooLong(max: 200)) {
            try Boundary(bytes: [UInt8](repeating: 97, count: 201))
        }
    }
}

@Suite struct ValueTests {
    @Test(
        "ranges by the grammar of docs/dialects/dcloud.md 1.4.2",
        arguments: [
            ("0-4/10", 0, 4, 10), ("bytes 0-4/10", 0, 4, 10), ("Bytes 0 - 4 / 10", 0, 4, 10), (" 0-0/0 ", 0, 0, 0),
            ("9223372036854775807-9223372036854775807/9223372036854775807", Int64.max, .max, .max),
            ("007-8/9", 7, 8, 9),
        ] as [(String, Int64, Int64, Int64)]
    )
    func ranges(text: String, start: Int64, end: Int64, total: Int64) throws {
        let range = try RangeParameter(parsing: text)
        #expect([range.start, range.end, range.total] == [start, end, total])
    }

    @Test(
        "texts that are no ranges, by name",
        arguments: [
            ("", .syntax), ("0-4", .syntax), ("0-4/", .syntax), ("-4/10", .syntax), ("0-/10", .syntax),
            ("0-4/10x", .syntax), ("+0-4/10", .syntax), ("0--4/10", .syntax), ("0-4/*", .syntax),
            ("bytes=0-4/10", .syntax),
            ("0x0-4/10", .syntax), ("1.0-4/10", .syntax), ("5-4/10", .startAfterEnd), ("0-11/10", .endAfterTotal),
            ("0-4/9223372036854775808", .overflow), ("99999999999999999999-4/10", .overflow),
        ] as [(String, RangeParameter.Failure)]
    )
    func wrongRanges(text: String, failure: RangeParameter.Failure) {
        #expect(throws: failure) { try RangeParameter(parsing: text) }
    }

    @Test(
        "integer fields by docs/dialects/README.md 0.5",
        arguments: [
            ("0", 0), (" 42 ", 42), ("\"1937\"", 1937), ("9223372036854775807", .max), ("9223372036854775808", nil),
            ("", nil), ("-1", nil), ("+1", nil), ("1.0", nil), ("1e3", nil), ("\"", nil), ("\"\"1\"\"", nil),
            ("٣", nil),
        ] as [(String, Int64?)]
    )
    func integers(text: String, expected: Int64?) {
        #expect(IntegerField.parse(text) == expected)
    }

    @Test(
        "file names made safe by docs/dialects/README.md 0.4",
        arguments: [
            ("a.txt", "a.txt"), ("../../etc/passwd", "passwd"), (#"C:\fakepath\x.jpg"#, "x.jpg"), ("a/b\\c", "c"),
            ("", nil), (".", nil), ("a/..", nil), ("dir/", nil), ("a\u{0}b", nil), ("a\r\nb", nil), ("a\u{85}b", nil),
            (".htaccess", ".htaccess"), ("  x  ", "  x  "), ("日本.txt", "日本.txt"),
        ] as [(String, String?)]
    )
    func fileNames(original: String, expected: String?) {
        #expect(FileName.sanitized(original) == expected)
    }

    @Test("a generated name keeps the extension of one that cannot be used, if it is of letters and digits")
    func keptExtension() {
        let suffix = { (name: String) in String(FileName.generated(like: name).dropFirst("upload-".count + 16)) }
        #expect(suffix("a\u{1}b.pdf") == ".pdf")
        #expect(suffix("../\u{7F}.tar.GZ") == ".GZ")
        for name in [".", "..", "a.", "a.b/", "a.p\u{1}df", "a.\u{E9}", "a." + String(repeating: "x", count: 17)] {
            #expect(suffix(name) == "", "\(name)")
        }
    }

    @Test("generated names are safe and differ")
    func generated() {
        let names = (0..<100).map { _ in FileName.generated(like: "") }
        #expect(Set(names).count == 100)
        #expect(names.allSatisfy { FileName.sanitized($0) == $0 })
    }

    @Test("urlencoded fields keep both spellings")
    func urlEncoded() throws {
        let fields = try FormURLEncoded.parse(Array("a=1+2%2B&&b&%62=%zz%f&c=%FC&d=x=y".utf8))
        #expect(fields.map(\.name) == ["a", "b", "b", "c", "d"])
        #expect(fields.map(\.value) == ["1 2+", "", "%zz%f", "ü", "x=y"])
        #expect(fields[0].rawValue == Array("1+2%2B".utf8))
    }

    @Test("urlencoded limits are refused by name")
    func urlEncodedLimits() throws {
        #expect(throws: MultipartError.tooManyParts(max: 1_000)) {
            try FormURLEncoded.parse(Array(String(repeating: "a&", count: 1_001).utf8))
        }
        #expect(throws: MultipartError.fieldTooLarge(max: 65_536)) {
            try FormURLEncoded.parse(Array(("a=" + String(repeating: "x", count: 65_537)).utf8))
        }
        #expect(throws: MultipartError.fieldsTooLarge(max: 1 << 20)) {
            try FormURLEncoded.parse([UInt8](repeating: 97, count: 1 << 20 + 1))
        }
    }
}
