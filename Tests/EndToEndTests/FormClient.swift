import Digests
import Foundation
import Testing
import Uploads

/// Sends forms, JSON and bytes to a path of a site, as one user.
struct FormClient {
    var site: any UploadServer
    var path: String
    var user: String?
    var boundary = "----FermataTestForm"

    typealias Part = DCloudClient.Part

    var contentType: String { "multipart/form-data; boundary=\(boundary)" }
    private var fields: [String] { user.map { ["X-Test-User: \($0)"] } ?? [] }

    func body(_ parts: [Part]) -> [UInt8] { DCloudClient(site: site, boundary: boundary).body(parts) }

    /// Sends a form.
    func form(_ parts: [Part], _ method: String = "POST", at more: String = "") throws -> HTTPConnection.Answer {
        try site.request(method, path + more, contentType, body(parts), fields)
    }

    /// Sends a form without a length, in small chunks.
    func chunkedForm(_ parts: [Part], at more: String = "") throws -> HTTPConnection.Answer {
        try HTTPConnection(site.port).postChunked(path + more, contentType, body(parts), chunk: 50, fields)
    }

    /// Sends the first bytes of a form, as if there were more, and goes.
    func brokenForm(
        _ parts: [Part],
        _ method: String = "POST",
        at more: String = "",
        droppingLast dropped: Int
    ) throws {
        let bytes = body(parts)
        let connection = try HTTPConnection(site.port)
        try connection.sendHead(method, path + more, contentType, length: bytes.count, fields)
        try connection.send(Array(bytes.dropLast(dropped)))
        // nginx hands on what it has before it notices that the client is gone.
        usleep(100_000)
    }

    func urlEncoded(_ text: String, _ method: String = "POST", at more: String = "") throws -> HTTPConnection.Answer {
        try site.request(
            method,
            path + more,
            "application/x-www-form-urlencoded",
            Array(text.utf8),
            fields
        )
    }

    func json(_ text: String, at more: String = "") throws -> HTTPConnection.Answer {
        try site.request("POST", path + more, "application/json", Array(text.utf8), fields)
    }

    func bare(_ method: String, at more: String = "") throws -> HTTPConnection.Answer {
        try site.request(method, path + more, nil, [], fields)
    }

    /// A published file.
    func stored(_ name: String) throws -> String {
        try String(contentsOf: site.files.appending(path: name), encoding: .utf8)
    }

    func exists(_ name: String) -> Bool {
        FileManager.default.fileExists(atPath: site.files.appending(path: name).path)
    }
}

/// The MD5 of bytes, as hexadecimal digits.
func md5(_ bytes: [UInt8]) -> String {
    let state = MD5()
    state.update(bytes.span)
    return state.finish().description
}

func md5(_ text: String) -> String { md5(Array(text.utf8)) }

extension HTTPConnection.Answer {
    /// Checks an error of docs/dialects/fileid.md 2.6 or docs/dialects/parts.md 3.6, byte for byte but for its message.
    func expectWord(_ status: Int, _ word: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(self.status == status, "\(body)", sourceLocation: sourceLocation)
        #expect(
            body.hasPrefix(#"{"code":\#(status),"error":"\#(word)","message":""#),
            "\(body)",
            sourceLocation: sourceLocation
        )
        try expectPlainHead(sourceLocation)
        #expect((try json["message"] as? String)?.isEmpty == false, sourceLocation: sourceLocation)
    }

    /// Checks an error of docs/dialects/offset.md 4.4.
    func expectMessage(_ status: Int, _ message: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(self.status == status, "\(body)", sourceLocation: sourceLocation)
        #expect(body == #"{"code":1,"message":"\#(message)"}"#, sourceLocation: sourceLocation)
        try expectPlainHead(sourceLocation)
    }

    /// Checks an error of docs/dialects/signed.md 5.8.
    func expectDetail(_ status: Int, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(self.status == status, "\(body)", sourceLocation: sourceLocation)
        #expect((try json["detail"] as? String)?.isEmpty == false, "\(body)", sourceLocation: sourceLocation)
        #expect(try json.count == 1, sourceLocation: sourceLocation)
        try expectPlainHead(sourceLocation)
    }

    private func expectPlainHead(_ sourceLocation: SourceLocation) throws {
        #expect(fields["content-type"] == "application/json; charset=utf-8", sourceLocation: sourceLocation)
        #expect(fields["cache-control"] == "no-store", sourceLocation: sourceLocation)
        #expect(fields["location"] == nil, sourceLocation: sourceLocation)
    }
}
