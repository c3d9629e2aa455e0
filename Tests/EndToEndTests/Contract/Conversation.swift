import Foundation
import Testing

/// One upload in one dialect, as its client goes about it: the same steps for all dialects.
///
/// The file comes in `pieces`, in order or not, and is whole when all have been accepted and `finish` has succeeded.
protocol Conversation: AnyObject {
    /// Whom the client talks to.
    var server: any UploadServer { get }
    /// What the pieces are; each but the last has the same size.
    var pieces: [[UInt8]] { get }
    /// Where the file is published, below the root; known from `begin` on.
    var publishedPath: String { get }
    /// Begins the upload.
    func begin() throws -> HTTPConnection.Answer
    /// The body and path of the request for a piece.
    func request(_ index: Int) throws -> PieceRequest
    /// Which pieces need not be sent any more; `nil` when the upload is not known.
    func acknowledgedPieces() throws -> Set<Int>?
    /// Completes the upload.
    func finish() throws -> HTTPConnection.Answer
    /// The same upload, in the hands of somebody else who knows all that can be known of it.
    func stolen(by user: String) -> any Conversation
    /// The same upload, on another server that has its state.
    func moved(to server: any UploadServer) -> any Conversation
    /// Removes the upload, where the dialect can.
    func abort() throws
}

/// What a client sends for a piece.
struct PieceRequest {
    let method: String
    let path: String
    let contentType: String
    let body: [UInt8]
    let fields: [String]

    func send(_ port: UInt16) throws -> HTTPConnection.Answer {
        try HTTPConnection(port).request(method, path, contentType, body, fields)
    }

    func send(to server: any UploadServer) throws -> HTTPConnection.Answer {
        try server.request(method, path, contentType, body, fields)
    }

    /// Sends the first bytes as if there were more; the connection is held by the caller.
    func begin(_ port: UInt16, droppingLast dropped: Int) throws -> HTTPConnection {
        let connection = try HTTPConnection(port)
        try connection.sendHead(method, path, contentType, length: body.count, fields)
        try connection.send(Array(body.dropLast(dropped)))
        return connection
    }
}

extension Conversation {
    /// The pieces of a prefix.
    func pieces(within prefix: Int) -> Set<Int> {
        Set(pieces.indices.filter { $0 * ContractDialect.pieceBytes + pieces[$0].count <= prefix })
    }

    func acknowledged() throws -> Int? { try acknowledgedPieces()?.map { pieces[$0].count }.reduce(0, +) }

    func send(_ index: Int) throws -> HTTPConnection.Answer { try request(index).send(to: server) }
}

/// The dialects, and what differs between them for their clients.
enum ContractDialect: String, CaseIterable, CustomTestStringConvertible {
    case dcloud, fileid, parts, offset, signed

    var testDescription: String { rawValue }

    /// The size of all pieces but the last.
    static let pieceBytes = 16_384
    static let pieces: [[UInt8]] = (0..<3).map { index in
        [UInt8](repeating: UInt8(ascii: "a") + UInt8(index), count: index == 2 ? 1000 : pieceBytes)
    }
    static var content: Data { Data(pieces.joined()) }

    /// The parameters of its mount.
    var parameters: [String: String] {
        switch self {
        case .dcloud, .fileid, .offset: ["FERMATA_DIALECT": rawValue]
        case .parts: ["FERMATA_DIALECT": rawValue, "FERMATA_MIN_PART": "1", "FERMATA_CANCEL": "on"]
        case .signed:
            ["FERMATA_DIALECT": rawValue, "FERMATA_MIN_PART": "1", "FERMATA_CHUNK": "\(Self.pieceBytes)"]
        }
    }

    /// The statuses of an upload that is unknown, and of one whose file or part is too large.
    var unknownStatuses: [Int] {
        switch self {
        case .dcloud: [200]
        case .fileid, .parts, .signed: [404]
        case .offset: [400]
        }
    }

    /// Whether a piece must follow the one before.
    var isSequential: Bool { self == .offset }

    func conversation(
        _ site: any UploadServer,
        path: String = "/m",
        user: String = "ann",
        name: String = "f.bin"
    ) -> any Conversation {
        let http = FormClient(site: site, path: path, user: user)
        return switch self {
        case .dcloud: DCloudConversation(http, name)
        case .fileid: FileIDConversation(http, name)
        case .parts: PartsConversation(http, name)
        case .offset: OffsetConversation(http, name)
        case .signed: SignedConversation(http, name)
        }
    }
}

private func formRequest(
    _ http: FormClient,
    _ parts: [FormClient.Part],
    _ method: String = "POST",
    at more: String = ""
)
    -> PieceRequest
{
    PieceRequest(
        method: method,
        path: http.path + more,
        contentType: http.contentType,
        body: http.body(parts),
        fields: http.user.map { ["X-Test-User: \($0)"] } ?? []
    )
}

final class DCloudConversation: Conversation {
    let pieces = ContractDialect.pieces
    var server: any UploadServer { http.site }
    let publishedPath: String
    private let http: FormClient

    init(_ http: FormClient, _ name: String) {
        var http = http
        http.boundary = "----Contract\(name)"
        self.http = http
        publishedPath = name
    }

    private var client: DCloudClient {
        DCloudClient(site: http.site, path: http.path, boundary: http.boundary, user: http.user)
    }

    func begin() throws -> HTTPConnection.Answer { try client.query() }

    func request(_ index: Int) -> PieceRequest {
        let start = index * ContractDialect.pieceBytes
        let range = "\(start)-\(start + pieces[index].count)/\(ContractDialect.content.count)"
        return formRequest(http, [.file(pieces[index], range: range, fileName: publishedPath)])
    }

    func acknowledgedPieces() throws -> Set<Int>? {
        let files = try #require(try client.query().json["file"] as? [[String: Any]])
        return files.isEmpty ? nil : pieces(within: try client.wanted())
    }

    /// The last segment again: it is answered with the file.
    func finish() throws -> HTTPConnection.Answer { try send(pieces.count - 1) }

    func stolen(by user: String) -> any Conversation {
        var other = http
        other.user = user
        return DCloudConversation(other, publishedPath)
    }

    func moved(to server: any UploadServer) -> any Conversation {
        var other = http
        other.site = server
        return DCloudConversation(other, publishedPath)
    }

    func abort() throws {}
}

final class FileIDConversation: Conversation {
    let pieces = ContractDialect.pieces
    var server: any UploadServer { client.http.site }
    private let name: String
    private var client: FileIDClient
    private var id = 0

    init(_ http: FormClient, _ name: String) {
        self.name = name
        client = FileIDClient(http.site, path: http.path, user: http.user)
    }

    var publishedPath: String { "scans/\(id)-\(name)" }

    func begin() throws -> HTTPConnection.Answer {
        let answer = try client.http.form([
            .field("option", "initiate"), .field("catalog", "scans"), .file([], fileName: name),
        ])
        id = try answer.json["fileId"] as? Int ?? 0
        return answer
    }

    func request(_ index: Int) -> PieceRequest {
        formRequest(client.http, [.field("fileId", "\(id)"), .field("part", "\(index + 1)"), .file(pieces[index])])
    }

    func acknowledgedPieces() throws -> Set<Int>? {
        guard let parts = try client.resume(id).json["parts"] as? [String: String] else { return nil }
        return Set(pieces.indices.filter { parts["\($0 + 1)"] == md5(pieces[$0]) })
    }

    func finish() throws -> HTTPConnection.Answer {
        let list = pieces.enumerated().map { "\($0 + 1):'\(md5($1))'" }.joined(separator: ",")
        return try client.complete(id, "{\(list)}")
    }

    func stolen(by user: String) -> any Conversation {
        var http = client.http
        http.user = user
        let other = FileIDConversation(http, name)
        other.id = id
        return other
    }

    func moved(to server: any UploadServer) -> any Conversation {
        var http = client.http
        http.site = server
        let other = FileIDConversation(http, name)
        other.id = id
        return other
    }

    func abort() throws {}
}

final class PartsConversation: Conversation {
    let pieces = ContractDialect.pieces
    var server: any UploadServer { client.http.site }
    let publishedPath: String
    private let client: PartsClient
    private var id = "unknown"

    init(_ http: FormClient, _ name: String) {
        publishedPath = "folder/\(name)"
        client = PartsClient(http.site, path: http.path, user: http.user)
    }

    func begin() throws -> HTTPConnection.Answer {
        let answer = try client.begin(publishedPath)
        id = try answer.json["uploadId"] as? String ?? "unknown"
        return answer
    }

    func request(_ index: Int) -> PieceRequest {
        formRequest(
            client.http,
            [
                .field("partNumber", "\(index + 1)"), .field("uploadId", id), .field("md5", md5(pieces[index])),
                .file(pieces[index], name: "content"),
            ],
            at: "/upload"
        )
    }

    func acknowledgedPieces() throws -> Set<Int>? {
        let answer = try client.list(id)
        guard let parts = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [[String: Any]] else {
            return nil
        }
        return Set(parts.compactMap { $0["partNumber"] as? Int }.map { $0 - 1 })
    }

    func finish() throws -> HTTPConnection.Answer {
        try client.complete(id, pieces.enumerated().map { ($0 + 1, md5($1)) })
    }

    func stolen(by user: String) -> any Conversation {
        var http = client.http
        http.user = user
        let other = PartsConversation(http, String(publishedPath.dropFirst("folder/".count)))
        other.id = id
        return other
    }

    func moved(to server: any UploadServer) -> any Conversation {
        var http = client.http
        http.site = server
        let other = PartsConversation(http, String(publishedPath.dropFirst("folder/".count)))
        other.id = id
        return other
    }

    func abort() throws { _ = try client.http.json(#"{"uploadId":"\#(id)"}"#, at: "/abort") }
}

final class OffsetConversation: Conversation {
    let pieces = ContractDialect.pieces
    var server: any UploadServer { client.http.site }
    private let name: String
    private var client: OffsetClient
    private var id = "unknown"

    init(_ http: FormClient, _ name: String) {
        self.name = name
        client = OffsetClient(http.site, path: http.path, user: http.user)
        client.storagePath = "./"
    }

    var publishedPath: String { name }

    func begin() throws -> HTTPConnection.Answer {
        let answer = try client.create(name, size: ContractDialect.content.count)
        id = try (answer.json["data"] as? [String: Any])?["id"] as? String ?? "unknown"
        return answer
    }

    func request(_ index: Int) -> PieceRequest {
        let offset = FormClient.Part.field("upload_offset", "\(index * ContractDialect.pieceBytes)")
        return formRequest(client.http, [.file(pieces[index]), offset], "PATCH", at: "/\(id)")
    }

    /// The state is asked for by the POST that also creates, so what nobody knows has no byte.
    func acknowledgedPieces() throws -> Set<Int>? {
        let offset = try #require(try client.create(name, size: ContractDialect.content.count).data["offset"] as? Int)
        return offset == 0 ? nil : pieces(within: offset)
    }

    /// The last PATCH again: it is answered with the file.
    func finish() throws -> HTTPConnection.Answer { try send(pieces.count - 1) }

    func stolen(by user: String) -> any Conversation {
        var http = client.http
        http.user = user
        let other = OffsetConversation(http, name)
        other.id = id
        return other
    }

    func moved(to server: any UploadServer) -> any Conversation {
        var http = client.http
        http.site = server
        let other = OffsetConversation(http, name)
        other.id = id
        return other
    }

    func abort() throws {}
}

final class SignedConversation: Conversation {
    let pieces = ContractDialect.pieces
    var server: any UploadServer { client.http.site }
    private let name: String
    private let client: SignedClient
    private var upload: SignedClient.Upload?
    /// A thief knows the identifiers, but has no URL that anybody gave him.
    private var isStolen = false

    init(_ http: FormClient, _ name: String) {
        self.name = name
        client = SignedClient(http.site, path: http.path, user: http.user)
    }

    var publishedPath: String { upload?.key ?? "" }

    func begin() throws -> HTTPConnection.Answer {
        let answer = try client.begin(name, size: ContractDialect.content.count)
        if answer.status == 200 { upload = try SignedClient.Upload(answer) }
        return answer
    }

    func request(_ index: Int) throws -> PieceRequest {
        let url = try #require(upload).url(index + 1)
        let components = try #require(URLComponents(string: url))
        let query = isStolen ? "expires=99999999999&signature=00" : components.percentEncodedQuery ?? ""
        return PieceRequest(
            method: "PUT",
            path: components.percentEncodedPath + "?" + query,
            contentType: "application/octet-stream",
            body: pieces[index],
            fields: []
        )
    }

    func acknowledgedPieces() throws -> Set<Int>? {
        guard let upload else { return nil }
        let answer = try client.list(upload)
        guard let parts = try answer.json["parts"] as? [[String: Any]] else { return nil }
        return Set(parts.compactMap { $0["part_number"] as? Int }.map { $0 - 1 })
    }

    func finish() throws -> HTTPConnection.Answer {
        try client.complete(#require(upload), pieces.enumerated().map { ($0 + 1, md5($1)) })
    }

    func stolen(by user: String) -> any Conversation {
        var http = client.http
        http.user = user
        let other = SignedConversation(http, name)
        other.upload = upload
        other.isStolen = true
        return other
    }

    func moved(to server: any UploadServer) -> any Conversation {
        var http = client.http
        http.site = server
        let other = SignedConversation(http, name)
        other.upload = upload
        return other
    }

    func abort() throws { if let upload { _ = try client.abort(upload) } }
}
