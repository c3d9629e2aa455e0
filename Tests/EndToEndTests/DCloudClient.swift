import Foundation
import Testing

/// The bodies of the DCloud protocol (docs/dialects/dcloud.md 1), and a connection to send them on.
struct DCloudClient {
    let site: any UploadServer
    var path = "/FileUploader/"
    var boundary = "----TestBoundary01"
    var user: String?

    var contentType: String { "multipart/form-data; boundary=\(boundary)" }
    var fields: [String] { user.map { ["X-Test-User: \($0)"] } ?? [] }

    /// A part of a form.
    struct Part {
        var header: [String]
        var bytes: [UInt8]

        static func field(_ name: String, _ value: String) -> Part {
            Part(header: [#"Content-Disposition: form-data; name="\#(name)""#], bytes: Array(value.utf8))
        }

        static func file(
            _ bytes: [UInt8],
            range: String? = nil,
            name: String = "file",
            fileName: String? = "ten.bin",
            type: String? = "application/octet-stream",
            disposition: String = "form-data"
        ) -> Part {
            var line = #"Content-Disposition: \#(disposition); name="\#(name)""#
            if let fileName { line += #"; filename="\#(fileName)""# }
            if let range { line += #"; range="\#(range)""# }
            return Part(header: [line] + (type.map { ["Content-Type: \($0)"] } ?? []), bytes: bytes)
        }
    }

    func body(_ parts: [Part]) -> [UInt8] {
        var body: [UInt8] = []
        for part in parts {
            body += "--\(boundary)\r\n".utf8
            for line in part.header { body += (line + "\r\n").utf8 }
            body += [13, 10] + part.bytes + [13, 10]
        }
        return body + "--\(boundary)--\r\n".utf8
    }

    /// Posts parts on a connection of their own.
    func upload(_ parts: Part...) throws -> HTTPConnection.Answer {
        try site.request("POST", path, contentType, body(parts), fields)
    }

    /// Posts a segment of the text `0123456789` or another.
    func segment(
        _ range: String,
        _ text: String,
        name: String = "file",
        fileName: String = "ten.bin"
    ) throws
        -> HTTPConnection.Answer
    {
        try upload(.file(Array(text.utf8), range: range, name: name, fileName: fileName))
    }

    /// Asks for the session of a boundary.
    func query(_ boundary: String? = nil) throws -> HTTPConnection.Answer {
        let body = "server=uploader&action=query&boundary=\(boundary ?? self.boundary)"
        return try site.request(
            "POST",
            path,
            "application/x-www-form-urlencoded",
            Array(body.utf8),
            fields
        )
    }

    /// The next byte that the server wants of a file; 0 when it does not know the file.
    func wanted(_ name: String = "file") throws -> Int {
        let files = try #require(try query().json["file"] as? [[String: Any]])
        guard let file = files.first(where: { $0["name"] as? String == name }) else { return 0 }
        let range = try #require(file["range"] as? String)
        return try #require(range.split(separator: "-").last.flatMap { Int($0) })
    }
}

extension HTTPConnection.Answer {
    /// The entry of a published file.
    func published(_ name: String = "file") throws -> [String: Any] {
        let files = try #require(try json["files"] as? [String: Any])
        return try #require(files[name] as? [String: Any])
    }

    /// Checks that the answer is an error as docs/dialects/dcloud.md 1.5 has it.
    func expectError(_ status: Int, _ code: Int, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(self.status == status, "\(body)", sourceLocation: sourceLocation)
        #expect(self.status != 400, sourceLocation: sourceLocation)
        #expect(fields["content-type"] == "application/json; charset=utf-8", sourceLocation: sourceLocation)
        #expect(fields["cache-control"] == "no-store", sourceLocation: sourceLocation)
        #expect(fields["location"] == nil, sourceLocation: sourceLocation)
        let json = try json
        #expect(json["result"] as? String == "ERROR", sourceLocation: sourceLocation)
        #expect(json["code"] as? Int == code, "\(body)", sourceLocation: sourceLocation)
        #expect((json["message"] as? String)?.isEmpty == false, sourceLocation: sourceLocation)
        #expect(body.hasPrefix(#"{"result":"ERROR","code":\#(code),"message":""#), sourceLocation: sourceLocation)
    }
}
