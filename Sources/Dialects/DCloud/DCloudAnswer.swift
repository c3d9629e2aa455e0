import HTTPTypes
import Uploads

// The answers of docs/dialects/dcloud.md 1.3, 1.4.7 and 1.5, member by member.

extension DCloudExchange {
    func answer(_ outcomes: [Result<Outcome, UploadError>]) -> Answer {
        switch plan {
        case .query(let boundary): return queryAnswer(boundary, outcomes)
        case .cancel, .upload, .refuse: break
        }
        var described: SessionProgress?
        var known: [FileProgress]?
        var published: [PublishedFile] = []
        var failure = failure
        var touched = touched
        for outcome in outcomes {
            switch outcome {
            case .success(.described(let progress)):
                described = progress
                known = progress?.files
            case .success(.outlined(let outline)): known = outline?.files
            case .success(.published(let file)): published.append(file)
            case .success(.publishedForm(let files, let error)):
                published += files
                failure = failure ?? error.map { DCloudError($0) }
            case .success(.received(.committed(let progress, _))): touched.append(progress)
            case .success(.received(.held)), .success(.done), .success(.claimed), .success(.number), .success(.found):
                break
            case .failure(let error): failure = failure ?? DCloudError(error)
            }
        }
        let list = fileList(touched, known, published)
        if let failure { return failure.answer(type: mount.answerType, files: list, published: filesMember(published)) }
        var members: [(String, JSON)] = [
            ("result", .string("OK")), ("code", .integer(0)), ("message", .string("Success")),
        ]
        if let list { members.append(("file", list)) }
        if !published.isEmpty {
            members.append(("error", .string("0")))
            members.append(("strings", .fields(described?.fields ?? requestFields)))
            members.append(("files", .object(filesMember(published))))
        }
        return Answer(.ok, .object(members), type: mount.answerType, code: "0")
    }

    private func queryAnswer(
        _ boundary: CanonicalBoundary?,
        _ outcomes: [Result<Outcome, UploadError>]
    ) -> Answer {
        var outline: SessionOutline?
        switch outcomes.first {
        case .success(.outlined(let outlined)): outline = outlined
        case .failure(let error): return DCloudError(error).asQueryFailure.answer(type: mount.answerType, files: nil)
        case .success(.done), .success(.published), .success(.publishedForm), .success(.received), .success(.number),
            .success(.claimed), .success(.found), .success(.described), nil:
            break
        }
        let members: [(String, JSON)] = [
            ("protocol", .string("uploader")),
            ("support", .boolean(boundary != nil && mount.allowsResume)),
            ("boundary", .string(boundary?.text ?? "")),
            ("file", .array((outline?.files ?? []).map(Self.json))),
            ("data", .array((outline?.fieldNames ?? []).map { .object([("name", .string($0))]) })),
        ]
        return Answer(.ok, .object(members), type: mount.answerType, code: "query")
    }

    /// Removes an upload that is not complete; a cancellation that has nothing to cancel says so.
    func cancel(_ boundary: CanonicalBoundary?) -> Step {
        guard let boundary else {
            return .answer(refusal(.noFile("a cancellation needs the boundary of its upload")))
        }
        let fail = { (error: UploadError) in refusal(DCloudError(error)) }
        return .perform(.outline(key(boundary)), orFail: fail) { outcome in
            guard case .outlined(let outline?) = outcome else {
                let words = "there is no upload of this boundary; it may have been cancelled, or have expired"
                return .answer(refusal(.conflict(words)))
            }
            if !outline.files.isEmpty, outline.files.allSatisfy(\.isPublished) {
                let files = JSON.array(outline.files.map(Self.json))
                return .answer(refusal(.conflict("the upload is complete"), files))
            }
            return .perform(.remove(key(boundary)), orFail: fail) { _ in
                let members: [(String, JSON)] = [
                    ("result", .string("OK")), ("code", .integer(0)), ("message", .string("Success")),
                ]
                return .answer(Answer(.ok, .object(members), type: mount.answerType, code: "0"))
            }
        }
    }

    private func refusal(_ error: DCloudError, _ files: JSON? = nil) -> Answer {
        error.answer(type: mount.answerType, files: files)
    }

    private static func json(_ file: FileProgress) -> JSON {
        .object([
            ("name", .string(file.spec.field)), ("range", .string("0-\(file.prefix)")),
            ("size", .integer(file.spec.total)), ("complete", .boolean(file.isPublished)),
        ])
    }

    /// The member `file`: what is now known of the files that this request touched, or, when it touched none because of
    /// an error, of all files of the session.
    private func fileList(
        _ touched: [FileProgress],
        _ known: [FileProgress]?,
        _ published: [PublishedFile]
    ) -> JSON? {
        if touched.isEmpty { return known.map { .array($0.map(Self.json)) } }
        let known = Dictionary((known ?? []).map { (ByBytes($0.spec.field), $0) }) { first, _ in first }
        let published = Dictionary(published.map { (ByBytes($0.spec.field), $0) }) { first, _ in first }
        var last: [FileProgress] = []
        var names: Set<ByBytes> = []
        for progress in touched.reversed() where names.insert(ByBytes(progress.spec.field)).inserted {
            last.append(progress)
        }
        return .array(
            last.reversed().map { progress in
                let name = ByBytes(progress.spec.field)
                if let file = published[name] {
                    return Self.json(
                        FileProgress(spec: file.spec, prefix: file.spec.total, state: .published(path: file.path))
                    )
                }
                return Self.json(known[name] ?? progress)
            }
        )
    }

    /// The member `files`; a second file of a field is `name[1]`, a third `name[2]`, unless a field is called so.
    private func filesMember(_ published: [PublishedFile]) -> [(String, JSON)] {
        var counts: [ByBytes: Int] = [:]
        var names = Set(published.map { ByBytes($0.spec.field) })
        return published.map { file in
            let field = file.spec.field
            var name = field
            if var number = counts[ByBytes(field)] {
                repeat {
                    name = "\(field)[\(number)]"
                    number += 1
                } while !names.insert(ByBytes(name)).inserted
                counts[ByBytes(field)] = number
            } else {
                counts[ByBytes(field)] = 1
            }
            return (
                name,
                .object([
                    ("name", .string(file.path)), ("url", .string(mount.publicURL + file.path.percentEncodedPath)),
                    ("type", .string(file.spec.mediaType)), ("size", .integer(file.spec.total)),
                    ("fileName", .string(file.spec.fileName)),
                ])
            )
        }
    }
}
