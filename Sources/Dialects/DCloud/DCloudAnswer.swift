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
        var published: [PublishedFile] = []
        var failure = failure
        var touched = touched
        for outcome in outcomes {
            switch outcome {
            case .success(.described(let progress)): described = progress
            case .success(.published(let file)): published.append(file)
            case .success(.publishedForm(let files, let error)):
                published += files
                failure = failure ?? error.map { DCloudError($0) }
            case .success(.received(.committed(let progress, _))): touched.append(progress)
            case .success(.received(.held)), .success(.done), .success(.number), .success(.found): break
            case .failure(let error): failure = failure ?? DCloudError(error)
            }
        }
        let list = fileList(touched, described, published)
        if let failure { return failure.answer(type: mount.answerType, files: list, published: filesMember(published)) }
        var members: [(String, JSON)] = [
            ("result", .string("OK")), ("code", .integer(0)), ("message", .string("Success")),
        ]
        if let list { members.append(("file", list)) }
        if !published.isEmpty {
            members.append(("error", .string("0")))
            members.append(("strings", .object(strings(described))))
            members.append(("files", .object(filesMember(published))))
        }
        return Answer(.ok, .object(members), type: mount.answerType, code: "0")
    }

    private func queryAnswer(
        _ boundary: CanonicalBoundary?,
        _ outcomes: [Result<Outcome, UploadError>]
    ) -> Answer {
        var progress: SessionProgress?
        switch outcomes.first {
        case .success(.described(let described)): progress = described
        case .failure(let error): return DCloudError(error).asQueryFailure.answer(type: mount.answerType, files: nil)
        case .success(.done), .success(.published), .success(.publishedForm), .success(.received), .success(.number),
            .success(.found), nil:
            break
        }
        let members: [(String, JSON)] = [
            ("protocol", .string("uploader")),
            ("support", .boolean(boundary != nil && mount.allowsResume)),
            ("boundary", .string(boundary?.text ?? "")),
            ("file", .array((progress?.files ?? []).map(Self.json))),
            ("data", .array((progress?.fields ?? []).map { .object([("name", .string($0.name))]) })),
        ]
        return Answer(.ok, .object(members), type: mount.answerType, code: "query")
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
        _ described: SessionProgress?,
        _ published: [PublishedFile]
    ) -> JSON? {
        if touched.isEmpty { return described.map { .array($0.files.map(Self.json)) } }
        var last: [FileProgress] = []
        for progress in touched {
            last.removeAll { $0.spec.field == progress.spec.field }
            last.append(progress)
        }
        return .array(
            last.map { progress in
                if let file = published.first(where: { $0.spec.field == progress.spec.field }) {
                    return Self.json(
                        FileProgress(spec: file.spec, prefix: file.spec.total, state: .published(path: file.path))
                    )
                }
                let known = described?.files.first { $0.spec.field == progress.spec.field }
                return Self.json(known ?? progress)
            }
        )
    }

    /// The member `strings`: the fields of the task, those of this request last.
    private func strings(_ described: SessionProgress?) -> [(String, JSON)] {
        var all = described?.fields ?? []
        for field in requestFields {
            if let index = all.firstIndex(where: { $0.name == field.name }) {
                all[index] = field
            } else {
                all.append(field)
            }
        }
        return all.map { ($0.name, .string($0.value)) }
    }

    /// The member `files`; a second file of a field is `name[1]`, a third `name[2]`.
    private func filesMember(_ published: [PublishedFile]) -> [(String, JSON)] {
        var counts: [String: Int] = [:]
        return published.map { file in
            let field = file.spec.field
            let number = counts[field, default: 0]
            counts[field] = number + 1
            return (
                number == 0 ? field : "\(field)[\(number)]",
                .object([
                    ("name", .string(file.path)), ("url", .string(mount.publicURL + file.path.percentEncodedPath)),
                    ("type", .string(file.spec.mediaType)), ("size", .integer(file.spec.total)),
                ])
            )
        }
    }
}
