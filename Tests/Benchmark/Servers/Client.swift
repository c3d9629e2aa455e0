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
        return parameters.merging(["FERMATA_MAX_PART": "2g", "FERMATA_MAX_FILE": "1t"]) { $1 }
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
        let begun = try begin(as: client)
        let tags = try parts.map { try send($0, as: client, begun) }
        return try finish(as: client, begun, tags)
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

    // MARK: Steps

    /// What the server said when the upload began.
    struct Begun {
        /// What names the upload.
        var id = ""
        /// Where each part goes.
        var urls: [String] = []
        /// Where the bytes will be below the root.
        var path: String?
    }

    /// Begins the upload, where the protocol has that.
    func begin(as client: Client) throws -> Begun {
        switch client {
        case .dav: return Begun()
        case .probe, .raw: return Begun(path: "f\(file)")
        case .dcloud: return Begun(path: name)
        case .fileid:
            let begin = field("option", "initiate") + field("catalog", "c") + fileHead() + "\r\n"
            let id: Int = try call(path, begin).member("fileId")
            return Begun(id: "\(id)", path: "c/\(id)-\(name)")
        case .parts:
            let answer = try callJSON("/uploadInit", #"{"resourceKey":"\#(name)"}"#)
            return Begun(id: try answer.member("uploadId"), path: name)
        case .offset:
            let begin =
                field("storage_path", "./") + field("file_relative_path", name) + field("file_type", "bin")
                + field("file_size", "\(workload.fileBytes)")
            let data: [String: Any] = try call(path + "/", begin).member("data")
            guard let id = data["id"] as? String else { throw BenchmarkError("no id in \(data)") }
            return Begun(id: id, path: name)
        case .signed:
            let answer = try callJSON(
                "/multipart/init",
                #"{"filename":"\#(name)","file_size":\#(workload.fileBytes),"file_type":"master","#
                    + #""chunk_size":\#(workload.partBytes)}"#
            )
            let urls: [[String: Any]] = try answer.member("parts")
            let members = try ["task_id", "upload_id", "object_key"]
                .map { #""\#($0)":"\#(try answer.member($0, as: String.self))""# }
            return Begun(
                id: members.joined(separator: ","),
                urls: urls.compactMap { $0["upload_url"] as? String },
                path: try answer.member("object_key")
            )
        }
    }

    /// Sends a part.
    ///
    /// - Returns: what a list of parts has of it, in protocols with such a list.
    @discardableResult
    func send(_ part: Workload.Part, as client: Client, _ begun: Begun) throws -> String {
        let number = part.index + 1
        switch client {
        case .dav:
            _ = try connection.upload("PUT", "\(path)/\(name)-\(part.index)", [], part)
        case .probe:
            _ = try send(part, to: path + "/", after: fileHead(), place(part))
        case .raw:
            _ = try connection.upload("POST", path + "/", place(part), part)
        case .dcloud:
            let range = "; range=\"\(part.start)-\(part.end)/\(workload.fileBytes)\""
            _ = try send(part, to: path + "/", after: fileHead("file", range))
        case .fileid:
            let head = field("fileId", begun.id) + field("part", "\(number)") + fileHead()
            let md5: String = try send(part, to: path, after: head).member("md5string")
            return "\(number):'\(md5)'"
        case .parts:
            let md5 = content.md5(part)
            let head = field("partNumber", "\(number)") + field("uploadId", begun.id) + field("md5", md5)
            _ = try send(part, to: path + "/upload", after: head + fileHead("content"))
            return #"{"partNumber":\#(number),"md5":"\#(md5)"}"#
        case .offset:
            let head = field("upload_offset", "\(part.start)") + fileHead()
            _ = try send(part, to: "\(path)/\(begun.id)", "PATCH", after: head)
        case .signed:
            guard part.index < begun.urls.count, let host = begun.urls[part.index].firstRange(of: "localhost") else {
                throw BenchmarkError("there is no URL of part \(number)")
            }
            let answer = try connection.upload("PUT", String(begun.urls[part.index][host.upperBound...]), [], part)
            let tag = (answer.fields["etag"] ?? "").filter { $0 != "\"" }
            return #"{"part_number":\#(number),"etag":"\#(tag)"}"#
        }
        return ""
    }

    private func place(_ part: Workload.Part) -> [String] { ["X-File: \(file)", "X-Start: \(part.start)"] }

    /// Completes the upload, where the protocol has that; where its bytes are.
    private func finish(as client: Client, _ begun: Begun, _ tags: [String]) throws -> String? {
        let list = tags.joined(separator: ",")
        switch client {
        case .dav, .probe, .raw, .dcloud, .offset: break
        case .fileid:
            let complete = field("option", "complete") + field("fileId", begun.id) + field("parts", "{\(list)}")
            _ = try call(path, complete)
        case .parts:
            _ = try callJSON("/uploadComplete", #"{"uploadId":"\#(begun.id)","completeMultipartUpload":[\#(list)]}"#)
        case .signed:
            _ = try callJSON("/multipart/complete", #"{\#(begun.id),"file_type":"master","parts":[\#(list)]}"#)
        }
        return begun.path
    }
}
