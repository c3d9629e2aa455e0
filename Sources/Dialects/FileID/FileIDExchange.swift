import HTTPTypes
import MultipartForm
import Uploads

/// One request in the fileId protocol (docs/dialects/fileid.md 2): initiate, resume, part or complete, told apart by
/// the field `option` when the whole form is known.
///
/// The bytes of a part go to its slot when fileId and part stand before them, else to a file of their own; in both
/// cases they are committed after the close delimiter.
struct FileIDExchange: Exchange {
    private static let scalarFields: Set<String> = [
        "option", "catalog", "mode", "notes", "fileId", "part", "md5", "parts",
    ]
    /// The longest catalog in bytes.
    private static let catalogBytesMax = 128
    /// How many bits of a fileId are random: those above count uploads, so that none is ever issued twice.
    private static let randomBits = 22
    /// The largest fileId, which JavaScript still reads exactly.
    private static let fileIDMax: Int64 = 1 << 53 - 1
    /// The names under which the client's declarations are kept with the upload.
    private enum Stored {
        static let name = "name"
        static let catalog = "catalog"
        static let mode = "mode"
        static let notes = "notes"
    }

    let mount: Mount
    private let method: HTTPRequest.Method
    private var form: RequestForm

    init(_ head: RequestHead, on mount: Mount) {
        self.mount = mount
        method = head.request.method
        form = RequestForm(head, accepting: method == .post ? [.multipart, .urlEncoded] : [], fileField: "file")
    }

    var body: BodyPlan { form.body }

    /// A list of all parts that an upload may have is longer than other fields.
    var formLimits: MultipartLimits {
        var limits = MultipartLimits(mount)
        limits.longFields["parts"] = max(limits.fieldBytesMax, JSONReader.bytesMax)
        limits.allFieldBytesMax = max(limits.allFieldBytesMax, JSONReader.bytesMax)
        return limits
    }

    // MARK: The body

    mutating func partBegins(_ header: PartHeader, sizeHint: Int64?) -> PartPlan {
        let known = form
        let mount = mount
        return form.partBegins(header, scalarFields: Self.scalarFields) {
            guard Self.isPartUpload(known["option"]) else { return nil }
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

    private static func isPartUpload(_ option: String?) -> Bool {
        ["", "upload", "part"].contains(option?.trimmingWhiteSpace() ?? "")
    }

    private static func key(_ form: RequestForm, on mount: Mount) -> FileKey? {
        form.natural("fileId").map {
            FileKey(SessionKey(on: mount, id: String($0)))
        }
    }

    /// The number of a part that may be; `nil` for any other.
    private static func number(_ form: RequestForm) -> Int? {
        form.natural("part").flatMap { $0 <= Part.numberMax ? Int($0) : nil }
    }

    // MARK: The end of the request

    mutating func bodyEnded(_ ending: BodyEnding) -> Step {
        guard method == .post else { return refuse(.methodNotAllowed("POST")) }
        form.bodyEnded(ending)
        if let failure = form.failure {
            return refuse(WordError(failure))
        }
        let option = form["option"]?.trimmingWhiteSpace()
        switch option {
        case "initiate": return form["fileId"] == nil ? initiate() : resume()
        case "complete": return complete()
        case _ where Self.isPartUpload(option) && form["fileId"] != nil && form["part"] != nil: return storePart()
        case nil:
            let missing = "option is required: initiate or complete, or fileId and part with a file"
            return refuse(.invalidArgument(form.foreignChunk.map { "\($0)" } ?? missing))
        case "", "upload", "part":
            let missing = "a part needs the fields fileId and part"
            return refuse(.invalidArgument(form.foreignChunk.map { "\($0)" } ?? missing))
        case _:
            return refuse(.invalidArgument("option must be initiate, complete, upload or part"))
        }
    }

    private func refuse(_ error: WordError) -> Step { .answer(error.answer(type: mount.answerType)) }

    private func refusal(_ error: UploadError) -> Answer {
        WordError(error, digestWord: "BadDigest", partStatus: .conflict).answer(type: mount.answerType)
    }

    private func answer(_ members: [(String, JSON)]) -> Step {
        .answer(Answer(.ok, .object(members), type: mount.answerType, code: "OK"))
    }

    // MARK: Initiate (docs/dialects/fileid.md 2.3)

    private func initiate() -> Step {
        guard let catalog = form["catalog"], (1...Self.catalogBytesMax).contains(catalog.utf8.count) else {
            return refuse(.invalidArgument("catalog is required, with 1 to \(Self.catalogBytesMax) bytes"))
        }
        guard let folder = RelativePath(parsing: catalog, on: mount), folder.name != nil else {
            return refuse(.invalidArgument("catalog must be a path below the root, \(WordError.pathRule)"))
        }
        let (fileName, mediaType) = (form.file?.fileName ?? "", form.file?.mediaType ?? "")
        let stored = fileName.isEmpty ? "" : RelativePath(fileName: fileName, on: mount).name ?? ""
        guard mount.allows(fileName: stored, mediaType: mediaType) else {
            return refuse(.accessDenied("this type of file is not allowed"))
        }
        return .lookUp(folder, orFail: refusal) { entry in
            switch entry {
            case .nothing, .folder: break
            case .file, .blocked: return refuse(.invalidArgument("catalog must not lead through a file or a link"))
            }
            return .issueNumber(orFail: refusal) { number in
                open(folder, number: number, fileName: fileName, mediaType: mediaType)
            }
        }
    }

    private func open(_ folder: RelativePath, number: Int64, fileName: String, mediaType: String) -> Step {
        let id = number << Int64(Self.randomBits) | Int64.random(in: 0..<1 << Self.randomBits)
        guard number <= Self.fileIDMax >> Int64(Self.randomBits) else {
            let reason = "all fileIds are issued"
            return .answer(refusal(.storage(StorageFailure(operation: "issue fileId", reason: reason))))
        }
        let name = fileName.isEmpty ? nil : RelativePath(fileName: fileName, on: mount).name
        let stored = name.flatMap { ComponentName.fitted("\(id)-\($0)") } ?? "\(id)"
        guard let component = RelativePath(component: stored), let path = folder.appending(component) else {
            return refuse(.invalidArgument("catalog is too long"))
        }
        let key = FileKey(SessionKey(on: mount, id: String(id)))
        let spec = FileSpec(
            field: key.field,
            fileName: fileName,
            mediaType: mediaType,
            target: Target(path, ifTaken: .addNumber),
            total: 0
        )
        var fields = [FormField(name: Stored.name, value: name ?? stored)]
        for field in [Stored.catalog, Stored.mode, Stored.notes] {
            if let value = form[field] { fields.append(FormField(name: field, value: value)) }
        }
        let upload = NewUpload(key, spec, fields: fields, kind: .parts(PartLayout(stride: nil)))
        return .open(upload, orFail: refusal) { _, _ in
            answer([("fileId", .integer(id)), ("suggestedChunkSize", .integer(mount.chunkBytes))])
        }
    }

    private func resume() -> Step {
        guard let key = Self.key(form, on: mount) else { return refuse(.invalidArgument("fileId must be an integer")) }
        return .describe(key.session, orFail: refusal) { session in
            guard let file = session?.file(key.field), file.state != .cancelled else { return refuse(.noSuchUpload) }
            var members: [(String, JSON)] = [
                ("fileId", .integer(Int64(key.session.id) ?? 0)),
                ("suggestedChunkSize", .integer(mount.chunkBytes)),
                ("parts", .object(file.parts.map { (String($0.number), .string("\($0.digest)")) })),
            ]
            if file.isPublished { members.append(("completed", .boolean(true))) }
            return answer(members)
        }
    }

    // MARK: Upload part (docs/dialects/fileid.md 2.4)

    private func storePart() -> Step {
        guard let key = Self.key(form, on: mount) else { return refuse(.invalidArgument("fileId must be an integer")) }
        guard form.natural("part") != nil else { return refuse(.invalidArgument("part must be an integer")) }
        var expected: MD5Digest?
        if let md5 = form["md5"]?.trimmingWhiteSpace(), !md5.isEmpty {
            expected = MD5Digest(parsing: md5)
            if expected == nil { return refuse(.invalidArgument("md5 must be 32 hexadecimal digits")) }
        }
        guard let result = form.file?.result else {
            return refuse(.invalidArgument("a part needs a file, in the part file"))
        }
        guard let number = Self.number(form) else {
            return .describe(key.session, orFail: refusal) { session in
                guard let file = session?.file(key.field), file.state == .open else { return refuse(.noSuchUpload) }
                return refuse(.invalidArgument("part must be between 0 and \(Part.numberMax)"))
            }
        }
        switch result {
        case .failure(let error): return .answer(refusal(error))
        // A part is held until its form has ended.
        case .success(.committed): return .answer(refusal(.superseded))
        case .success(.held(let held, _, let digest)):
            return .perform(.commitPart(held, key, number: number, expected: expected), orFail: refusal) { _ in
                // A client that sent a digest compares the answer with its own spelling (docs/dialects/README.md 0.6).
                let md5 = expected == nil ? digest.map { "\($0)" } : form["md5"]?.trimmingWhiteSpace()
                return answer([
                    ("fileId", .integer(Int64(key.session.id) ?? 0)), ("part", .integer(Int64(number))),
                    ("md5string", .string(md5 ?? "")),
                ])
            }
        }
    }

    // MARK: Complete (docs/dialects/fileid.md 2.5)

    private func complete() -> Step {
        guard let key = Self.key(form, on: mount) else { return refuse(.invalidArgument("fileId must be an integer")) }
        let claims: [PartClaim]
        do throws(WordError) { claims = try Self.claims(form["parts"]) } catch { return refuse(error) }
        return .describe(key.session, orFail: refusal) { session in
            guard let session, let file = session.file(key.field), file.state != .cancelled else {
                return refuse(.noSuchUpload)
            }
            // An index is a position here, so none may be left out.
            let first = min(claims[0].number, 1)
            if let gap = claims.indices.first(where: { claims[$0].number != first + $0 }) {
                return .answer(refusal(.partMismatch(number: first + gap)))
            }
            let rules = AssemblyRules(totalMax: mount.fileBytesMax)
            return .assemble(key, claims, rules, orFail: refusal) { published in
                Answer(
                    .ok,
                    .object([
                        ("fileId", .integer(Int64(key.session.id) ?? 0)), ("size", .integer(published.spec.total)),
                        ("name", .string(session.value(Stored.name) ?? "")),
                        ("url", .string(mount.publicURL + published.path.percentEncodedPath)),
                    ]),
                    type: mount.answerType,
                    code: "OK"
                )
            }
        }
    }

    /// The list of parts: a relaxed literal of index -> MD5 (docs/dialects/README.md 0.3); ascending, at least one.
    private static func claims(_ text: String?) throws(WordError) -> [PartClaim] {
        guard let text else { throw .invalidArgument("parts is required: an object of part number and MD5") }
        let json: JSON
        do { json = try JSONReader.read(Array(text.utf8), .relaxed) } catch {
            throw .invalidArgument("parts: \(error)")
        }
        guard case .object(let members) = json, !members.isEmpty else {
            throw .invalidArgument("parts must be an object with at least one part")
        }
        var digests: [Int: MD5Digest] = [:]
        for (index, value) in members {
            guard let number = IntegerField.parse(index), number <= Part.numberMax else {
                throw .invalidArgument("parts: an index must be between 0 and \(Part.numberMax)")
            }
            guard let digest = value.text.flatMap({ MD5Digest(parsing: $0) }) else {
                throw .invalidArgument("parts: the value of \(number) is no MD5")
            }
            digests[Int(number)] = digest
        }
        return digests.sorted { $0.key < $1.key }.map { PartClaim(number: $0.key, digest: $0.value) }
    }
}
