import HTTPTypes
import MultipartForm
import Uploads

/// One request in the protocol of parallel parts (docs/dialects/parts.md 3), told apart by the last component of its
/// path.
struct PartsExchange: Exchange {
    private static let scalarFields: Set<String> = [
        "resourceKey", "md5", "partNumber", "uploadId", "completeMultipartUpload",
    ]

    private enum Endpoint: String {
        case uploadInit
        case upload
        case uploadComplete
        case listParts
        /// An extension (docs/dialects/parts.md D1-14).
        case abort

        var media: [RequestForm.Media] {
            switch self {
            case .uploadInit, .uploadComplete, .listParts, .abort: [.json, .urlEncoded, .multipart]
            case .upload: [.multipart]
            }
        }

        func allows(_ method: HTTPRequest.Method) -> Bool {
            method == .post || self == .listParts && method == .get
        }

        var methods: String { self == .listParts ? "GET, POST" : "POST" }
    }

    let mount: Mount
    private let endpoint: Endpoint?
    private let method: HTTPRequest.Method
    private var form: RequestForm

    init(_ head: RequestHead, on mount: Mount) {
        self.mount = mount
        method = head.request.method
        let name = head.pathInfo.split(separator: "/").last.map(String.init) ?? ""
        endpoint = Endpoint(rawValue: name).flatMap { $0 == .abort && !mount.allowsCancel ? nil : $0 }
        let hasBody = method == .post
        form = RequestForm(head, accepting: hasBody ? endpoint?.media ?? [] : [], fileField: "content")
    }

    var body: BodyPlan { endpoint?.allows(method) == true ? form.body : .drain }

    // MARK: The body

    mutating func partBegins(_ header: PartHeader, sizeHint: Int64?) -> PartPlan {
        let (known, mount, endpoint) = (form, mount, endpoint)
        return form.partBegins(header, scalarFields: Self.scalarFields) {
            guard endpoint == .upload else { return nil }
            let anywhere = Destination.whole(bytesMax: mount.partBytesMax, isHashed: true)
            guard let key = Self.key(known, on: mount), let number = Self.number(known) else {
                return RequestForm.Destinations(file: anywhere, substitute: anywhere)
            }
            let slot = PartDestination(key, number: number, bytesMax: mount.partBytesMax, sizeHint: sizeHint)
            return RequestForm.Destinations(file: .part(slot), substitute: anywhere)
        }
    }

    mutating func fieldEnded(_ field: FormField, raw: [UInt8]) { form.fieldEnded(field) }

    mutating func fileEnded(_ result: Result<Receipt, UploadError>) { form.fileEnded(result) }

    mutating func documentEnded(_ bytes: [UInt8]) { form.documentEnded(bytes) }

    private static func key(_ form: RequestForm, on mount: Mount) -> FileKey? {
        guard let id = form["uploadId"]?.trimmingWhiteSpace(), !id.isEmpty else { return nil }
        return FileKey(SessionKey(on: mount, id: id))
    }

    private static func number(_ form: RequestForm) -> Int? {
        form.natural("partNumber").flatMap { $0 <= Part.numberMax ? Int($0) : nil }
    }

    // MARK: The end of the request

    mutating func bodyEnded(_ ending: BodyEnding) -> Step {
        guard let endpoint else {
            return refuse(.invalidArgument("this path is none of uploadInit, upload, uploadComplete, listParts"))
        }
        guard endpoint.allows(method) else { return refuse(.methodNotAllowed(endpoint.methods)) }
        form.bodyEnded(ending)
        if let failure = form.failure { return refuse(WordError(failure)) }
        switch endpoint {
        case .uploadInit: return begin()
        case .upload: return storePart()
        case .uploadComplete: return complete()
        case .listParts: return list()
        case .abort: return abort()
        }
    }

    private func refuse(_ error: WordError) -> Step { .answer(error.answer(type: mount.answerType)) }

    private func refusal(_ error: UploadError) -> Answer {
        WordError(error, digestWord: "InvalidDigest", partStatus: .badRequest).answer(type: mount.answerType)
    }

    private func answer(_ json: JSON) -> Step {
        .answer(Answer(.ok, json, type: mount.answerType, code: "OK"))
    }

    // MARK: uploadInit (docs/dialects/parts.md 3.2)

    private func begin() -> Step {
        guard let resourceKey = form["resourceKey"], !resourceKey.isEmpty else {
            return refuse(.invalidArgument("resourceKey is required"))
        }
        guard let path = RelativePath(parsing: resourceKey, on: mount), let name = path.name,
            !resourceKey.hasSuffix("/")
        else {
            return refuse(
                .invalidArgument("resourceKey must be the path of a file below the root, \(WordError.pathRule)")
            )
        }
        guard mount.allows(fileName: name, mediaType: "") else {
            return refuse(.accessDenied("this type of file is not allowed"))
        }
        return .lookUp(path, orFail: refusal) { entry in
            switch entry {
            case .nothing, .file: open(path, resourceKey, exists: entry == .file)
            case .folder: refuse(.invalidArgument("resourceKey is the path of a folder"))
            case .blocked: refuse(.invalidArgument("resourceKey must not lead through a file or a link"))
            }
        }
    }

    private func open(_ path: RelativePath, _ resourceKey: String, exists: Bool) -> Step {
        let id = (0..<16).map { _ in UInt8.random(in: 0...UInt8.max) }.hexadecimal.uppercased()
        let key = FileKey(SessionKey(on: mount, id: id))
        let spec = FileSpec(
            field: key.field,
            fileName: resourceKey,
            mediaType: "",
            target: Target(path, ifTaken: .replace),
            total: 0
        )
        // A digest of the whole file counts only when it is one (docs/dialects/parts.md D1-9).
        let digest = form["md5"].flatMap { MD5Digest(parsing: $0) }
        let fields = digest.map { [FormField(name: "md5", value: "\($0)")] } ?? []
        let upload = NewUpload(key, spec, fields: fields, kind: .parts(PartLayout(stride: nil)))
        return .open(upload, orFail: refusal) { _, _ in
            answer(.object([("uploadId", .string(id)), ("isExist", .boolean(exists))]))
        }
    }

    // MARK: upload (docs/dialects/parts.md 3.3)

    private func storePart() -> Step {
        guard let key = Self.key(form, on: mount) else {
            return refuse(.invalidArgument(form.foreignChunk.map { "\($0)" } ?? "uploadId is required"))
        }
        guard form.natural("partNumber") != nil else {
            return refuse(.invalidArgument("partNumber is required, as an integer in digits alone"))
        }
        let md5 = form["md5"]?.trimmingWhiteSpace() ?? ""
        let expected = MD5Digest(parsing: md5)
        if md5.isEmpty, mount.requiresDigest { return refuse(.invalidArgument("md5 is required")) }
        if !md5.isEmpty, expected == nil { return refuse(.invalidArgument("md5 must be 32 hexadecimal digits")) }
        guard let result = form.file?.result else {
            return refuse(.invalidArgument("content is required, as the part of a file"))
        }
        guard let number = Self.number(form) else {
            return .describe(key.session, orFail: refusal) { session in
                guard let file = session?.file(key.field), file.state == .open else { return refuse(.noSuchUpload) }
                return refuse(.invalidArgument("partNumber must be between 0 and \(Part.numberMax)"))
            }
        }
        switch result {
        case .failure(let error): return .answer(refusal(error))
        // A part is held until its form has ended.
        case .success(.committed): return .answer(refusal(.superseded))
        case .success(.held(let held, _, let digest)):
            return .perform(.commitPart(held, key, number: number, expected: expected), orFail: refusal) { _ in
                // The client compares the answer with its own spelling (docs/dialects/README.md 0.6).
                answer(.object([("md5", .string(md5.isEmpty ? digest.map { "\($0)" } ?? "" : md5))]))
            }
        }
    }

    // MARK: uploadComplete (docs/dialects/parts.md 3.4)

    private func complete() -> Step {
        guard let key = Self.key(form, on: mount) else { return refuse(.invalidArgument("uploadId is required")) }
        let list: JSON
        do throws(WordError) { list = try partList() } catch { return refuse(error) }
        return .describe(key.session, orFail: refusal) { session in
            guard let session, let file = session.file(key.field), file.state != .cancelled else {
                return refuse(.noSuchUpload)
            }
            let claims: [PartClaim]
            do throws(WordError) { claims = try self.claims(list) } catch { return refuse(error) }
            var rules = AssemblyRules(totalMax: mount.fileBytesMax)
            rules.partBytesMin = mount.partBytesMin
            rules.digest = session.value("md5").flatMap { MD5Digest(parsing: $0) }
            return .assemble(key, claims, rules, orFail: refusal) { published in
                Answer(
                    .ok,
                    .object([
                        ("uploadId", .string(key.session.id)), ("resourceKey", .string(published.spec.fileName)),
                        ("size", .integer(published.spec.total)),
                    ]),
                    type: mount.answerType,
                    code: "OK"
                )
            }
        }
    }

    /// The list as it came: a member of a JSON body, or a form field that holds JSON.
    private func partList() throws(WordError) -> JSON {
        if let list = form.document?["completeMultipartUpload"], list.text == nil { return list }
        guard let text = form["completeMultipartUpload"] else {
            throw .invalidArgument("completeMultipartUpload is required")
        }
        do { return try JSONReader.read(Array(text.utf8)) } catch {
            throw .invalidArgument("completeMultipartUpload: \(error)")
        }
    }

    /// The listed parts, ascending, without repetition, at least one.
    private func claims(_ list: JSON) throws(WordError) -> [PartClaim] {
        guard case .array(let entries) = list, !entries.isEmpty, entries.count <= Part.numberMax + 1 else {
            throw .invalidArgument("completeMultipartUpload must be an array of 1 to \(Part.numberMax + 1) parts")
        }
        var claims: [PartClaim] = []
        for entry in entries {
            guard let number = entry["partNumber"]?.natural else {
                throw .invalidArgument("partNumber must be an integer, written in digits alone")
            }
            guard number <= Part.numberMax else {
                throw .invalidArgument("partNumber must be between 0 and \(Part.numberMax)")
            }
            guard let digest = entry["md5"]?.text.flatMap({ MD5Digest(parsing: $0) }) else {
                throw .invalidArgument("md5 of part \(number) is required, as 32 hexadecimal digits")
            }
            claims.append(PartClaim(number: Int(number), digest: digest))
        }
        let sorted = claims.sorted { $0.number < $1.number }
        for (one, next) in zip(sorted, sorted.dropFirst()) where one.number == next.number {
            throw .invalidPartOrder("part \(one.number) is listed twice")
        }
        if mount.requiresOrder, sorted != claims { throw .invalidPartOrder("the list must be in ascending order") }
        return sorted
    }

    // MARK: listParts (docs/dialects/parts.md 3.5)

    private func list() -> Step {
        guard let key = Self.key(form, on: mount) else { return refuse(.invalidArgument("uploadId is required")) }
        return .describe(key.session, orFail: refusal) { session in
            guard let file = session?.file(key.field), file.state == .open else { return refuse(.noSuchUpload) }
            let parts = JSON.array(
                file.parts.map {
                    .object([("partNumber", .integer(Int64($0.number))), ("md5", .string("\($0.digest)"))])
                }
            )
            return answer(mount.wrapsLists ? .object([("parts", parts)]) : parts)
        }
    }

    // MARK: abort (docs/dialects/parts.md D1-14)

    private func abort() -> Step {
        guard let key = Self.key(form, on: mount) else { return refuse(.invalidArgument("uploadId is required")) }
        return .describe(key.session, orFail: refusal) { session in
            guard let file = session?.file(key.field), file.state == .open else { return refuse(.noSuchUpload) }
            return .perform(.remove(key.session), orFail: refusal) { _ in
                answer(.object([("uploadId", .string(key.session.id))]))
            }
        }
    }
}
