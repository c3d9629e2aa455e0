import Foundation

/// What clients of the dialects with numbered parts send, and how they read the answers.
struct NumberedRequests {
    /// A part as its client knows it.
    struct Part {
        let number: Int
        let digest: String
    }

    let dialect: RaceDialect
    let name: String
    /// What the server calls the upload, in the words of the dialect; empty before it has begun.
    private(set) var identifiers: [String: String] = [:]
    /// Where the parts go, of which each has a URL.
    private(set) var urls: [Int: (path: String, query: String)] = [:]

    init(_ dialect: RaceDialect, name: String) {
        self.dialect = dialect
        self.name = name
    }

    private func json(_ members: [String: Any], at path: String) -> WebRequest {
        let all = members.merging(identifiers) { $1 }
        let data = (try? JSONSerialization.data(withJSONObject: all)) ?? Data()
        return Form.json(String(decoding: data, as: UTF8.self), at: path)
    }

    // MARK: Begin

    func begin(total: Int, stride: Int) -> WebRequest {
        switch dialect {
        case .fileid:
            Form.request([.field("option", "initiate"), .field("catalog", "cat"), .file([], fileName: name)])
        case .parts: json(["resourceKey": "folder/" + name], at: "/uploadInit")
        case .signed, .dcloud, .offset:
            json(
                ["filename": name, "file_size": total, "file_type": "master", "chunk_size": stride],
                at: "/multipart/init"
            )
        }
    }

    /// Takes over what an upload is called; false when the answer does not say it.
    mutating func hasBegun(_ reply: Reply) -> Bool {
        let json = reply.json
        switch dialect {
        case .fileid: identifiers["fileId"] = (json["fileId"] as? Int).map { String($0) }
        case .parts: identifiers["uploadId"] = json["uploadId"] as? String
        case .signed, .dcloud, .offset:
            for name in ["task_id", "upload_id", "object_key"] { identifiers[name] = json[name] as? String }
            for part in json["parts"] as? [[String: Any]] ?? [] {
                guard let number = part["part_number"] as? Int, let text = part["upload_url"] as? String,
                    let url = URLComponents(string: text)
                else { continue }
                let path = url.percentEncodedPath.dropFirst(WebRequest.mountPath.count)
                urls[number] = (String(path), url.percentEncodedQuery ?? "")
            }
        }
        return reply.status == 200 && !identifiers.isEmpty
    }

    // MARK: Parts

    func part(_ part: Part, _ bytes: [UInt8], fieldsFirst: Bool) -> WebRequest {
        switch dialect {
        case .fileid:
            let fields = [
                Form.Part.field("fileId", identifiers["fileId"] ?? ""), .field("part", String(part.number)),
                .field("md5", part.digest),
            ]
            let file = [Form.Part.file(bytes, fileName: name)]
            return Form.request(fieldsFirst ? fields + file : file + fields)
        case .parts:
            let fields = [
                Form.Part.field("uploadId", identifiers["uploadId"] ?? ""), .field("partNumber", String(part.number)),
                .field("md5", part.digest),
            ]
            let file = [Form.Part.file(bytes, name: "content", fileName: name)]
            return Form.request(fieldsFirst ? fields + file : file + fields, at: "/upload")
        case .signed, .dcloud, .offset:
            let url = urls[part.number]
            return WebRequest(
                method: "PUT",
                path: url?.path ?? "",
                query: url?.query ?? "",
                contentType: "application/octet-stream",
                body: bytes
            )
        }
    }

    func list() -> WebRequest {
        switch dialect {
        case .fileid:
            Form.request([.field("option", "initiate"), .field("fileId", identifiers["fileId"] ?? "")])
        case .parts: json([:], at: "/listParts")
        case .signed, .dcloud, .offset: json([:], at: "/multipart/list")
        }
    }

    /// The parts that a list has.
    func parts(in reply: Reply) -> [Part] {
        switch dialect {
        case .fileid:
            return (reply.json["parts"] as? [String: String] ?? [:]).compactMap { number, digest in
                Int(number).map { Part(number: $0, digest: digest) }
            }
        case .parts: return Self.parts(reply.jsonArray, "partNumber", "md5")
        case .signed, .dcloud, .offset:
            return Self.parts(reply.json["parts"] as? [[String: Any]] ?? [], "part_number", "etag")
        }
    }

    private static func parts(_ entries: [[String: Any]], _ number: String, _ digest: String) -> [Part] {
        entries.compactMap { entry in
            guard let number = entry[number] as? Int, let digest = entry[digest] as? String else { return nil }
            return Part(number: number, digest: digest)
        }
    }

    // MARK: The end

    func complete(_ parts: [Part]) -> WebRequest {
        switch dialect {
        case .fileid:
            let list = parts.map { "\($0.number):'\($0.digest)'" }.joined(separator: ",")
            let fields = [
                Form.Part.field("option", "complete"), .field("fileId", identifiers["fileId"] ?? ""),
                .field("parts", "{\(list)}"),
            ]
            return Form.request(fields)
        case .parts:
            let list = parts.map { ["partNumber": String($0.number), "md5": $0.digest] }
            return json(["completeMultipartUpload": list], at: "/uploadComplete")
        case .signed, .dcloud, .offset:
            let list: [[String: Any]] = parts.map { ["part_number": $0.number, "etag": $0.digest] }
            return json(["parts": list, "file_type": "master"], at: "/multipart/complete")
        }
    }

    /// Gives the upload up; `nil` where the dialect can not.
    func abort() -> WebRequest? {
        switch dialect {
        case .parts: json([:], at: "/abort")
        case .signed: json([:], at: "/multipart/abort")
        case .fileid, .dcloud, .offset: nil
        }
    }

    /// Where a confirmation is kept; `nil` where the dialect has none.
    var confirmationPath: String? { dialect == .signed ? identifiers["task_id"].map { "tasks/\($0)/task.json" } : nil }

    /// Confirms the task; `nil` where the dialect has none.
    func confirm(_ job: String) -> WebRequest? {
        guard dialect == .signed, let task = identifiers["task_id"], let key = identifiers["object_key"] else {
            return nil
        }
        return Form.json(#"{"task_id":"\#(task)","master_object_key":"\#(key)","job_name":"\#(job)"}"#, at: "/confirm")
    }
}

extension Reply {
    /// The answer's body as a JSON array of objects.
    var jsonArray: [[String: Any]] {
        guard case .answer(_, _, let body) = self else { return [] }
        return (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [[String: Any]]) ?? []
    }
}
