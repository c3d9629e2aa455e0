import Digests
import HTTPTypes
import Uploads

// The call that begins an upload (docs/dialects/signed.md 5.2).

extension SignedExchange {
    /// What a client declares of a file.
    private struct Declaration {
        let fileName: String
        /// The name that the file is stored under, unless another of its task has it.
        let name: String
        let kind: String
        let mediaType: String
        let size: Int64
        let stride: Int64

        var partCount: Int { Int(PartLayout.partCount(total: size, stride: stride)) }
    }

    /// How many names that files on disk have are passed over.
    private static let namesTriedMax = 100
    /// How often a name that another request took at the same moment is chosen anew.
    private static let racesMax = 8

    func initiate(_ arguments: CallArguments) throws(SignedError) -> Step {
        let fileName = try arguments.text("filename")
        let size = try arguments.natural("file_size")
        let kind = try arguments.text("file_type")
        let mediaType = arguments.optionalText("content_type") ?? "application/octet-stream"
        guard size <= mount.fileBytesMax else {
            throw .badRequest("file_size may be at most \(mount.fileBytesMax) bytes")
        }
        guard mount.fileKinds.holds(kind) else {
            throw .badRequest("file_type must be one of \(mount.fileKinds.sorted().joined(separator: ", "))")
        }
        let name = RelativePath(fileName: fileName, on: mount).name ?? ""
        guard mount.allows(fileName: name, mediaType: mediaType) else {
            throw .forbidden("this type of file is not allowed")
        }
        let wanted = try arguments.optionalNatural("chunk_size") ?? mount.chunkBytes
        let file = Declaration(
            fileName: fileName,
            name: name,
            kind: kind,
            mediaType: mediaType,
            size: size,
            stride: Self.stride(wanted: wanted, total: size, on: mount)
        )
        if let existing = arguments.optionalText("task_id") { return add(file, to: existing, racesLeft: Self.racesMax) }
        let taskID = Self.identifier()
        guard let path = path(of: file, in: taskID, number: 0) else { throw .badRequest("filename is too long") }
        return open(file, as: path, in: taskID, orFail: refused)
    }

    /// The size of a part: what the client wants, within the mount's limits, and so that there are not too many.
    static func stride(wanted: Int64, total: Int64, on mount: Mount) -> Int64 {
        let most = max(mount.partBytesMax, 1)
        let least = min(max(mount.partBytesMin, 1), most)
        let clamped = min(max(wanted, least), most)
        let parts = Int64(Part.numberMax)
        return max(clamped, total / parts + (total % parts > 0 ? 1 : 0))
    }

    private static func identifier() -> String { (0..<16).map { _ in UInt8.random(in: 0...UInt8.max) }.hexadecimal }

    // MARK: The object key

    /// Adds a file to a task that its owner has begun, under a key that no other file of it has.
    private func add(_ file: Declaration, to taskID: String, racesLeft: Int) -> Step {
        .describe(task(taskID), orFail: refusal) { session in
            guard let session else { return refuse(.notFound) }
            let keys = session.files.filter { $0.state != .cancelled }.map { ByBytes($0.spec.target.path.text) }
            return choosePath(for: file, in: taskID, besides: Set(keys)) { path in
                open(file, as: path, in: taskID) { error in
                    guard case .pathTaken = error, racesLeft > 0 else { return refused(error) }
                    return add(file, to: taskID, racesLeft: racesLeft - 1)
                }
            }
        }
    }

    /// Finds a path that is none of the keys, and that no file has of which the ledger does not know any more.
    private func choosePath(
        for file: Declaration,
        in taskID: String,
        besides keys: Set<ByBytes>,
        number: Int = 0,
        triesLeft: Int = namesTriedMax,
        then step: @escaping (RelativePath) -> Step
    ) -> Step {
        var number = number
        var candidate = path(of: file, in: taskID, number: number)
        while let path = candidate, keys.contains(ByBytes(path.text)) {
            number += 1
            candidate = self.path(of: file, in: taskID, number: number)
        }
        guard let path = candidate else { return refuse(.badRequest("filename is too long")) }
        let next = number + 1
        return .lookUp(path, orFail: refusal) { entry in
            switch entry {
            case .nothing, .blocked: return step(path)
            case .file, .folder: break
            }
            guard triesLeft > 0 else { return .answer(refusal(.namesExhausted(max: Self.namesTriedMax))) }
            return choosePath(for: file, in: taskID, besides: keys, number: next, triesLeft: triesLeft - 1, then: step)
        }
    }

    /// Where a file of a task is stored; its object key. The number is 0 for the name as it is.
    private func path(of file: Declaration, in taskID: String, number: Int) -> RelativePath? {
        let name = number == 0 ? file.name : ComponentName.numbered(file.name, number)
        guard let folder = RelativePath(parsing: "\(mount.keyPrefix)/\(taskID)/\(file.kind)") else { return nil }
        return RelativePath(component: name).flatMap { folder.appending($0) }
    }

    // MARK: The upload

    private func open(
        _ file: Declaration,
        as path: RelativePath,
        in taskID: String,
        orFail fail: @escaping (UploadError) -> Step
    ) -> Step {
        let uploadID = Self.identifier()
        let spec = FileSpec(
            field: uploadID,
            fileName: file.fileName,
            mediaType: file.mediaType,
            target: Target(path, ifTaken: .replace),
            total: file.size
        )
        let layout = PartLayout(stride: file.stride, total: file.size)
        let key = FileKey(task(taskID), field: uploadID)
        let upload = NewUpload(key, spec, fields: [], kind: .parts(layout))
        return .open(upload, orElse: fail) { _, _ in
            answer([
                ("task_id", .string(taskID)), ("upload_id", .string(uploadID)), ("object_key", .string(path.text)),
                ("total_chunks", .integer(Int64(file.partCount))),
                ("parts", .array((1...file.partCount).compactMap { part($0, layout, taskID, uploadID) })),
            ])
        }
    }

    private func refused(_ error: UploadError) -> Step { .answer(refusal(error)) }

    /// What a client needs to send a part; `nil` when the file has none of this number.
    func part(_ number: Int, _ layout: PartLayout, _ taskID: String, _ uploadID: String) -> JSON? {
        guard let slot = layout.slot(of: number) else { return nil }
        let url = PartURL(
            principal: mount.principal,
            taskID: taskID,
            uploadID: uploadID,
            number: number,
            expiresAt: context.now + mount.urlSeconds
        )
        return .object([
            ("part_number", .integer(Int64(number))),
            ("upload_url", .string(url.text(base: baseURL, on: mount, key: context.signingKey))),
            ("start_byte", .integer(slot.offset)), ("end_byte", .integer(slot.end)), ("size", .integer(slot.count)),
        ])
    }
}
