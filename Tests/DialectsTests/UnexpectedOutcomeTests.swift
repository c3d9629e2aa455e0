import Digests
import HTTPTypes
import MultipartForm
import Testing
import Uploads

@testable import Dialects

/// Other requests, processes and commands change an upload between two commands of one request. So no outcome is beyond
/// belief: each is answered, none ends the process.
@Suite struct UnexpectedOutcomeTests {
    private static let spec = FileSpec(
        field: "",
        fileName: "a",
        mediaType: "",
        target: .test("t/image/a", ifTaken: .replace),
        total: 10
    )
    private static let digest = MD5.digest(of: "x")

    /// One outcome of each kind, and the states that a session can be in.
    private static let outcomes: [Result<Outcome, UploadError>] = {
        let layout = NewUpload.Kind.parts(PartLayout(stride: 10, total: 10))
        let files = [
            FileProgress(spec: spec, prefix: 0), FileProgress(spec: spec, prefix: 10),
            FileProgress(spec: spec, prefix: 10, state: .published(path: "a")),
            FileProgress(spec: spec, prefix: 0, state: .cancelled), FileProgress(spec: spec, prefix: 0, kind: layout),
        ]
        let sessions = files.map { SessionProgress(files: [$0], fields: []) } + [SessionProgress(files: [], fields: [])]
        return [
            .success(.done), .success(.described(nil)), .success(.number(7)), .success(.found(.folder)),
            .success(.found(.nothing)), .success(.published(PublishedFile(spec: spec, path: "a"))),
            .success(.received(.committed(FileProgress(spec: spec, prefix: 10), isWhole: true))),
            .success(.received(.committed(FileProgress(spec: spec, prefix: 4), isWhole: false))),
            .success(.received(.held(HeldFile(index: 0), count: 10, digest: digest))),
            .failure(.superseded),
        ] + sessions.map { .success(.described($0)) }
    }()

    /// A request: its dialect, method, path, media type, what becomes of a file in it, its fields and its document.
    struct Request: Sendable {
        let dialect: ShippedDialect
        var method = HTTPRequest.Method.post
        var path = ""
        var fields: [(String, String)] = []
        var document: String?
        var hasFile = false
    }

    static let requests: [Request] =
        [
            Request(
                dialect: .offset,
                fields: [
                    ("storage_path", "s"), ("file_relative_path", "a"), ("file_type", "a/b"), ("file_size", "10"),
                ]
            ),
            Request(dialect: .offset, method: .patch, path: "/0123", fields: [("upload_offset", "4")], hasFile: true),
            Request(dialect: .fileid, fields: [("option", "initiate"), ("catalog", "c")]),
            Request(dialect: .fileid, fields: [("option", "initiate"), ("fileId", "7")]),
            Request(dialect: .fileid, fields: [("fileId", "7"), ("part", "1")], hasFile: true),
            Request(
                dialect: .fileid,
                fields: [("option", "complete"), ("fileId", "7"), ("parts", "{1:\"\(digest)\"}")]
            ),
            Request(dialect: .parts, path: "/uploadInit", fields: [("resourceKey", "a")]),
            Request(dialect: .parts, path: "/upload", fields: [("uploadId", "u"), ("partNumber", "1")], hasFile: true),
            Request(
                dialect: .parts,
                path: "/uploadComplete",
                fields: [
                    ("uploadId", "u"), ("completeMultipartUpload", "[{\"partNumber\":1,\"md5\":\"\(digest)\"}]"),
                ]
            ),
            Request(dialect: .parts, path: "/listParts", fields: [("uploadId", "u")]),
            Request(dialect: .parts, path: "/abort", fields: [("uploadId", "u")]),
            Request(dialect: .dcloud, fields: [("a", "b")], hasFile: true),
            Request(dialect: .dcloud, fields: [("server", "uploader"), ("action", "query"), ("boundary", "x")]),
        ]
        + ["multipart/init", "multipart/list", "multipart/complete", "multipart/abort", "confirm"].map { call in
            Request(
                dialect: .signed,
                path: "/" + call,
                document: """
                    {"task_id":"t","upload_id":"","object_key":"t/image/a","filename":"a","file_size":10,
                    "file_type":"image","master_object_key":"t/image/a","metadata":{},
                    "parts":[{"part_number":1,"etag":"\(digest)"}]}
                    """
            )
        }

    @Test("whatever a command comes to is answered, in every dialect", arguments: requests.indices)
    func everyOutcome(index: Int) throws {
        let request = Self.requests[index]
        var mount = Mount(name: "m", root: "/r")
        request.dialect.configure(&mount)
        mount.allowsCancel = true
        let contentType = request.document == nil ? "multipart/form-data; boundary=x" : "application/json"
        var exchange = exchange(request.dialect, contentType, method: request.method, path: request.path, on: mount)
        for (name, value) in request.fields {
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
        if request.hasFile {
            let header = try PartHeader(Array("Content-Disposition: form-data; name=\"file\"; filename=\"a\"".utf8))
            _ = exchange.partBegins(header, sizeHint: nil)
            exchange.fileEnded(.success(.held(HeldFile(index: 0), count: 10, digest: Self.digest)))
        }
        if let document = request.document { exchange.documentEnded(Array(document.utf8)) }
        var answers = 0
        func follow(_ step: Step, _ depth: Int) {
            switch step {
            case .answer: answers += 1
            case .perform(_, let then):
                // No request needs so many commands.
                guard depth < 5 else { return }
                for outcome in Self.outcomes { follow(then(outcome), depth + 1) }
            }
        }
        follow(exchange.bodyEnded(.whole), 0)
        #expect(answers > 0)
    }

    @Test("a file that another request has begun anew before it got its name is an offset mismatch")
    func restartedBeforePublishing() throws {
        let mount = Mount(name: "m", root: "/r")
        var exchange = exchange(
            .offset,
            "multipart/form-data; boundary=x",
            method: .patch,
            path: "/0123",
            on: mount
        )
        exchange.fieldEnded(FormField(name: "upload_offset", value: "4"), raw: [])
        let header = try PartHeader(Array("Content-Disposition: form-data; name=\"file\"; filename=\"a\"".utf8))
        _ = exchange.partBegins(header, sizeHint: nil)
        exchange.fileEnded(.success(.held(HeldFile(index: 0), count: 6, digest: nil)))
        let whole = Outcome.received(.committed(FileProgress(spec: Self.spec, prefix: 10), isWhole: true))
        let session = SessionProgress(files: [FileProgress(spec: Self.spec, prefix: 10)], fields: [])
        for outcome in [.success(.done), .failure(.superseded)] as [Result<Outcome, UploadError>] {
            let results: [Result<Outcome, UploadError>] = [.success(whole), .success(.described(session)), outcome]
            let answer = drive(exchange.bodyEnded(.whole), results).answer
            #expect(answer?.status == .badRequest)
            #expect(answer?.code == "Invalid offset")
        }
    }

    @Test("a PATCH tells the size of the file that took its bytes, whatever is there by then")
    func replacedAfterAppending() throws {
        let mount = Mount(name: "m", root: "/r")
        var exchange = exchange(.offset, "multipart/form-data; boundary=x", method: .patch, path: "/0123", on: mount)
        exchange.fieldEnded(FormField(name: "upload_offset", value: "0"), raw: [])
        let header = try PartHeader(Array("Content-Disposition: form-data; name=\"file\"; filename=\"a\"".utf8))
        _ = exchange.partBegins(header, sizeHint: nil)
        exchange.fileEnded(.success(.held(HeldFile(index: 0), count: 4, digest: nil)))
        let other = SessionProgress(files: [FileProgress(spec: Self.spec.with(total: 20), prefix: 0)], fields: [])
        let step = exchange.bodyEnded(.whole)
        func answer(_ prefix: Int64, _ others: [Result<Outcome, UploadError>]) -> (HTTPResponse.Status?, String) {
            let progress = FileProgress(spec: Self.spec, prefix: prefix)
            let received = Outcome.received(.committed(progress, isWhole: prefix == 10))
            let answer = drive(step, [.success(received), .success(.described(other))] + others).answer
            return (answer?.status, String(decoding: answer?.body ?? [], as: UTF8.self))
        }
        let (_, text) = answer(4, [])
        #expect(text.contains("\"offset\":4") && text.contains("\"file_size\":10"), "\(text)")
        let another = PublishedFile(spec: Self.spec.with(total: 20), path: "a")
        #expect(answer(10, [.success(.published(another))]).0 == .badRequest, "what is published is not its file")
        let own = PublishedFile(spec: Self.spec, path: "a")
        #expect(answer(10, [.success(.published(own))]).0 == .ok)
    }

    @Test("a POST that finds a file of another size, as others have begun it anew, begins its own again")
    func replacedAfterOpening() {
        let mount = Mount(name: "m", root: "/r")
        var exchange = exchange(.offset, "multipart/form-data; boundary=x", on: mount)
        let fields = [("storage_path", "s"), ("file_relative_path", "a"), ("file_type", "a/b"), ("file_size", "10")]
        for (name, value) in fields {
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
        let specs = [Self.spec.with(total: 20), Self.spec]
        let opened = specs.map {
            Outcome.described(SessionProgress(files: [FileProgress(spec: $0, prefix: 4)], fields: []))
        }
        let results: [Result<Outcome, UploadError>] = [
            .success(.found(.folder)), .success(.done), .success(.found(.nothing)), .success(opened[0]),
            .success(opened[1]),
        ]
        let (commands, answer) = drive(exchange.bodyEnded(.whole), results)
        #expect(answer?.status == .ok)
        #expect(commands.count == 5)
    }

    @Test(
        "an upload that others remove as soon as it has begun is begun again, in every dialect, and not without end",
        arguments: requests.indices
    )
    func removedAtOnce(index: Int) {
        let request = Self.requests[index]
        var mount = Mount(name: "m", root: "/r")
        request.dialect.configure(&mount)
        let contentType = request.document == nil ? "multipart/form-data; boundary=x" : "application/json"
        var exchange = exchange(request.dialect, contentType, method: request.method, path: request.path, on: mount)
        for (name, value) in request.fields {
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
        if let document = request.document { exchange.documentEnded(Array(document.utf8)) }
        var opens = 0
        /// Removes the upload so many times.
        func answer(_ first: Step, removing removals: Int) -> Answer? {
            var step = first
            opens = 0
            while true {
                switch step {
                case .answer(let answer): return answer
                case .perform(let command, let then):
                    switch command {
                    case .open(let upload):
                        opens += 1
                        let spec = FileSpec(
                            field: upload.key.field,
                            fileName: "a",
                            mediaType: "",
                            target: upload.spec.target,
                            total: upload.spec.total
                        )
                        let file = FileProgress(spec: spec, prefix: 0, kind: upload.kind)
                        let gone = [Outcome.described(nil), .described(SessionProgress(files: [], fields: []))]
                        if opens <= removals {
                            step = then(opens % 3 == 0 ? .failure(.superseded) : .success(gone[opens % 2]))
                        } else {
                            step = then(.success(.described(SessionProgress(files: [file], fields: []))))
                        }
                    case .issueNumber: step = then(.success(.number(7)))
                    case .lookUp(let path): step = then(.success(.found(path.components == ["s"] ? .folder : .nothing)))
                    case .describe: step = then(.success(.described(SessionProgress(files: [], fields: []))))
                    case _: step = then(.success(.done))
                    }
                }
            }
        }
        let step = exchange.bodyEnded(.whole)
        let status = answer(step, removing: 0)?.status
        guard opens > 0 else { return }
        #expect(status == .ok)
        #expect(answer(step, removing: 4)?.status == .ok)
        #expect(opens == 5)
        #expect(answer(step, removing: .max)?.status != .ok)
        #expect(opens < 100)
    }

    @Test("a POST that finds the file whole while another request begins it anew tells where that one is")
    func restartedBeforePost() {
        let mount = Mount(name: "m", root: "/r")
        var exchange = exchange(.offset, "multipart/form-data; boundary=x", on: mount)
        let fields = [("storage_path", "s"), ("file_relative_path", "a"), ("file_type", "a/b"), ("file_size", "10")]
        for (name, value) in fields {
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
        let opened = [Int64(10), 4].map { prefix in
            Outcome.described(SessionProgress(files: [FileProgress(spec: Self.spec, prefix: prefix)], fields: []))
        }
        let results: [Result<Outcome, UploadError>] = [
            .success(.found(.folder)), .success(.done), .success(.found(.nothing)), .success(opened[0]),
            .failure(.superseded), .success(opened[1]),
        ]
        let answer = drive(exchange.bodyEnded(.whole), results).answer
        let text = String(decoding: answer?.body ?? [], as: UTF8.self)
        #expect(answer?.status == .ok)
        #expect(text.contains("\"offset\":4"), "\(text)")
    }
}
