import HTTPTypes
import MultipartForm
import Testing
import Uploads

@testable import Dialects

@Suite struct JSONTests {
    @Test("members keep their order, and text is escaped")
    func encoding() {
        let json = JSON.object([
            ("b", .array([.integer(-1), .boolean(true), .boolean(false)])), ("a", .string("\"\\\n\u{7F}ü<&>")),
            ("", .object([])),
        ])
        #expect(
            String(decoding: json.encoded(asHTML: true), as: UTF8.self)
                == #"{"b":[-1,true,false],"a":"\"\\\u000a\u007fü\u003c\u0026\u003e","":{}}"#
        )
    }
}

@Suite struct CanonicalBoundaryTests {
    @Test(
        "a boundary in a query is the same in each spelling of docs/dialects/dcloud.md 1.3",
        arguments: [
            ("abc", "abc"), ("Boundary+0A+0B", "Boundary+0A+0B"), ("Boundary%2B0A%2B0B", "Boundary+0A+0B"),
            (" a b ", "a+b"), ("%20a%20b%20", "a+b"), ("a%zz%4", "a%zz%4"), ("", nil), ("%20", nil), ("%FF", nil),
            (String(repeating: "b", count: 200), String(repeating: "b", count: 200)),
            (String(repeating: "b", count: 201), nil),
        ] as [(String, String?)]
    )
    func fieldValue(raw: String, expected: String?) {
        #expect(CanonicalBoundary(fieldValue: Array(raw.utf8))?.text == expected)
    }

    @Test("a boundary in a Content-Type is not percent-decoded")
    func parameter() {
        #expect(CanonicalBoundary(parameter: Array("a b%2B".utf8))?.text == "a+b%2B")
    }
}

@Suite struct DCloudExchangeTests {
    private let mount = Mount(name: "m", principal: "ann", root: "/r")
    private let key = SessionKey(mount: "m", root: "/r", principal: "ann", id: "b")

    private func exchange(
        _ contentType: String? = "multipart/form-data; boundary=b",
        method: HTTPRequest.Method = .post,
        mount: Mount? = nil
    ) -> any Exchange {
        var request = HTTPRequest(method: method, scheme: "http", authority: nil, path: "/")
        request.headerFields[.contentType] = contentType
        let head = RequestHead(request, pathInfo: "", query: "", contentLength: nil)
        return Dialect.dcloud.exchange(for: head, on: mount ?? self.mount, in: surroundings)
    }

    private func header(_ parameters: String) -> PartHeader {
        do { return try PartHeader(Array("Content-Disposition: form-data; \(parameters)".utf8)) } catch {
            preconditionFailure("the header of a test is well-formed: \(error)")
        }
    }

    private func text(_ answer: Answer) -> String { String(decoding: answer.body, as: UTF8.self) }

    private func progress(_ prefix: Int64) -> FileProgress {
        let spec = FileSpec(field: "f", fileName: "a", mediaType: "t", target: .test("a"), total: 10)
        return FileProgress(spec: spec, prefix: prefix)
    }

    @Test("a segment goes to its session, of mount, principal and boundary")
    func destination() throws {
        var exchange = exchange()
        guard
            case .file(.segment(let key, let spec, let range)) = exchange.partBegins(
                header("name=f; filename=a; range=0-4/10"),
                sizeHint: nil
            )
        else {
            Issue.record("a segment is a file")
            return
        }
        #expect(key == self.key)
        #expect(spec.total == 10)
        #expect(range == ByteRange(offset: 0, end: 4))
    }

    @Test("a segment that leaves the file incomplete needs no command")
    func segment() throws {
        var exchange = exchange()
        _ = exchange.partBegins(header("name=f; filename=a; range=0-4/10"), sizeHint: nil)
        exchange.fileEnded(.success(.committed(progress(4), isWhole: false)))
        let (commands, answer) = drive(exchange.bodyEnded(.whole))
        #expect(commands == [])
        #expect(
            try text(#require(answer))
                == #"{"result":"OK","code":0,"message":"Success","file":[{"name":"f","range":"0-4","size":10,"complete":false}]}"#
        )
    }

    @Test("fields are stored before the file is published, also when the body was cut off behind it")
    func order() {
        for ending in [BodyEnding.whole, .cutOff] {
            var exchange = exchange()
            _ = exchange.partBegins(header("name=f; filename=a; range=4-10/10"), sizeHint: nil)
            exchange.fileEnded(.success(.committed(progress(10), isWhole: true)))
            #expect(exchange.partBegins(header("name=uid"), sizeHint: nil) == .field)
            let field = FormField(name: "uid", value: "1")
            exchange.fieldEnded(field, raw: [0x31])
            let results = [Result<Outcome, UploadError>](repeating: .success(.done), count: 3)
            let commands = drive(exchange.bodyEnded(ending), results).commands
            let form = FormFiles(stored: [FileKey(key, field: "f")], held: [], fields: [field])
            #expect(commands == [.store([field], key), .describe(key), .publishForm(form)])
        }
    }

    @Test("plain files of a form that failed are not published")
    func failedForm() {
        var exchange = exchange()
        _ = exchange.partBegins(header("name=f; filename=a"), sizeHint: nil)
        exchange.fileEnded(.success(.held(HeldFile(index: 0), count: 3, digest: nil)))
        let (commands, answer) = drive(exchange.bodyEnded(.malformed(.truncated)))
        #expect(commands == [])
        #expect(answer?.status == .unprocessableContent)
    }

    @Test(
        "each failure of the engine has its code and status",
        arguments: [
            (.tooLarge(maxBytes: 1), 4001, 413), (.lengthMismatch(declared: 2, received: 1), 4003, 422),
            (.longerThanDeclared(declared: 1), 4003, 422), (.fileChanged, 4003, 409), (.superseded, 4003, 409),
            (.tooManyRanges(max: 1), 4003, 409), (.namesExhausted(max: 1), 4008, 403),
            (.stagingUnavailable(StorageFailure(operation: "o", reason: "secret")), 4006, 503),
            (.noSpace(StorageFailure(operation: "o", reason: "secret")), 4007, 507),
            (.storage(StorageFailure(operation: "o", reason: "secret")), 4007, 500),
        ] as [(UploadError, Int, Int)]
    )
    func failures(error: UploadError, code: Int, status: Int) throws {
        var exchange = exchange()
        _ = exchange.partBegins(header("name=f; filename=a; range=0-4/10"), sizeHint: nil)
        exchange.fileEnded(.failure(error))
        let answer = try #require(drive(exchange.bodyEnded(.whole), [.success(.outlined(nil))]).answer)
        #expect(answer.status.code == status)
        #expect(text(answer).hasPrefix(#"{"result":"ERROR","code":\#(code),"message":""#))
        #expect(!text(answer).contains("secret"), "what the system said is for the log")
    }

    @Test("a query that the ledger can not answer is 503")
    func failedQuery() throws {
        var exchange = exchange("application/x-www-form-urlencoded")
        for (name, value) in [("server", "uploader"), ("action", "query"), ("boundary", "b")] {
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
        let failure = UploadError.storage(StorageFailure(operation: "o", reason: "r"))
        let (commands, last) = drive(exchange.bodyEnded(.whole), [.failure(failure)])
        #expect(commands == [.outline(key)])
        let answer = try #require(last)
        #expect(answer.status == .serviceUnavailable)
        #expect(text(answer).hasPrefix(#"{"result":"ERROR","code":4007,"#))
    }
}
