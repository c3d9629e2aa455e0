import ArgumentParser
import Foundation

/// How many instructions things take, which is the same however busy the machine is: compared with the committed counts.
struct Instructions: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Counts instructions under callgrind, and compares them with those that are committed.",
        discussion: "Counts may differ by 5 % in both directions: one that has become smaller is to be committed."
    )

    /// By what part a count may differ.
    private static let tolerance = 0.05

    @Option(help: "The responder, without debug information, which valgrind may not understand.")
    var fermata: String

    @Option(help: "This program, likewise.")
    var program: String

    @Option(help: "The committed counts, a line each.")
    var counts: String

    @Flag(help: "Write the counts instead of comparing them.")
    var update = false

    func run() throws {
        let figures = [
            ("a MiB of a form, random", try perMebibyte(ParserInput.random)),
            ("a MiB of a form, parts of 1 KiB", try perMebibyte(ParserInput.small)),
            ("a segment of 100 KiB", try perSegment()),
        ]
        let text = figures.map { "\($0.1) \($0.0)\n" }.joined()
        if update {
            try text.write(toFile: counts, atomically: true, encoding: .utf8)
            return print(text, terminator: "")
        }
        let committed = try Self.read(counts)
        var differs = false
        for (name, count) in figures {
            guard let expected = committed[name] else { throw BenchmarkError("\(counts) has no line for \(name)") }
            let change = Double(count) / Double(expected) - 1
            print("\(count) \(name): \(String(format: "%+.1f", 100 * change)) %")
            if abs(change) > Self.tolerance { differs = true }
        }
        if differs {
            throw BenchmarkError("instruction counts differ: see what costs more, or Tests/bench instructions --update")
        }
    }

    private static func read(_ file: String) throws -> [String: Int] {
        let lines = try String(contentsOfFile: file, encoding: .utf8).split(separator: "\n")
        return Dictionary(
            uniqueKeysWithValues: try lines.map { line in
                let parts = line.split(separator: " ", maxSplits: 1)
                guard parts.count == 2, let count = Int(parts[0]) else { throw BenchmarkError("\(file): '\(line)'") }
                return (String(parts[1]), count)
            }
        )
    }

    /// What is common to a short and a long run is not counted.
    private func difference(_ short: Int, _ long: Int, _ count: (Int) throws -> Int) rethrows -> Int {
        try (count(long) - count(short)) / (long - short)
    }

    private func perMebibyte(_ input: ParserInput) throws -> Int {
        try difference(10, 30) { mebibytes in
            let run = try Callgrind(program, ["parse", "--input", input.rawValue, "--mebibytes", "\(mebibytes)"])
            return try run.instructions()
        }
    }

    private func perSegment() throws -> Int {
        try difference(100, 300) { count in
            let directory = try TemporaryDirectory()
            let socket = directory.path + "/fermata.sock"
            let arguments = ["serve", "--state", directory.path + "/state", "--listen=unix:\(socket)", "--workers=4"]
            let run = try Callgrind(fermata, arguments)
            try SegmentClient(socket).upload(segments: count)
            run.terminate()
            return try run.instructions()
        }
    }
}

/// A program under valgrind's callgrind.
private final class Callgrind {
    private let process = Process()
    private let output = Pipe()

    init(_ program: String, _ arguments: [String]) throws {
        process.executableURL = URL(fileURLWithPath: "/usr/bin/valgrind")
        process.arguments = ["--tool=callgrind", "--callgrind-out-file=/dev/null", program] + arguments
        process.environment = ProcessInfo.processInfo.environment.merging([
            // Dictionaries have the same order each time.
            "SWIFT_DETERMINISTIC_HASHING": "1",
            // With this, which Fermata wants, it does not start itself anew.
            "GLIBC_TUNABLES": "glibc.malloc.tcache_count=4:glibc.malloc.tcache_max=256",
        ]) { $1 }
        process.standardInput = FileHandle.nullDevice
        process.standardOutput = FileHandle.nullDevice
        process.standardError = output
        try process.run()
    }

    func terminate() { process.terminate() }

    /// How many instructions were executed, once the program has ended.
    func instructions() throws -> Int {
        let text = String(decoding: output.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        let line = text.split(separator: "\n").last { $0.contains("Collected :") }
        let count = line?.split(separator: " ").last.flatMap { Int($0) }
        guard let count, process.terminationStatus == 0 else { throw BenchmarkError("callgrind fails: \(text)") }
        return count
    }
}

/// A directory that is removed with the value.
private final class TemporaryDirectory {
    let path = "/tmp/fermata-bench-" + UUID().uuidString.prefix(8)

    init() throws { try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false) }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
