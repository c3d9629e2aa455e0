import HTTPTypes
import MultipartForm
import Testing
import Uploads

@testable import Dialects

/// Where the dialects send bytes, and how they word what the engine could not do.
@Suite struct PlacementTests {
    private let mount: Mount = {
        var mount = Mount(name: "m", principal: "ann", root: "/r")
        mount.partBytesMax = 100
        return mount
    }()
    private let form = "multipart/form-data; boundary=b"

    private func header(_ parameters: String) -> PartHeader {
        do { return try PartHeader(Array("Content-Disposition: form-data; \(parameters)".utf8)) } catch {
            preconditionFailure("the header of a test is well-formed: \(error)")
        }
    }

    private func key(_ id: String, field: String = "") -> FileKey {
        FileKey(SessionKey(mount: "m", root: "/r", principal: "ann", id: id), field: field)
    }

    private func give(_ fields: [(String, String)], to exchange: inout any Exchange) {
        for (name, value) in fields {
            #expect(exchange.partBegins(header("name=\(name)"), sizeHint: nil) == .field)
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
    }

    @Test("a part goes to its slot when its fields come first, from the form or the URL; else it is held")
    func parts() {
        let cases: [(ShippedDialect, String, String, [(String, String)])] = [
            (.fileid, "", "", [("fileId", "7"), ("part", "3")]), (.fileid, "", "fileId=7&part=3", []),
            (.parts, "/upload", "", [("uploadId", "7"), ("partNumber", "3")]),
            (.parts, "/upload", "uploadId=7&partNumber=3", []),
        ]
        for (dialect, path, query, fields) in cases {
            var first = exchange(dialect, form, path: path, query: query, on: mount)
            give(fields, to: &first)
            let destination = PartDestination(key("7"), number: 3, bytesMax: 100, sizeHint: 50)
            let part = header("name=\(dialect == .parts ? "content" : "file"); filename=a")
            let other = header("name=g; filename=b")
            #expect(first.partBegins(part, sizeHint: 50) == .file(.part(destination)))
            #expect(first.partBegins(other, sizeHint: 50) == .drain, "one file a request")
            var last = exchange(dialect, form, path: path, on: mount)
            let held = PartPlan.file(.whole(bytesMax: 100, isHashed: true))
            #expect(last.partBegins(part, sizeHint: 50) == held)
            #expect(last.partBegins(other, sizeHint: 50) == .drain, "one file a request")
            var preview = exchange(dialect, form, path: path, query: query, on: mount)
            give(fields, to: &preview)
            #expect(preview.partBegins(other, sizeHint: 50) == held, "it may be no more than a preview")
            preview.fileEnded(.success(.held(HeldFile(index: 0), count: 3, digest: nil)))
            #expect(preview.partBegins(other, sizeHint: 50) == .drain, "one file a request")
            #expect(preview.partBegins(part, sizeHint: 50) == .file(.part(destination)))
        }
    }

    @Test("a number that no part has leads to no slot")
    func numbers() {
        for number in ["10001", "-1", "x", ""] {
            var first = exchange(.fileid, form, on: mount)
            give([("fileId", "7"), ("part", number)], to: &first)
            #expect(
                first.partBegins(header("name=file; filename=a"), sizeHint: nil)
                    == .file(.whole(bytesMax: 100, isHashed: true))
            )
        }
    }

    @Test("the file of an initiate is let pass when that is known")
    func initiate() {
        var first = exchange(.fileid, form, on: mount)
        give([("option", "initiate")], to: &first)
        #expect(first.partBegins(header("name=f; filename=a"), sizeHint: nil) == .drain)
    }

    @Test("the bytes of a PATCH follow the committed ones; those of a POST are of no use")
    func offset() {
        var patch = exchange(.offset, form, method: .patch, path: "/abc", on: mount)
        let destination = AppendDestination(key("abc"), bytesMax: 100)
        #expect(patch.partBegins(header("name=file; filename=a"), sizeHint: nil) == .file(.append(destination)))
        var post = exchange(.offset, form, on: mount)
        #expect(post.partBegins(header("name=file; filename=a"), sizeHint: nil) == .drain)
    }

    @Test("the bytes of a PUT go to the part that its URL is signed for, of whoever it was signed for")
    func signed() throws {
        let url = PartURL(principal: "ann b", taskID: "t", uploadID: "u", number: 2, expiresAt: surroundings.now + 1)
        let text = url.text(base: "", on: mount, key: surroundings.signingKey)
        let (path, query) = (text.prefix { $0 != "?" }, text.drop { $0 != "?" }.dropFirst())
        var elsewhere = mount
        elsewhere.principal = ""
        let put = exchange(.signed, nil, method: .put, path: String(path), query: String(query), on: elsewhere)
        guard case .file(.part(let destination)) = put.body else {
            Issue.record("the body is a part")
            return
        }
        let owned = SessionKey(mount: "m", root: "/r", principal: "ann b", id: "t")
        #expect(destination.key == FileKey(owned, field: "u"))
        #expect(put.principal == "ann b", "the limits are its owner's, too")
        #expect(destination.number == 2)
        var late = surroundings
        late = RequestContext(signingKey: late.signingKey, now: late.now + 1)
        #expect(throws: PartURL.Failure.expired) {
            try PartURL(
                components: path.split(separator: "/").map(String.init),
                query: String(query),
                on: mount,
                in: late
            )
        }
    }

    @Test("a URL of a part that was signed before the server belonged to the name of the mount is good")
    func formerName() throws {
        let former = Mount(name: "/up", principal: "ann", root: "/r")
        let url = PartURL(principal: "ann", taskID: "t", uploadID: "u", number: 2, expiresAt: surroundings.now + 1)
        let text = url.text(base: "", on: former, key: surroundings.signingKey)
        func read(on name: String) throws(PartURL.Failure) -> PartURL {
            let components = text.prefix { $0 != "?" }.split(separator: "/").map(String.init)
            let query = String(text.drop { $0 != "?" }.dropFirst())
            let mount = Mount(name: name, principal: "", root: "/r")
            return try PartURL(components: components, query: query, on: mount, in: surroundings)
        }
        #expect(try read(on: Mount.defaultName(server: "a", port: "80", path: "/up")) == url)
        #expect(throws: PartURL.Failure.invalid) {
            try read(on: Mount.defaultName(server: "a", port: "80", path: "/other"))
        }
        #expect(throws: PartURL.Failure.invalid) { try read(on: "up") }
    }

    private static let failure = StorageFailure(operation: "o", reason: "secret")

    @Test(
        "each failure of the engine has its status in each dialect, and what the system said stays in the log",
        arguments: [
            (.unknownUpload, [404, 404, 400, 404]), (.finished, [404, 404, 400, 409]),
            (.cancelled, [404, 404, 400, 409]),
            (.superseded, [404, 404, 400, 409]), (.tooLarge(maxBytes: 1), [413, 413, 413, 413]),
            (.digestMismatch, [400, 400, 400, 400]), (.partMismatch(number: 1), [409, 400, 400, 400]),
            (.partTooSmall(number: 1, minBytes: 2), [400, 400, 400, 400]),
            (.noSuchPart(number: 1), [400, 400, 400, 400]),
            (.lengthMismatch(declared: 2, received: 1), [400, 400, 400, 400]),
            (.longerThanDeclared(declared: 1), [400, 400, 400, 413]),
            (.offsetMismatch(committed: 1), [400, 400, 400, 400]),
            (.beyondTotal(total: 1), [400, 400, 400, 400]), (.pathBlocked, [400, 400, 400, 409]),
            (.pathTaken, [400, 400, 400, 409]),
            (.noSpace(failure), [507, 507, 507, 507]), (.storage(failure), [500, 500, 500, 500]),
            (.stagingUnavailable(failure), [503, 503, 503, 503]), (.folderNotMade(failure), [500, 500, 500, 500]),
        ] as [(UploadError, [Int])]
    )
    func failures(error: UploadError, statuses: [Int]) {
        let answers = [
            WordError(error, digestWord: "BadDigest", partStatus: .conflict).answer(type: "t"),
            WordError(error, digestWord: "InvalidDigest", partStatus: .badRequest).answer(type: "t"),
            OffsetError(error).answer(mount), SignedError(error).answer(type: "t"),
        ]
        #expect(answers.map(\.status.code) == statuses)
        for answer in answers {
            #expect(!String(decoding: answer.body, as: UTF8.self).contains("secret"))
            #expect((answer.failure != nil) == (answer.status.code >= 500))
        }
    }
}
