import Dialects
import Digests
import Engine
import Foundation
import HTTPTypes
import Ledger
import Mounts
import Responder
import Testing
import Uploads

/// What handles requests, in this process and on the calling thread, over a ledger and a root of its own.
final class InProcessServer: UploadServer {
    let directory: URL
    let port: UInt16 = 0
    private let dialect: any Dialect
    private let parameters: [String: String]
    private let handler: Handler
    let engine: Engine

    var files: URL { directory.appending(path: "files") }

    init(
        _ dialect: ContractDialect,
        _ more: [String: String] = [:],
        drainBytesMax: Int64 = Handler.defaultDrainBytesMax
    ) throws {
        directory = URL(fileURLWithPath: "/dev/shm/fermata-process-" + UUID().uuidString)
        self.dialect = try #require(DialectRegistry.shipped[dialect.rawValue])
        parameters = dialect.parameters.merging(more) { $1 }
        let files = directory.appending(path: "files")
        try FileManager.default.createDirectory(at: files, withIntermediateDirectories: true)
        let ledger = try SQLiteLedger(stateDirectory: directory.path)
        engine = Engine(ledger: ledger, now: { Int64(time(nil)) })
        let key = try #require(SigningKey(bytes: [UInt8](repeating: 7, count: SigningKey.byteCount)))
        handler = Handler(engine, signingKey: key, drainBytesMax: drainBytesMax)
    }

    deinit {
        do { try FileManager.default.removeItem(at: directory) } catch { print("left behind: \(directory.path)") }
    }

    private func mount(_ user: String) throws -> Mount {
        let values = parameters.mapValues { $0.replacingOccurrences(of: "DIR", with: directory.path) }
        let policy = MountPolicy(
            dialects: .shipped,
            allowedRoots: [],
            defaultRoot: files.path,
            allowedPrograms: [values["FERMATA_HOOK"], values["FERMATA_VETO"]].compactMap(\.self)
        )
        let own = [
            "FERMATA_DIALECT": dialect.name, "FERMATA_MOUNT": "/m", "FERMATA_BASE_URL": "http://localhost/m",
            "REMOTE_USER": user,
        ]
        return try MountCheck.mount(values.merging(own) { $1 }, policy)
    }

    func request(
        _ method: String,
        _ path: String,
        _ contentType: String?,
        _ body: [UInt8],
        _ fields: [String]
    ) throws -> HTTPConnection.Answer {
        try request(method, path, contentType, length: Int64(body.count), ArrayBody(body), fields)
    }

    /// Sends a request whose body comes from somewhere.
    func request(
        _ method: String,
        _ path: String,
        _ contentType: String?,
        length: Int64?,
        _ body: consuming some Body & ~Copyable,
        _ fields: [String] = []
    ) throws -> HTTPConnection.Answer {
        let user = fields.first { $0.hasPrefix("X-Test-User: ") }?.dropFirst("X-Test-User: ".count) ?? ""
        let parts = path.split(separator: "?", maxSplits: 1)
        var request = HTTPRequest(
            method: try #require(HTTPRequest.Method(method)),
            scheme: "http",
            authority: "localhost",
            path: path
        )
        request.headerFields[.contentType] = contentType
        let head = RequestHead(
            request,
            pathInfo: String(parts[0].dropFirst("/m".count)),
            query: parts.count > 1 ? String(parts[1]) : "",
            contentLength: length
        )
        let mount = try mount(String(user))
        let answer = handler.answer(head, in: dialect, on: mount, body: body)
        var answered: [String: String] = [:]
        for field in answer.fields { answered[field.name.canonicalName] = field.value }
        return HTTPConnection.Answer(
            status: answer.status.code,
            fields: answered,
            body: String(decoding: answer.body, as: UTF8.self)
        )
    }

    /// The staging files that are there.
    func staged() throws -> [String] {
        let folder = files.appending(path: ".fermata").path
        guard FileManager.default.fileExists(atPath: folder) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: folder).filter { $0 != ".mark" }
    }
}

/// The bytes of an array as a body, in blocks of 16 KiB.
private struct ArrayBody: Body {
    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8]) { rest = bytes[...] }

    mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress {
        let block = rest.prefix(16 << 10)
        rest = rest.dropFirst(block.count)
        consume(block.span)
        return rest.isEmpty ? .last : .more
    }
}
