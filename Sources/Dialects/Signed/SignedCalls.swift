import HTTPTypes
import Uploads

// The JSON calls of docs/dialects/signed.md 5.4-5.7.

extension SignedExchange {
    /// Under these names the task's state is kept with it.
    private enum Stored {
        static let status = "status"
        static let confirmation = "confirmation"
        /// How many bytes the names and the status have at most.
        static let bytesMax = 64
    }

    func task(_ id: String) -> SessionKey { SessionKey(on: mount, id: id) }

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
        let key = FileKey(task(try arguments.text("task_id")), field: try arguments.text("upload_id"))
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
        let key = FileKey(task(try arguments.text("task_id")), field: try arguments.text("upload_id"))
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
        let key = task(taskID)
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
            guard let folder = RelativePath(parsing: "\(mount.keyPrefix)/\(taskID)"),
                let name = RelativePath(component: "task.json"), let path = folder.appending(name)
            else { return refuse(.notFound) }
            let field = FormField(name: Stored.confirmation, value: confirmation)
            let status = FormField(name: Stored.status, value: "QUEUED")
            return .claim(field, with: [status], key, orFail: refusal) { claimed in
                guard let claimed else { return refuse(.notFound) }
                guard let known = try? JSONReader.read(Array(claimed.utf8)), known == metadata else {
                    return refuse(.conflict("the task is confirmed already, with other content"))
                }
                // The file comes last: nothing may fail between its name and the answer. It is what the ledger has, as the
                // same content may have been written otherwise.
                let content = Command.publishContent(Array(claimed.utf8), Target(path, ifTaken: .replace))
                return .perform(content, orFail: refusal) { _ in
                    answer([
                        ("task_id", .string(taskID)), ("status", .string("QUEUED")),
                        ("message", .string("Task confirmed")),
                    ])
                }
            }
        }
    }
}
