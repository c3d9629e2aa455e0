import Digests
import HTTPTypes
import MultipartForm
import Uploads

/// One request in the offset protocol (docs/dialects/offset.md 4): POST creates an upload or tells its offset, PATCH
/// appends to it.
///
/// The file may stand before `upload_offset` in a PATCH, so its bytes are written behind the committed ones and
/// committed only when the offset turns out to be that.
struct OffsetExchange: Exchange {
    private static let scalarFields: Set<String> = [
        "storage_path", "file_relative_path", "file_type", "file_size", "upload_offset",
    ]

    /// How often a file that others begin anew at the same moment is opened again.
    private static let triesMax = 8

    private static let fileField = "file"

    private enum Operation {
        case create
        case append(id: String)
        case refused(allow: String)
    }

    let mount: Mount
    private let operation: Operation
    private var form: RequestForm

    init(_ head: RequestHead, on mount: Mount) {
        self.mount = mount
        let components = head.pathInfo.split(separator: "/")
        switch (head.request.method, components.count) {
        case (.post, 0): operation = .create
        case (.patch, 1): operation = .append(id: String(components[0]))
        case (_, 0): operation = .refused(allow: "POST")
        case _: operation = .refused(allow: "PATCH")
        }
        switch operation {
        case .create: form = RequestForm(head, accepting: [.multipart, .urlEncoded], fileField: Self.fileField)
        case .append: form = RequestForm(head, accepting: [.multipart], fileField: Self.fileField)
        case .refused: form = RequestForm(head, accepting: [], fileField: Self.fileField)
        }
    }

    var body: BodyPlan { form.body }

    // MARK: The body

    mutating func partBegins(_ header: PartHeader, sizeHint: Int64?) -> PartPlan {
        let (mount, operation) = (mount, operation)
        return form.partBegins(header, scalarFields: Self.scalarFields) {
            guard case .append(let id) = operation else { return nil }
            return RequestForm.Destinations(
                file: .append(AppendDestination(Self.key(id, on: mount), bytesMax: mount.partBytesMax)),
                substitute: .whole(bytesMax: mount.partBytesMax, isHashed: false)
            )
        }
    }

    mutating func fieldEnded(_ field: FormField, raw: [UInt8]) {
        form.fieldEnded(field)
    }

    mutating func fileEnded(_ result: Result<Receipt, UploadError>) { form.fileEnded(result) }

    private static func key(_ id: String, on mount: Mount) -> FileKey {
        FileKey(SessionKey(on: mount, id: id))
    }

    // MARK: The end of the request

    mutating func bodyEnded(_ ending: BodyEnding) -> Step {
        form.bodyEnded(ending)
        switch operation {
        case .refused(let allow):
            return .answer(OffsetError.methodNotAllowed(allow).answer(mount))
        case .create:
            if let failure = form.failure { return refuse(OffsetError(failure)) }
            return create()
        case .append(let id):
            switch form.failure {
            case nil: return append(to: Self.key(id, on: mount))
            case .cutOff: return appendPrefix(to: Self.key(id, on: mount))
            case let failure?: return refuse(OffsetError(failure))
            }
        }
    }

    private func refuse(_ error: OffsetError) -> Step { .answer(error.answer(mount)) }

    private func refusal(_ error: UploadError) -> Answer { OffsetError(error).answer(mount) }

    private func answer(_ message: String, _ data: JSON?) -> Step {
        var members: [(String, JSON)] = [("code", .integer(0)), ("message", .string(message))]
        if let data { members.append(("data", data)) }
        return .answer(Answer(.ok, .object(members), type: mount.answerType, code: "0"))
    }

    // MARK: POST (docs/dialects/offset.md 4.2)

    private func create() -> Step {
        guard let storagePath = form["storage_path"], !storagePath.isEmpty,
            let relativePath = form["file_relative_path"]
        else {
            return refuse(.invalid(form.foreignChunk))
        }
        let isFolder = relativePath.hasSuffix("/")
        let size = form.natural("file_size")
        if !isFolder, size == nil || form["file_type"] == nil { return refuse(.invalidParameter) }
        guard let storage = RelativePath(parsing: storagePath, on: mount) else { return refuse(.noStorageFolder) }
        return .lookUp(storage, orFail: refusal) { entry in
            guard entry == .folder else { return refuse(.noStorageFolder) }
            guard let relative = RelativePath(parsing: relativePath, on: mount), relative.name != nil,
                let path = storage.appending(relative)
            else { return refuse(.invalidRelativePath) }
            return .perform(.makeFolder(isFolder ? path : path.parent), orFail: folderRefusal) { _ in
                if isFolder { return answer("success", nil) }
                return .lookUp(path, orFail: refusal) { entry in
                    if entry == .folder { return refuse(.isFolder(Self.fullPath(storagePath, relativePath))) }
                    return open(path, size: size ?? 0)
                }
            }
        }
    }

    /// Whatever keeps a folder from being made has one message (docs/dialects/offset.md 4.2, step 4).
    private func folderRefusal(_ error: UploadError) -> Answer {
        switch error {
        case .noSpace, .stagingUnavailable: refusal(error)
        case .folderNotMade(let failure), .storage(let failure): OffsetError.folderNotMade(failure).answer(mount)
        case _: OffsetError.folderNotMade(nil).answer(mount)
        }
    }

    private func open(_ path: RelativePath, size: Int64) -> Step {
        let names = ["storage_path", "file_relative_path", "file_type"]
        let fields = names.map { FormField(name: $0, value: form[$0] ?? "") }
        guard allows(fileType: form["file_type"] ?? "", name: path.name ?? "") else { return refuse(.fileType) }
        guard size <= mount.fileBytesMax else { return refuse(.fileSize) }
        let id = Self.identifier(storagePath: fields[0].value, relativePath: fields[1].value)
        let key = Self.key(id, on: mount)
        let spec = FileSpec(
            field: key.field,
            fileName: path.name ?? "",
            mediaType: fields[2].value,
            target: Target(path, ifTaken: .replace),
            total: size
        )
        return open(NewUpload(key, spec, fields: fields, kind: .ranges), key, size: size, triesLeft: Self.triesMax)
    }

    private func open(_ upload: NewUpload, _ key: FileKey, size: Int64, triesLeft: Int) -> Step {
        .open(upload, orFail: refusal) { session, file in
            // Another request has begun the file anew meanwhile: the client hears where that one is.
            let again = {
                triesLeft > 0 ? open(upload, key, size: size, triesLeft: triesLeft - 1) : refuse(.wrongOffset)
            }
            guard file.spec.total == size else { return again() }
            let data = Self.data(key, session, offset: file.prefix, size: size, withName: false)
            guard file.prefix == size else { return answer("success", data) }
            // The client sends nothing more when nothing is left to send, so that it must hear of a file that has no name.
            return .perform(.publish(key)) { result in
                switch result {
                case .success(.published(let file)) where file.spec.total == size: answer("success", data)
                case .success, .failure(.superseded): again()
                case .failure(let error): failed(error, key)
                }
            }
        }
    }

    /// Whether the name's extension, or, where it has none, the declared type is allowed: an extension or a media type
    /// (step 7).
    private func allows(fileType: String, name: String) -> Bool {
        let type = fileType.trimmingWhiteSpace()
        return mount.allows(fileName: name, mediaType: type.hasPrefix(".") ? String(type.dropFirst()) : type)
    }

    /// MD5 of the storage path with exactly one slash at its end, and the relative path.
    static func identifier(storagePath: String, relativePath: String) -> String {
        var folder = storagePath[...]
        while folder.hasSuffix("/") { folder.removeLast() }
        return "\(MD5.digest(of: folder + "/" + relativePath))"
    }

    /// The joined path, without `.` components.
    static func fullPath(_ storagePath: String, _ relativePath: String) -> String {
        let components = (storagePath + "/" + relativePath).split(separator: "/").filter { $0 != "." }
        return (storagePath.hasPrefix("/") ? "/" : "") + components.joined(separator: "/")
    }

    /// The member `data`, with the client's own strings.
    private static func data(
        _ key: FileKey,
        _ session: SessionProgress,
        offset: Int64,
        size: Int64,
        withName: Bool
    ) -> JSON {
        let storagePath = session.value("storage_path") ?? ""
        let relativePath = session.value("file_relative_path") ?? ""
        var members: [(String, JSON)] = [("id", .string(key.session.id)), ("offset", .integer(offset))]
        if withName {
            members.append(("file_name", .string(relativePath.split(separator: "/").last.map(String.init) ?? "")))
        }
        members += [
            ("file_relative_path", .string(relativePath)), ("file_type", .string(session.value("file_type") ?? "")),
            ("file_size", .integer(size)), ("storage_path", .string(storagePath)),
            ("full_path", .string(fullPath(storagePath, relativePath))),
        ]
        return .object(members)
    }

    // MARK: PATCH (docs/dialects/offset.md 4.3)

    private func append(to key: FileKey) -> Step {
        if case .failure(.tooLarge) = form.file?.result { return refuse(.requestTooLarge) }
        guard let result = form.file?.result else {
            return refuse(.invalid(form.foreignChunk))
        }
        guard let offset = form.natural("upload_offset") else {
            return refuse(.invalid(form.foreignChunk))
        }
        switch result {
        case .failure(let error): return failed(error, key)
        // Bytes are held until their offset is known.
        case .success(.committed): return failed(.superseded, key)
        case .success(.held(let held, _, _)):
            return .perform(.append(held, key, offset: offset)) { result in
                switch result {
                case .failure(let error): failed(error, key)
                case .success(.received(.committed(let progress, let isWhole))):
                    isWhole ? publish(key, total: progress.spec.total) : describe(progress, key, "Continue uploading")
                case .success: failed(.superseded, key)
                }
            }
        }
    }

    /// Publishes a file whose bytes are whole, and which has so many.
    private func publish(_ key: FileKey, total: Int64) -> Step {
        // What the answer needs is asked for first: nothing may fail between the file's name and the answer.
        .describe(key.session, orFail: refusal) { session in
            guard let session else { return refuse(.unknownUpload) }
            return .perform(.publish(key)) { result in
                switch result {
                case .success(.published(let file)) where file.spec.total == total:
                    let data = Self.data(key, session, offset: total, size: total, withName: true)
                    return answer("File uploaded successfully", data)
                // Another request has begun the file anew meanwhile: its client asks where to go on.
                case .success, .failure(.superseded): return refuse(.wrongOffset)
                case .failure(let error): return failed(error, key)
                }
            }
        }
    }

    /// Tells how far the file is that has taken the bytes, which another may have replaced since.
    private func describe(_ file: FileProgress, _ key: FileKey, _ message: String) -> Step {
        .describe(key.session, orFail: refusal) { session in
            guard let session else { return refuse(.unknownUpload) }
            return answer(
                message,
                Self.data(key, session, offset: file.prefix, size: file.spec.total, withName: true)
            )
        }
    }

    /// A failure to write tells the state that is left; any other only itself.
    private func failed(_ error: UploadError, _ key: FileKey) -> Step {
        let refusal = OffsetError(error)
        guard refusal.failure != nil else { return refuse(refusal) }
        return .perform(.describe(key.session)) { result in
            guard case .success(.described(let session?)) = result, let file = session.file(key.field) else {
                return refuse(refusal)
            }
            let data = Self.data(key, session, offset: file.prefix, size: file.spec.total, withName: true)
            return .answer(refusal.answer(mount, data: data))
        }
    }

    /// Keeps what came of a body that was cut off, when its offset was known before.
    private func appendPrefix(to key: FileKey) -> Step {
        let refusal = OffsetError.invalidParameter
        guard let offset = form.natural("upload_offset"),
            case .success(.held(let held, let count, _)) = form.file?.result,
            count > 0
        else { return refuse(refusal) }
        return .perform(.append(held, key, offset: offset)) { result in
            guard case .success(.received(.committed(let progress, isWhole: true))) = result else {
                return refuse(refusal)
            }
            return publish(key, total: progress.spec.total)
        }
    }
}
