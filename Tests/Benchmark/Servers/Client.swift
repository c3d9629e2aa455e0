/// The clients of each protocol.
enum Client: Sendable {
    /// PUT of each part to a file of its own.
    case dav
    /// A form for each part, with its place in header fields.
    case probe
    /// The bare part, with its place in header fields.
    case raw
    case dcloud, fileid, parts, offset, signed

    /// The parameters of a mount of Fermata's.
    var parameters: [String: String] {
        let parameters: [String: String] =
            switch self {
            case .dav, .probe, .raw: [:]
            case .dcloud: ["FERMATA_DIALECT": "dcloud"]
            case .fileid: ["FERMATA_DIALECT": "fileid"]
            case .parts: ["FERMATA_DIALECT": "parts"]
            case .offset: ["FERMATA_DIALECT": "offset"]
            case .signed: ["FERMATA_DIALECT": "signed", "FERMATA_MIN_PART": "1"]
            }
        return parameters.merging(["FERMATA_MAX_PART": "2g", "FERMATA_MAX_FILE": "2g"]) { $1 }
    }
}

/// One file on its way.
struct Upload {
    let file: Int
    let workload: Workload
    /// What the file is called, the same for nobody else.
    let name: String
    /// Where the stack is mounted, without a slash at its end.
    let path: String
    let content: Content
    let connection: LoadConnection

    private var parts: [Workload.Part] { workload.parts(of: file) }

    /// Sends it.
    ///
    /// - Returns: where its bytes are below the root; `nil` when they are not in one file.
    func send(as client: Client) throws -> String? {
        switch client {
        case .dav: try dav()
        case .probe: try probe()
        case .raw: try raw()
        case .dcloud: try dcloud()
        case .fileid: try fileid()
        case .parts: try numberedParts()
        case .offset: try offset()
        case .signed: try signed()
        }
    }

    // MARK: Forms

    private var boundary: String { "----Bench\(name)" }
    private var formType: String { "multipart/form-data; boundary=\(boundary)" }
    private var end: String { "\r\n--\(boundary)--\r\n" }

    private func field(_ name: String, _ value: String) -> String {
        "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(name)\"\r\n\r\n\(value)\r\n"
    }

    private func fileHead(_ field: String = "file", _ more: String = "") -> String {
        "--\(boundary)\r\nContent-Disposition: form-data; name=\"\(field)\"; filename=\"\(name)\"\(more)\r\n"
            + "Content-Type: application/octet-stream\r\n\r\n"
    }

    /// Sends a form that consists of fields.
    private func call(_ target: String, _ fields: String) throws -> LoadConnection.Answer {
        try connection.call("POST", target, formType, "\(fields)--\(boundary)--\r\n")
    }

    /// Sends a form that ends with a part.
    private func send(
        _ part: Workload.Part,
        to target: String,
        _ method: String = "POST",
        after head: String,
        _ fields: [String] = []
    ) throws -> LoadConnection.Answer {
        let fields = fields + ["Content-Type: \(formType)"]
        return try connection.upload(method, target, fields, part, prefix: head, suffix: end)
    }

    private func callJSON(_ target: String, _ body: String) throws -> LoadConnection.Answer {
        try connection.call("POST", path + target, "application/json", body)
    }

    // MARK: References

    private func dav() throws -> String? {
        for part in parts { _ = try connection.upload("PUT", "\(path)/\(name)-\(part.index)", [], part) }
        return nil
    }

    private func probe() throws -> String {
        for part in parts { _ = try send(part, to: path + "/", after: fileHead(), place(part)) }
        return "f\(file)"
    }

    private func raw() throws -> String {
        for part in parts { _ = try connection.upload("POST", path + "/", place(part), part) }
        return "f\(file)"
    }

    private func place(_ part: Workload.Part) -> [String] { ["X-File: \(file)", "X-Start: \(part.start)"] }

    // MARK: Dialects

    private func dcloud() throws -> String {
        for part in parts {
            let range = "; range=\"\(part.start)-\(part.end)/\(workload.fileBytes)\""
            _ = try send(part, to: path + "/", after: fileHead("file", range))
        }
        return name
    }

    private func fileid() throws -> String {
        let begin = field("option", "initiate") + field("catalog", "c") + fileHead() + "\r\n"
        let id: Int = try call(path, begin).member("fileId")
        var list: [String] = []
        for part in parts {
            let number = part.index + 1
            let head = field("fileId", "\(id)") + field("part", "\(number)") + fileHead()
            let md5: String = try send(part, to: path, after: head).member("md5string")
            list.append("\(number):'\(md5)'")
        }
        let md5s = "{\(list.joined(separator: ","))}"
        _ = try call(path, field("option", "complete") + field("fileId", "\(id)") + field("parts", md5s))
        return "c/\(id)-\(name)"
    }

    private func numberedParts() throws -> String {
        let id: String = try callJSON("/uploadInit", #"{"resourceKey":"\#(name)"}"#).member("uploadId")
        var list: [String] = []
        for part in parts {
            let (number, md5) = (part.index + 1, content.md5(part))
            let head = field("partNumber", "\(number)") + field("uploadId", id) + field("md5", md5)
            _ = try send(part, to: path + "/upload", after: head + fileHead("content"))
            list.append(#"{"partNumber":\#(number),"md5":"\#(md5)"}"#)
        }
        let members = #""uploadId":"\#(id)","completeMultipartUpload":[\#(list.joined(separator: ","))]"#
        _ = try callJSON("/uploadComplete", "{\(members)}")
        return name
    }

    private func offset() throws -> String {
        let begin =
            field("storage_path", "./") + field("file_relative_path", name) + field("file_type", "bin")
            + field("file_size", "\(workload.fileBytes)")
        let data: [String: Any] = try call(path + "/", begin).member("data")
        guard let id = data["id"] as? String else { throw BenchmarkError("no id in \(data)") }
        for part in parts {
            let head = field("upload_offset", "\(part.start)") + fileHead()
            _ = try send(part, to: "\(path)/\(id)", "PATCH", after: head)
        }
        return name
    }

    private func signed() throws -> String {
        let begin = try callJSON(
            "/multipart/init",
            #"{"filename":"\#(name)","file_size":\#(workload.fileBytes),"file_type":"master","#
                + #""chunk_size":\#(workload.partBytes)}"#
        )
        let urls = try begin.member("parts", as: [[String: Any]].self).compactMap { $0["upload_url"] as? String }
        guard urls.count == parts.count else { throw BenchmarkError("\(urls.count) part URLs") }
        var list: [String] = []
        for (part, url) in zip(parts, urls) {
            guard let host = url.firstRange(of: "localhost") else { throw BenchmarkError(url) }
            let answer = try connection.upload("PUT", String(url[host.upperBound...]), [], part)
            let tag = (answer.fields["etag"] ?? "").filter { $0 != "\"" }
            list.append(#"{"part_number":\#(part.index + 1),"etag":"\#(tag)"}"#)
        }
        let members = try ["task_id", "upload_id", "object_key"]
            .map { #""\#($0)":"\#(try begin.member($0, as: String.self))""# }
        _ = try callJSON(
            "/multipart/complete",
            "{\(members.joined(separator: ",")),\"file_type\":\"master\",\"parts\":[\(list.joined(separator: ","))]}"
        )
        return try begin.member("object_key")
    }
}
