import Dialects
import Digests
import Engine
import Foundation
import HTTPTypes
import Ledger
import Responder
import Threading
import Uploads

/// Handles the requests of conversations over a ledger and a root in memory, on the calling thread.
///
/// 1. Each answer is in the form that its fields say, and never 500: nothing fails here that is not the input's fault.
/// 2. After the conversation, the ledger is true of the disk, but for files that wait whole because their form was refused:
///    a repair gives them their names.
/// 3. When all has expired, nothing is left but published files.
/// 4. Nothing is ever written outside of the root.
final class Requests: Sendable {
    /// A file larger than this is refused; what is reserved for it is real memory. In bytes.
    private static let fileBytesMax: Int64 = 1 << 20
    /// After this time all has expired; in seconds.
    private static let expirySeconds: Int64 = 10 * 365 * 86_400

    /// A clock that is set.
    private final class Clock: Sendable {
        private let time: Locked<Int64>

        init(_ time: Int64) { self.time = Locked(time) }

        var now: Int64 { time.withLock { $0 } }

        func advance(by seconds: Int64) { time.withLock { $0 += seconds } }

        func set(to now: Int64) { time.withLock { $0 = now } }
    }

    private let dialect: any Dialect
    private let directory: URL
    private let clock = Clock(0)
    private let ledger: SQLiteLedger
    private let engine: Engine
    private let handler: Handler

    private var site: URL { directory.appending(path: "site") }
    private var outside: URL { site.appending(path: "outside") }
    private var files: URL { site.appending(path: "files") }

    init(_ dialect: any Dialect) throws {
        self.dialect = dialect
        directory = URL(fileURLWithPath: "/dev/shm/fermata-fuzz-" + UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        ledger = try SQLiteLedger(stateDirectory: directory.path)
        engine = Engine(ledger: ledger, now: { [clock] in clock.now })
        guard let key = SigningKey(bytes: [UInt8](repeating: 7, count: SigningKey.byteCount)) else {
            preconditionFailure("a key of the right size is a key")
        }
        handler = Handler(engine, signingKey: key)
    }

    deinit {
        do { try FileManager.default.removeItem(at: directory) } catch { print("left behind: \(directory.path)") }
    }

    /// Holds the conversation that the input is, and checks the rules.
    @Sendable
    func check(_ input: [UInt8]) throws {
        // So long ago that it stays behind the time of the file system: what is younger than that does not expire.
        clock.set(to: Int64(time(nil)) - 3 * Self.expirySeconds)
        for folder in [outside, files] {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        }
        try FileManager.default.createSymbolicLink(
            atPath: files.appending(path: "link").path,
            withDestinationPath: "../outside"
        )
        // The root of each input is another, though its path is the same.
        _ = try engine.adopt(files.path, isForced: true)
        defer { do { try FileManager.default.removeItem(at: site) } catch { fatalError("\(error)") } }

        var answers = Answers()
        for text in Conversation(parsing: input).texts {
            switch Conversation.step(text, knowing: answers.names) {
            case .request(let request):
                if let answer = answer(request) { try answers.add(answer) }
            case .wait(let seconds):
                clock.advance(by: seconds)
                _ = try engine.sweep()
            case .restart:
                let report = try engine.recover(boot: "\(UUID())", tombstoneSeconds: 900)
                try hold(report.segmentsLost == 0 && report.filesLost == 0, "a restart loses nothing: \(report)")
                try hold(report.unpublishable.isEmpty, "what is whole can be published: \(report)")
            case nil: break
            }
        }
        let findings = try engine.check(isRepairing: false, tombstoneSeconds: 900)
        let untrue = findings.filter { !$0.description.contains("is whole but has no final name") }
        try hold(untrue.isEmpty, "the ledger is true of the disk: \(untrue)")
        if !findings.isEmpty {
            let repairs = try engine.check(isRepairing: true, tombstoneSeconds: 900)
            try hold(repairs.allSatisfy { $0.failure == nil }, "what is whole can be given its name: \(repairs)")
            let left = try engine.check(isRepairing: false, tombstoneSeconds: 900)
            try hold(left.isEmpty, "a repair leaves nothing to do: \(left)")
        }
        clock.advance(by: Self.expirySeconds)
        let report = try engine.sweep()
        try hold(report.inUse.isEmpty, "nobody writes: \(report)")
        let known = try ledger.stagingNames().values
        try hold(known.allSatisfy(\.isEmpty), "what has expired is forgotten: \(known)")
        let staged =
            (try? FileManager.default.contentsOfDirectory(atPath: files.path + "/.fermata"))?
            .filter { $0 != ".mark" } ?? []
        try hold(staged.isEmpty, "what has expired is removed: \(staged)")
        let strays = try FileManager.default.contentsOfDirectory(atPath: outside.path)
        try hold(strays.isEmpty, "nothing is written outside of the root: \(strays)")
        try hold(try FileManager.default.contentsOfDirectory(atPath: site.path).count == 2, "nor beside it")
    }

    // MARK: Requests

    /// The mount of a path: `/m` as documented but for its sizes, `/o` with every option set.
    private func mount(_ name: String, _ principal: String) -> Mount {
        var mount = dialect.mount(name: name, principal: principal, root: files.path)
        mount.baseURL = "http://localhost" + name
        mount.fileBytesMax = Self.fileBytesMax
        mount.partBytesMax = min(mount.partBytesMax, 1 << 16)
        mount.partBytesMin = min(mount.partBytesMin, 2)
        mount.chunkBytes = 4
        mount.disjointRangesMax = 8
        if name == "/o" {
            mount.types = ["bin", "text/csv"]
            mount.tombstoneSeconds = 0
            mount.durability = .segment
            mount.allowsResume = false
            mount.allowsCancel = true
            mount.requiresDigest = false
            mount.requiresOrder = true
            mount.wrapsLists = true
            mount.publicURL = "http://localhost/files"
            mount.answerType = "text/html; charset=utf-8"
        }
        return mount
    }

    /// Handles a request; `nil` for one that no web server would hand on.
    private func answer(_ request: Conversation.Request) -> Answer? {
        let target = request.target.hasPrefix("http://localhost") ? request.target.dropFirst(16) : request.target[...]
        let parts = target.split(separator: "?", maxSplits: 1, omittingEmptySubsequences: false)
        guard let path = parts.first, let method = HTTPRequest.Method(request.method) else { return nil }
        let name = String(path.prefix(2))
        guard name == "/m" || name == "/o" else { return nil }
        var head = HTTPRequest(method: method, scheme: "http", authority: "localhost", path: String(target))
        var length: Int64? = Int64(request.body.count)
        var principal = ""
        for field in request.fields {
            switch field.name.lowercased() {
            case "content-length": length = Int64(field.value) ?? length
            case "transfer-encoding": length = nil
            case "x-user": principal = field.value
            default:
                guard let name = HTTPField.Name(field.name) else { continue }
                head.headerFields.append(HTTPField(name: name, value: field.value))
            }
        }
        guard (length ?? 0) >= 0 else { return nil }
        let body = request.body.prefix(Int(clamping: length ?? .max))
        return handler.answer(
            RequestHead(
                head,
                pathInfo: String(path.dropFirst(2)),
                query: parts.count > 1 ? String(parts[1]) : "",
                contentLength: length
            ),
            in: dialect,
            on: mount(name, principal),
            body: Blocks(rest: body, isCutOff: length.map { $0 > body.count } ?? false)
        )
    }

    /// The bytes of a body in blocks.
    private struct Blocks: Body {
        private static let blockCount = 100
        var rest: ArraySlice<UInt8>
        let isCutOff: Bool

        mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress {
            let block = rest.prefix(Self.blockCount)
            rest = rest.dropFirst(block.count)
            if !block.isEmpty { consume(block.span) }
            if !rest.isEmpty { return .more }
            return isCutOff ? .cutOff : .last
        }
    }
}

/// What can be said of all answers.
private struct Answers {
    /// What later requests may repeat: the members of the answers, by their names.
    private(set) var names: [String: String] = [:]

    mutating func add(_ answer: Answer) throws {
        let text = String(decoding: answer.body, as: UTF8.self)
        try hold(
            (200...599).contains(answer.status.code) && answer.status != .internalServerError,
            "no request fails for a reason of the server's: \(answer.status) \(answer.code) \(text)"
        )
        try hold(answer.failure == nil, "nothing failed below: \(String(describing: answer.failure))")
        if let location = answer.fields[.location] { names["Location"] = location }
        if let tag = answer.fields[.eTag] { names["ETag"] = tag }
        guard !answer.body.isEmpty else { return }
        try hold(answer.fields[.contentType] != nil, "a body has a media type")
        let json = try JSONReader.read(answer.body)
        var counts: [String: Int] = [:]
        collect(json, "", &counts)
    }

    private mutating func collect(_ json: JSON, _ name: String, _ counts: inout [String: Int]) {
        switch json {
        case .object(let members): for (name, value) in members { collect(value, name, &counts) }
        case .array(let elements): for element in elements { collect(element, name, &counts) }
        case .string, .integer, .number, .boolean, .null:
            guard let value = json.fieldValue else { return }
            counts[name, default: 0] += 1
            names[name] = value
            names["\(name).\(counts[name] ?? 0)"] = value
        }
    }
}
