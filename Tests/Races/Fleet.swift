import Foundation
import Threading

/// Two responders on one state directory, each on a socket of its own, either of which may be killed at any time.
final class Fleet: Sendable {
    static let size = 2

    private struct Slot: @unchecked Sendable {
        var process: Process?
        /// When its responder was last told to end, in the nanoseconds of `Clock`.
        var endedAt = -1
        /// Whether it is back since.
        var isReady = false
    }

    private let directory: URL
    private let binary: String
    private let findings: Findings
    private let slots = Locked([Slot](repeating: Slot(), count: Fleet.size))
    private let kills = Locked(0)
    /// One responder is replaced at a time.
    private let replacing = Locked(())

    init(_ directory: URL, binary: String, findings: Findings) throws {
        self.directory = directory
        self.binary = binary
        self.findings = findings
        for index in 0..<Self.size { try start(index) }
    }

    /// How many responders were killed.
    var killCount: Int { kills.withLock { $0 } }

    private func socket(_ index: Int) -> String { directory.path + "/f\(index).sock" }

    private func log(_ index: Int) -> URL { directory.appending(path: "responder\(index).log") }

    private func start(_ index: Int) throws {
        let log = log(index)
        if !FileManager.default.fileExists(atPath: log.path) { try Data().write(to: log) }
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments =
            ["serve", "--state", directory.path + "/state", "--listen=unix:" + socket(index), "--workers=24"]
            + ["--log-level=error", "--allow-program=\(directory.path)/hook", "--allow-program=\(directory.path)/veto"]
        process.environment = ProcessInfo.processInfo.environment.merging(["SWIFT_BACKTRACE": "enable=no"]) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardError = output
        process.standardOutput = output
        try process.run()
        slots.withLock { $0[index].process = process }
        for _ in 0..<3000 {
            guard process.isRunning else { break }
            if FastCGIExchange(socket(index)) != nil {
                slots.withLock { $0[index].isReady = true }
                return
            }
            usleep(5000)
        }
        findings.add("responder \(index) does not come up: \(tail(index))")
    }

    /// Ends a responder with a signal, waits, and starts another in its place.
    func replace(_ index: Int, signal: Int32, pause: UInt32) throws {
        try replacing.withLock { _ in
            let process = markEnded(index)
            if process?.isRunning == true { process.map { _ = kill($0.processIdentifier, signal) } }
            process?.waitUntilExit()
            kills.withLock { $0 += 1 }
            usleep(pause)
            try start(index)
        }
    }

    private func markEnded(_ index: Int) -> Process? {
        slots.withLock { slots in
            slots[index].endedAt = Clock.now
            slots[index].isReady = false
            return slots[index].process
        }
    }

    /// Ends both.
    func stop() {
        for index in 0..<Self.size {
            let process = markEnded(index)
            process?.terminate()
            process?.waitUntilExit()
        }
    }

    /// Whether both have been there since a time.
    func isHealthy(since time: Int) -> Bool {
        slots.withLock { slots in slots.allSatisfy { $0.isReady && $0.endedAt < time } }
    }

    /// Sends a request to one of them, or to the other while that one is not there.
    func send(_ request: WebRequest, _ manner: Manner, to first: Int) -> Reply {
        for attempt in 0..<10_000 {
            let index = (first + attempt) % Self.size
            let began = Clock.now
            // One that is about to end takes connections that it does not answer any more.
            guard slots.withLock({ $0[index].isReady }) else {
                usleep(1000)
                continue
            }
            guard let exchange = FastCGIExchange(socket(index)) else {
                expectAlive(index)
                usleep(5000)
                continue
            }
            let reply = exchange.send(request, manner)
            if case .broken(let how) = reply {
                usleep(50_000)
                expectAlive(index)
                if !slots.withLock({ $0[index].endedAt >= began }) {
                    findings.add("\(how): \(request.method) \(request.path), responder \(index): \(tail(index))")
                }
            }
            return reply
        }
        findings.add("no responder listens")
        return .broken("no responder listens")
    }

    /// Tells of a responder that has ended by itself, and starts another.
    private func expectAlive(_ index: Int) {
        let isSuspect = slots.withLock { $0[index].isReady && $0[index].process?.isRunning == false }
        guard isSuspect else { return }
        replacing.withLock { _ in
            guard slots.withLock({ $0[index].isReady && $0[index].process?.isRunning == false }) else { return }
            _ = markEnded(index)
            findings.add("responder \(index) has ended by itself: \(tail(index))")
            do { try start(index) } catch { findings.add("responder \(index) can not be started: \(error)") }
        }
    }

    /// The end of what a responder has logged.
    func tail(_ index: Int) -> String {
        let text = (try? String(contentsOf: log(index), encoding: .utf8)) ?? ""
        let lines = text.split(separator: "\n")
        return lines.suffix(1).joined(separator: "\n")
    }
}

/// The clock of a race.
enum Clock {
    /// Nanoseconds since some time.
    static var now: Int {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return time.tv_sec * 1_000_000_000 + time.tv_nsec
    }
}

/// What has been found wrong.
final class Findings: Sendable {
    /// After so many a race ends: those that follow seldom tell more.
    static let max = 10

    private let found = Locked<[String]>([])
    private let told = Locked<Set<String>>([])

    var all: [String] { found.withLock { $0 } }
    var areEnough: Bool { found.withLock { $0.count >= Self.max } }

    /// Tells what is wrong with an upload, once.
    func add(_ text: String, about name: String, log: [String]) {
        guard told.withLock({ $0.insert(name).inserted }) else { return }
        add(([name + ": " + text] + log.suffix(50)).joined(separator: "\n    "))
    }

    func add(_ text: String) { found.withLock { $0.append(text) } }
}

/// How often what was done, and with which outcome.
final class Tally: Sendable {
    private let counts = Locked<[String: [String: Int]]>([:])

    func count(_ operation: String, _ outcome: String) {
        counts.withLock { $0[operation, default: [:]][outcome, default: 0] += 1 }
    }

    var lines: [String] {
        counts.withLock { counts in
            counts.sorted { $0.key < $1.key }.map { operation, outcomes in
                let list = outcomes.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                return "\(operation): \(list.joined(separator: ", "))"
            }
        }
    }

    var total: Int { counts.withLock { $0.values.flatMap(\.values).reduce(0, +) } }
}
