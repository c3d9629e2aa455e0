import Foundation

/// A server that was started for the measurement, and ends with it.
final class ServerProcess {
    /// For how long it may take to listen, in seconds.
    private static let startSeconds = 20

    private let process = Process()

    /// - Parameter socket: a UNIX socket that is there when the server is ready.
    init(_ program: String, _ arguments: [String], log: String, socket: String?) throws {
        try Data().write(to: URL(fileURLWithPath: log))
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle(forWritingAtPath: log)
        process.standardError = FileHandle(forWritingAtPath: log)
        try process.run()
        guard let socket else { return }
        for _ in 0..<Self.startSeconds * 100 where !FileManager.default.fileExists(atPath: socket) {
            guard process.isRunning else { throw BenchmarkError("\(program) has ended; see \(log)") }
            usleep(10_000)
        }
    }

    deinit {
        process.terminate()
        process.waitUntilExit()
    }

    /// The resident memory of the process, in bytes.
    func memoryBytes() throws -> Int {
        let pages = try String(contentsOfFile: "/proc/\(process.processIdentifier)/statm", encoding: .utf8)
            .split(separator: " ").dropFirst().first.flatMap { Int($0) }
        return (pages ?? 0) * Int(getpagesize())
    }

    /// The CPU time that the process and its children have used, in seconds.
    func cpuSeconds() throws -> Double {
        let id = process.processIdentifier
        let children = try String(contentsOfFile: "/proc/\(id)/task/\(id)/children", encoding: .utf8)
        let ids = [id] + children.split(separator: " ").compactMap { Int32($0) }
        return try ids.map { id in
            var clock = clockid_t()
            var time = timespec()
            guard clock_getcpuclockid(id, &clock) == 0, clock_gettime(clock, &time) == 0 else {
                throw BenchmarkError("process \(id) is gone")
            }
            return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
        }.reduce(0, +)
    }
}
