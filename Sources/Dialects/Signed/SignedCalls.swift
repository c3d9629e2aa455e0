import Digests
import HTTPTypes
import Uploads

// The JSON calls of docs/dialects/signed.md 5.2 and 5.4-5.7.

extension SignedExchange {
    /// Under these names the task's state is kept with it.
    private enum Stored {
        static let status = "status"
        static let confirmation = "confirmation"
        /// How many bytes the names and the status have at most.
        static let bytesMax = 64
    }

    // MARK: init (docs/dialects/signed.md 5.2)

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
        let stored = RelativePath(fileName: fileName, on: mount).name ?? ""
        guard mount.allows(fileName: stored, mediaType: mediaType) else {
            throw .forbidden("this type of file is not allowed")
        }
        let wanted = try arguments.optionalNatural("chunk_size") ?? mount.chunkBytes
        let stride = Self.stride(wanted: wanted, total: size, on: mount)
        guard let existing = arguments.optionalText("task_id") else {
            return open(task: Self.identifier(), fileName, kind, mediaType, total: size, stride: stride)
        }
        // A second file of a task that its owner has begun.
        return .describe(session(existing), orFail: refusal) { session in
            guard session != nil else { return refuse(.notFound) }
            return open(task: existing, fileName, kind, mediaType, total: size, stride: stride)
        }
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

    private func session(_ taskID: String) -> SessionKey {
        SessionKey(on: mount, id: taskID)
    }

    private func open(
        task: String,
        _ fileName: String,
        _ kind: String,
        _ mediaType: String,
        total: Int64,
        stride: Int64
    ) -> Step {
        let folder = RelativePath(parsing: "\(mount.keyPrefix)/\(task)/\(kind)")
        guard let path = folder?.appending(RelativePath(fileName: fileName, on: mount)) else {
            return refuse(.badRequest("filename is too long"))
        }
        let uploadID = Self.identifier()
        let key = FileKey(session(task), field: uploadID)
        let spec = FileSpec(
            field: uploadID,
            fileName: fileName,
            mediaType: mediaType,
            target: Target(path, ifTaken: .replace),
            total: total
        )
        let layout = PartLayout(stride: stride, total: total)
        let upload = NewUpload(key, spec, fields: [], kind: .parts(layout))
        return .open(upload, orFail: refusal) { _ in
            let count = PartLayout.partCount(total: total, stride: stride)
            return answer([
                ("task_id", .string(task)), ("upload_id", .string(uploadID)), ("object_key", .string(path.text)),
                ("total_chunks", .integer(count)),
                ("parts", .array((1...Int(count)).compactMap { part($0, layout, task, uploadID) })),
            ])
        }
    }

    /// What a client needs to send a part; `nil` when the file has none of this number.
    private func part(_ number: Int, _ layout: PartLayout, _ taskID: String, _ uploadID: String) -> JSON? {
        guard let slot = layout.slot(of: number) else { return nil }
        let url = PartURL(
            principal: mount.principal,
            taskID: taskID,
            uploadID: uploadID,
            number: number,
            expiresAt: surroundings.now + mount.urlSeconds
        )
        return .object([
            ("part_number", .integer(Int64(number))),
            ("upload_url", .string(url.text(base: baseURL, on: mount, key: surroundings.signingKey))),
            ("start_byte", .integer(slot.offset)), ("end_byte", .integer(slot.end)), ("size", .integer(slot.count)),
        ])
    }

    // MARK: list (docs/dialects/signed.md 5.4)

    func list(_ arguments: CallArguments) throws(SignedError) -> Step {
        try withUpload(arguments) { _, key, file in
            guard file.state != .cancelled else { return refuse(.notFound) }
            guard case .parts(let layout) = file.kind, let stride = layout.stride else { return refuse(.notFound) }
            let received = Set(file.parts.map(\.number))
            let count = Int(PartLayout.partCount(total: file.spec.total, stride: stride))
            let missing = file.isPublished ? [] : (1...count).filter { !received.contains($0) }
            return answer([
                (
                    "parts",
                    .array(
                        file.parts.map {
                            .object([("part_number", .integer(Int64($0.number))), ("etag", .string("\($0.digest)"))])
                        }
                    )
                ),
                ("missing", .array(missing.compactMap { part($0, layout, key.session.id, key.field) })),
            ])
        }
    }

    /// Finds the upload that three identifiers name together.
    private func withUpload(
        _ arguments: CallArguments,
        _ step: @escaping (SessionProgress, FileKey, FileProgress) -> Step
    ) throws(SignedError) -> Step {
        let key = FileKey(session(try arguments.text("task_id")), field: try arguments.text("upload_id"))
        let objectKey = try arguments.text("object_key")
        return .describe(key.session, orFail: refusal) { session in
            guard let session, let file = session.file(key.field), file.spec.target.path.text.isSame(as: objectKey)
            else {
                return refuse(.notFound)
            }
            return step(session, key, file)
        }
    }

    // MARK: complete (docs/dialects/signed.md 5.5)

    func complete(_ arguments: CallArguments) throws(SignedError) -> Step {
        let claims = try arguments.claims()
        let kind = try arguments.text("file_type")
        return try withUpload(arguments) { _, key, file in
            switch file.state {
            case .cancelled: return refuse(.conflict("the upload was aborted"))
            case .open, .published: break
            }
            guard file.spec.target.path.parent.name?.isSame(as: kind) == true else { return refuse(.notFound) }
            guard case .parts(let layout) = file.kind, let stride = layout.stride else { return refuse(.notFound) }
            // A client that has forgotten parts would otherwise make a truncated file of the rest.
            let count = Int(PartLayout.partCount(total: file.spec.total, stride: stride))
            guard claims.map(\.number) == Array(1...count) else {
                return refuse(.badRequest("the list must have each of the parts 1 to \(count) once"))
            }
            var rules = AssemblyRules(totalMax: mount.fileBytesMax)
            rules.total = file.spec.total
            return .assemble(key, claims, rules, orFail: refusal) { _ in
                Answer(
                    .ok,
                    .object([
                        ("object_key", .string(file.spec.target.path.text)),
                        ("message", .string("Upload completed")),
                    ]),
                    type: mount.answerType,
                    code: "OK"
                )
            }
        }
    }

    // MARK: abort (docs/dialects/signed.md 5.7)

    func abort(_ arguments: CallArguments) throws(SignedError) -> Step {
        let key = FileKey(session(try arguments.text("task_id")), field: try arguments.text("upload_id"))
        let objectKey = try arguments.text("object_key")
        let aborted = answer([("message", .string("Upload aborted"))])
        return .describe(key.session, orFail: refusal) { session in
            guard let file = session?.file(key.field), file.spec.target.path.text.isSame(as: objectKey) else {
                return aborted
            }
            return .perform(.cancel(key), orFail: refusal) { _ in aborted }
        }
    }

    // MARK: confirm (docs/dialects/signed.md 5.6)

    func confirm(_ arguments: CallArguments) throws(SignedError) -> Step {
        let taskID = try arguments.text("task_id")
        let key = session(taskID)
        var objectKeys = [try arguments.text("master_object_key")]
        if let include = arguments.optionalText("include_object_key"), !include.isEmpty { objectKeys.append(include) }
        let metadata = try arguments.metadata()
        let confirmation = String(decoding: metadata.encoded, as: UTF8.self)
        // It is kept with the task, where other fields are but a few bytes.
        guard confirmation.utf8.count <= mount.allFieldBytesMax - Stored.bytesMax else {
            throw .tooLarge(UploadError.words(forFieldBytes: mount.allFieldBytesMax))
        }
        return .describe(key, orFail: refusal) { session in
            guard let session else { return refuse(.notFound) }
            for objectKey in objectKeys {
                let files = session.files.filter { $0.spec.target.path.text.isSame(as: objectKey) }
                guard !files.isEmpty else { return refuse(.notFound) }
                guard files.contains(where: \.isPublished) else {
                    return refuse(.conflict("\(objectKey) is not complete"))
                }
            }
            if let before = session.value(Stored.confirmation),
                let known = try? JSONReader.read(Array(before.utf8)), known != metadata
            {
                return refuse(.conflict("the task is confirmed already, with other content"))
            }
            guard let folder = RelativePath(parsing: "\(mount.keyPrefix)/\(taskID)"),
                let name = RelativePath(component: "task.json"), let path = folder.appending(name)
            else { return refuse(.notFound) }
            let content = Command.publishContent(metadata.encoded, Target(path, ifTaken: .replace))
            let fields = [
                FormField(name: Stored.status, value: "QUEUED"),
                FormField(name: Stored.confirmation, value: confirmation),
            ]
            // The file comes last: nothing may fail between its name and the answer.
            return .perform(.store(fields, key), orFail: refusal) { _ in
                .perform(content, orFail: refusal) { _ in
                    answer([
                        ("task_id", .string(taskID)), ("status", .string("QUEUED")),
                        ("message", .string("Task confirmed")),
                    ])
                }
            }
        }
    }
}
