import MultipartForm
import Testing

/// multipart/mixed parts, as curl sends them for `-F 'file=@a.txt,b.txt'`.
@Suite struct MixedTests {
    private static func mixed(
        _ inner: String,
        type: String = "multipart/mixed; boundary=y",
        lines: String = ""
    ) -> [UInt8] {
        Array(
            """
            --b\r\nContent-Disposition: form-data; name="file"\r\nContent-Type: \(type)\r\n\(lines)\r\n\(inner)\r
            --b\r\nContent-Disposition: form-data; name="last"\r\n\r\nz\r\n--b--
            """.utf8
        )
    }

    private static func inner(_ lines: String, _ body: String) -> String {
        "--y\r\n\(lines)\r\n\(body)\r\n"
    }

    private static let last: [Recorder.Event] = [.part(name: "last", fileName: nil), .bytes([122]), .end]

    private static func file(_ name: String?, _ text: String) -> [Recorder.Event] {
        [.part(name: "file", fileName: name)] + (text.isEmpty ? [] : [.bytes(Array(text.utf8))]) + [.end]
    }

    @Test("the parts of a mixed part are files of its name, in order, wherever the form is cut")
    func files() throws {
        let form = Self.mixed(
            "preamble\r\n"
                + Self.inner(
                    "Content-Disposition: attachment; filename=\"a.txt\"\r\nContent-Type: text/plain\r\n",
                    "first\r\n--x"
                )
                + Self.inner("Content-Disposition: form-data; name=\"other\"; filename=\"b.txt\"\r\n", "")
                + "--y\r\nContent-Disposition: attachment; filename=\"c.txt\"\r\n\r\n"
                + Self.inner("Content-Type: text/plain\r\n", "--by")
                + Self.inner("Content-Disposition: file; filename=e\r\nContent-Transfer-Encoding: base64\r\n", "QUI=")
                + "--y--\r\nepilogue"
        )
        let events =
            Self.file("a.txt", "first\r\n--x") + Self.file("b.txt", "") + Self.file("c.txt", "")
            + Self.file(nil, "--by") + Self.file("e", "AB") + Self.last
        for cut in 0...form.count {
            let recorder = try parse([Array(form[..<cut]), Array(form[cut...])])
            #expect(recorder.events == events, "cut at \(cut)")
            #expect(recorder.headers.dropLast().allSatisfy { $0.isFile(scalarFields: ["file"]) })
            #expect(recorder.offsets.dropLast().allSatisfy { $0 == nil })
        }
        #expect(try parse(form.map { [$0] }).events == events, "byte by byte")
    }

    @Test("a mixed part that ends early, has no part, or no boundary refuses the form")
    func malformed() throws {
        for inner in ["", "--y", "--y\r\nContent-Type: a/b\r\n\r\nx", "--z--", "--y\r\n\r\nx\r\n--y-"] {
            #expect(throws: MultipartError.self, "\(inner)") { try parse([Self.mixed(inner)]) }
        }
        for type in ["multipart/mixed", "multipart/mixed; boundary=", "MULTIPART/Mixed; boundary=\"\""] {
            #expect(throws: MultipartError.mixedMalformed(field: "file", reason: "\(MultipartError.boundaryMissing)")) {
                try parse([Self.mixed("--y--", type: type)])
            }
        }
    }

    @Test("a mixed part with a transfer encoding of its own refuses the form")
    func encoded() throws {
        let lines = "Content-Transfer-Encoding: base64\r\n"
        #expect(throws: MultipartError.self) { try parse([Self.mixed("LS15LS0=", lines: lines)]) }
        let harmless = "Content-Transfer-Encoding: 8bit\r\n"
        #expect(try parse([Self.mixed("--y--", lines: harmless)]).events == Self.last)
    }

    @Test("parts of parts of parts refuse the form, unless they are files")
    func deeper() throws {
        for type in ["multipart/mixed; boundary=z", "multipart/related", "Multipart/Form-Data; boundary=z"] {
            let inner = Self.inner("Content-Type: \(type)\r\n", "--z--") + "--y--"
            #expect(throws: MultipartError.nestedTooDeep(field: "file")) { try parse([Self.mixed(inner)]) }
            let file =
                Self.inner("Content-Disposition: file; filename=m\r\nContent-Type: \(type)\r\n", "--z--") + "--y--"
            #expect(try parse([Self.mixed(file)]).events == Self.file("m", "--z--") + Self.last)
        }
    }

    @Test("a mixed part without a name refuses the form")
    func nameless() throws {
        let form = "--b\r\nContent-Type: multipart/mixed; boundary=y\r\n\r\n--y--\r\n--b--"
        #expect(throws: MultipartError.fileWithoutName) { try parse([Array(form.utf8)]) }
    }

    @Test("a file of a multipart type is not taken apart, nor is a field of another one")
    func others() throws {
        let file =
            "--b\r\nContent-Disposition: form-data; name=f; filename=m\r\nContent-Type: multipart/mixed; boundary=y"
        let field = "--b\r\nContent-Disposition: form-data; name=f\r\nContent-Type: multipart/form-data; boundary=y"
        for head in [file, field] {
            let recorder = try parse([Array((head + "\r\n\r\n--y--\r\n--b--").utf8)])
            #expect(recorder.events.contains(.bytes(Array("--y--".utf8))))
            #expect(recorder.headers[0].isFile(scalarFields: []) == (head == file))
        }
    }

    @Test("parts in parts count")
    func limit() throws {
        var limits = MultipartLimits()
        limits.partsMax = 4
        let inner = { (count: Int) in String(repeating: Self.inner("", ""), count: count) + "--y--" }
        #expect(try parse([Self.mixed(inner(2))], limits: limits).headers.count == 3)
        #expect(throws: MultipartError.tooManyParts(max: 4)) { try parse([Self.mixed(inner(3))], limits: limits) }
    }
}
