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
        return ShippedDialect.dcloud.exchange(for: head, on: mount ?? self.mount, in: surroundings)
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

    @Test("the answer has all values of a repeated field, and no key twice")
    func repeatedFields() throws {
        var exchange = exchange()
        _ = exchange.partBegins(header("name=f; filename=a"), sizeHint: nil)
        exchange.fileEnded(.success(.held(HeldFile(index: 0), count: 3, digest: nil)))
        for (name, value) in [("t[]", "a"), ("uid", "1"), ("t[]", "b"), ("e\u{301}", "2"), ("\u{E9}", "3")] {
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
        let spec = FileSpec(field: "f", fileName: "a", mediaType: "t", target: .test("a"), total: 3)
        let outcome = Outcome.publishedForm([PublishedFile(spec: spec, path: "a")], failure: nil)
        let (commands, answer) = drive(exchange.bodyEnded(.whole), [.success(outcome)])
        guard case .publishForm(let form) = commands.last else {
            Issue.record("the file is published")
            return
        }
        #expect(form.fields.map(\.value) == ["a", "1", "b", "2", "3"])
        let strings = #""strings":{"t[]":["a","b"],"uid":"1","e\#u{301}":"2","\#u{E9}":"3"}"#
        #expect(try Array(#require(answer).body).contains(Array(strings.utf8)))
    }

    @Test("a cancellation that cancels nothing says so: without a boundary, of an unknown upload, of a finished one")
    func cancellation() throws {
        var mount = mount
        mount.allowsCancel = true
        let cancel = { (boundary: String?, results: [Result<Outcome, UploadError>]) in
            var exchange = exchange("application/x-www-form-urlencoded", mount: mount)
            for (name, value) in [("server", "uploader"), ("action", "cancel"), ("boundary", boundary ?? "")]
            where name != "boundary" || boundary != nil {
                exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
            }
            return drive(exchange.bodyEnded(.whole), results)
        }
        let missing = cancel(nil, [])
        #expect(missing.commands == [] && missing.answer?.status == .unprocessableContent)
        #expect(try text(#require(missing.answer)).contains(#""code":4004"#))
        let unknown = cancel("b", [.success(.outlined(nil))])
        #expect(unknown.commands == [.outline(key)] && unknown.answer?.status == .conflict)
        let spec = progress(10).spec
        let finished = FileProgress(spec: spec, prefix: 10, state: .published(path: "a"))
        let complete = cancel("b", [.success(.outlined(SessionOutline(files: [finished], fieldNames: [])))])
        #expect(complete.commands == [.outline(key)] && complete.answer?.status == .conflict)
        let open = cancel(
            "b",
            [.success(.outlined(SessionOutline(files: [progress(4)], fieldNames: []))), .success(.done)]
        )
        #expect(open.commands == [.outline(key), .remove(key)] && open.answer?.status == .ok)
    }

    @Test("an encoded body is refused in each dialect, which names the encoding; identity is none")
    func contentEncoding() throws {
        let encoding = { (value: String) in
            var request = HTTPRequest(method: .post, scheme: "http", authority: nil, path: "/")
            request.headerFields[.contentEncoding] = value
            return RequestHead(request, pathInfo: "", query: "", contentLength: nil).contentEncoding
        }
        #expect(encoding("gzip") == "gzip" && encoding("br, identity") == "br, identity")
        #expect(encoding("identity") == nil && encoding(" Identity ") == nil && encoding("") == nil)
        for dialect in ShippedDialect.allCases {
            let answer = dialect.dialect.answer(to: .contentCoding("gzip"), on: mount)
            #expect(answer.status == .unsupportedMediaType, "\(dialect)")
            #expect(text(answer).contains("Content-Encoding gzip"), "\(dialect)")
            #expect(dialect.dialect.answer(to: .otherSite, on: mount).status == .forbidden, "\(dialect)")
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
