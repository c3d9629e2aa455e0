import MultipartForm
import Testing

@Suite struct TransferEncodingTests {
    /// A form with one part.
    private static func form(_ encoding: String, _ body: [UInt8], name: String = "f") -> [UInt8] {
        let head =
            "--b\r\nContent-Disposition: form-data; name=\(name)\r\nContent-Transfer-Encoding: \(encoding)\r\n\r\n"
        return Array(head.utf8) + body + Array("\r\n--b--".utf8)
    }

    private static func bytes(_ recorder: Recorder) -> [UInt8] {
        recorder.events.reduce(into: []) { if case .bytes(let more) = $1 { $0 += more } }
    }

    /// What is decoded, the same however the form is cut in two.
    private func decode(_ encoding: String, _ body: [UInt8]) throws -> [UInt8] {
        let form = Self.form(encoding, body)
        let whole = try parse([form])
        for cut in 0...form.count {
            #expect(try parse([Array(form[..<cut]), Array(form[cut...])]).events == whole.events, "cut at \(cut)")
        }
        #expect(try parse(form.map { [$0] }).events == whole.events, "byte by byte")
        return Self.bytes(whole)
    }

    private func isRefused(_ encoding: String, _ body: String) throws -> Bool {
        let form = Self.form(encoding, Array(body.utf8))
        var refusals: [Bool] = []
        for cut in 0...form.count {
            do {
                _ = try parse([Array(form[..<cut]), Array(form[cut...])])
                refusals.append(false)
            } catch let error as MultipartError {
                guard case .encodingBroken("f", _, _) = error else { throw error }
                refusals.append(true)
            }
        }
        #expect(refusals.allSatisfy { $0 == refusals[0] }, "the same wherever the form is cut")
        return refusals[0]
    }

    @Test(
        "base64 is undone, however its lines are broken",
        arguments: [
            ("", ""), ("QQ==", "A"), ("QUI=", "AB"), ("QUJD", "ABC"), ("QUJDRA==", "ABCD"), ("QUJD\r\n", "ABC"),
            ("QU\r\nJD\r\nRA\r\n==\r\n", "ABCD"), ("Q\nU\nJ\nD", "ABC"), (" Q\tU I = ", "AB"), ("QQ=\r\n=", "A"),
            ("+/+/", "\u{FB}\u{FF}\u{BF}"), ("LS1iLS0NCi0tYg==", "--b--\r\n--b"),
        ]
    )
    func base64(body: String, expected: String) throws {
        let bytes = expected.unicodeScalars.map { UInt8($0.value) }
        #expect(try decode("base64", Array(body.utf8)) == bytes)
    }

    @Test(
        "what is not base64 is refused: nothing is guessed",
        arguments: [
            "Q", "QQ", "QUI", "QQ=", "QQ===", "=", "Q===", "QUJD=", "QUJDQ", "QQ==QQ==", "QQ==A", "QUI=\r\nQUI=",
            "QU-D",
            "QU_D", "QUJ\u{0}D", "not base64!", "QUJD\u{B}",
        ]
    )
    func brokenBase64(body: String) throws {
        #expect(try isRefused("base64", body))
    }

    @Test(
        "quoted-printable is undone",
        arguments: [
            ("", ""), ("abc", "abc"), ("a=3Db", "a=b"), ("a=3db", "a=b"), ("=C3=A4", "\u{C3}\u{A4}"), ("a=\r\nb", "ab"),
            ("a= \t\r\nb", "ab"), ("a=\nb", "ab"), ("a\r\nb\nc\rd", "a\r\nb\nc\rd"), ("a  \r\nb\t\nc ", "a\r\nb\nc"),
            ("a \rb \r", "a \rb \r"), ("a =20", "a  "), ("a=20\r\n", "a \r\n"), (" a", " a"), ("=\r\n=\r\n", ""),
            ("--b=\r\n--", "--b--"), ("\u{E4}", "\u{C3}\u{A4}"), ("=0D=0A--b", "\r\n--b"),
        ]
    )
    func quotedPrintable(body: String, expected: String) throws {
        let bytes = expected.unicodeScalars.map { UInt8($0.value) }
        #expect(try decode("quoted-printable", Array(body.utf8)) == bytes)
    }

    @Test(
        "what is not quoted-printable is refused",
        arguments: ["=", "=4", "=4\r\n", "=G0", "=0G", "a=b", "==41", "= x", "=\rx", "=\t", "=\r"]
    )
    func brokenQuotedPrintable(body: String) throws {
        #expect(try isRefused("quoted-printable", body))
    }

    @Test("blanks are held in constant memory: more than a line can have are refused")
    func blanks() throws {
        let blanks = [UInt8](repeating: 0x20, count: 1_000)
        #expect(try Self.bytes(parse([Self.form("quoted-printable", blanks + [97])])) == blanks + [97])
        #expect(throws: MultipartError.encodingBroken(field: "f", encoding: .quotedPrintable, .blanks(max: 1_000))) {
            try parse([Self.form("quoted-printable", blanks + [0x20])])
        }
    }

    @Test("a megabyte is decoded in small pieces")
    func long() throws {
        let text = [UInt8](repeating: UInt8(ascii: "Q"), count: 1 << 20)
        var consumer = Pieces()
        var parser = MultipartParser(boundary: try Boundary(bytes: [98]))
        try parser.parse(Self.form("base64", text).span, &consumer)
        try parser.finish()
        #expect(consumer.count == 3 << 18)
        #expect(consumer.largest <= 4 << 10)
    }

    private struct Pieces: PartConsumer {
        var count = 0
        var largest = 0

        mutating func partBegins(_ header: PartHeader, at offset: Int64?) {}
        mutating func partBytes(_ bytes: Span<UInt8>) {
            count += bytes.count
            largest = max(largest, bytes.count)
        }
        mutating func partEnds() {}
    }

    @Test(
        "encodings that change nothing are let pass",
        arguments: ["7bit", "8bit", "8BIT", "binary", "", " Binary ", "\"binary\"", "binary (as it is)"]
    )
    func identity(encoding: String) throws {
        let recorder = try parse([Self.form(encoding, Array("QQ== =41".utf8))])
        #expect(Self.bytes(recorder) == Array("QQ== =41".utf8))
        #expect(recorder.offsets != [nil])
    }

    @Test(
        "an encoding is known in any case, in quotes and with comments",
        arguments: ["base64", "BASE64", "Base64", "\"base64\"", "base64 (RFC 2045 (MIME))", "(x) base64"]
    )
    func spellings(encoding: String) throws {
        let recorder = try parse([Self.form(encoding, Array("QQ==".utf8))])
        #expect(Self.bytes(recorder) == [65])
        #expect(recorder.offsets == [nil], "its place says nothing of its size")
    }

    @Test(
        "an encoding that is not known refuses the form, and is named",
        arguments: ["gzip", "x-uuencode", "base64; x=y", "base 64", "base64, base64", "base64 (open", "uuencode"]
    )
    func unknown(encoding: String) throws {
        let error = MultipartError.encodingUnknown(field: "f", encoding: encoding)
        #expect(throws: error) { try parse([Self.form(encoding, [])]) }
        #expect("\(error)".contains("\"f\"") && "\(error)".contains(encoding))
    }

    @Test("an error names the field and what is wrong, without control characters")
    func description() throws {
        let error = MultipartError.encodingBroken(field: "a\u{1B}b", encoding: .base64, .truncated)
        #expect("\(error)" == "the part \"a?b\" is not valid base64: it ends too early")
    }
}
