import ArgumentParser
import Foundation
import Ledger
import Uploads

/// Whether a segment costs as much at the end of the work as at its beginning, however large that has become.
struct Growth: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Measures the cost of a segment as the work grows, and plots it."
    )

    @Option(help: "The responder.")
    var fermata: String

    @Option(help: "Where files go.")
    var directory = "/dev/shm"

    @Option(help: "Where the plots are written.")
    var plots: String

    /// How many uploads are open in the ledger where there are many.
    private static let sessionCount = 100_000

    func run() throws {
        let memory = HeldMemory()
        defer { withExtendedLifetime(memory) {} }
        let content = try Content(in: directory)
        let segments = try [
            course("in order, 2 GB", .segments(count: 20_000), content),
            course("evenly over 1 TB, in order", .sparse(isShuffled: false), content),
            course("evenly over 1 TB, shuffled", .sparse(isShuffled: true), content),
            course(
                "in order, with 100,000 open uploads",
                .segments(count: 10_000),
                content,
                sessions: Self.sessionCount
            ),
        ]
        let parts = try [
            course("in order", .parts(isShuffled: false), content),
            course("shuffled", .parts(isShuffled: true), content),
        ]
        try write(segments, "segments.svg", title: "CPU time of a DCloud segment of 100 KiB", unit: "segments so far")
        try write(parts, "parts.svg", title: "CPU time of a part of 4 KiB", unit: "parts so far")
        try reportStart()
    }

    private func write(_ courses: [Course], _ name: String, title: String, unit: String) throws {
        let plot = Plot(title: title, x: unit, y: "microseconds of server CPU", lines: courses.map(\.line))
        try plot.svg().write(toFile: "\(plots)/\(name)", atomically: true, encoding: .utf8)
        print("\n### \(title)\n\n| course | first quarter, us | last quarter, us | change | memory at the end |")
        print("| --- | --- | --- | --- | --- |")
        for course in courses { print(course.row) }
    }

    // MARK: A course

    /// What is sent.
    private enum Work {
        case segments(count: Int)
        /// 10,000 segments of a file of 1 TB.
        case sparse(isShuffled: Bool)
        /// 10,000 parts.
        case parts(isShuffled: Bool)
    }

    /// What was measured on the way.
    private struct Course {
        let line: Plot.Line
        let memoryBytes: Int

        var row: String {
            let values = line.points.map(\.y)
            let quarter = max(1, values.count / 4)
            let (first, last) = (Spread(Array(values.prefix(quarter))), Spread(Array(values.suffix(quarter))))
            let change = String(format: "%+.0f %%", 100 * (last.median / first.median - 1))
            return
                "| \(line.name) | \(first.medianText(0)) | \(last.medianText(0)) | \(change) | \(memoryBytes >> 20) MiB |"
        }
    }

    /// How many points a line has.
    private static let pointCount = 40
    private static let segmentBytes = 100 << 10
    private static let partBytes = 4 << 10

    private func course(_ name: String, _ work: Work, _ content: Content, sessions: Int = 0) throws -> Course {
        let client: Client
        let workload: Workload
        switch work {
        case .segments(let count):
            client = .dcloud
            workload = Workload(
                files: 1,
                fileBytes: (count + 1) * Self.segmentBytes,
                partBytes: Self.segmentBytes,
                connections: 1
            )
        case .sparse:
            client = .dcloud
            workload = Workload(files: 1, fileBytes: 1_000_000_000_000, partBytes: Self.segmentBytes, connections: 1)
        case .parts:
            client = .parts
            workload = Workload(files: 1, fileBytes: 10_000 * Self.partBytes, partBytes: Self.partBytes, connections: 1)
        }
        let stack = Stack(name: "upload", client: client, responder: .fermata)
        let site = try BenchSite(stacks: [stack], fermata: fermata, references: nil, in: directory) { state in
            try Self.fill(state, sessions: sessions)
        }
        var parts: [Workload.Part]
        switch work {
        case .segments: parts = workload.parts(of: 0).dropLast()
        case .sparse(let isShuffled):
            let step = workload.fileBytes / 10_000
            parts = (0..<10_000).map {
                Workload.Part(file: 0, index: $0, start: $0 * step, count: Self.segmentBytes)
            }
            if isShuffled { parts.shuffle() }
        case .parts(let isShuffled):
            parts = workload.parts(of: 0)
            if isShuffled { parts.shuffle() }
            for part in parts { _ = content.md5(part) }
        }
        let upload = Upload(
            file: 0,
            workload: workload,
            name: "growth",
            path: "/upload",
            content: content,
            connection: try site.connect(content)
        )
        let id = try upload.begin(as: client)
        var points: [Plot.Point] = []
        let chunk = parts.count / Self.pointCount
        for start in stride(from: 0, to: parts.count - chunk + 1, by: chunk) {
            let before = try site.cpuSeconds(stack)
            for part in parts[start..<start + chunk] { try upload.send(part, as: client, id) }
            let after = try site.cpuSeconds(stack)
            let seconds = after.nginx + after.responder - before.nginx - before.responder
            points.append(Plot.Point(x: Double(start + chunk), y: seconds / Double(chunk) * 1e6))
        }
        return Course(line: Plot.Line(name: name, points: points), memoryBytes: try site.memoryBytes(stack))
    }

    // MARK: Many uploads

    /// Makes a ledger in which many uploads are open, each with some segments.
    private static func fill(_ state: String, sessions: Int) throws {
        guard sessions > 0 else { return }
        let ledger = try SQLiteLedger(stateDirectory: state)
        let now = Int64(Date().timeIntervalSince1970)
        let limits = CommitLimits(
            disjointRangesMax: 1024,
            fileBytesMax: 1 << 40,
            expiresAt: now + 86_400,
            isDurable: false
        )
        for index in 0..<sessions {
            guard let path = RelativePath(parsing: "f\(index)") else { throw BenchmarkError("a name is a path") }
            let spec = FileSpec(
                field: "file",
                fileName: "f",
                mediaType: "",
                target: Target(path, ifTaken: .addNumber),
                total: 1 << 30
            )
            let key = SessionKey(mount: "/other", principal: "", id: "----Session\(index)")
            let new = NewFile(
                key: key,
                spec: spec,
                root: state + "/files",
                staging: "s\(index)",
                expiresAt: now + 86_400,
                now: now
            )
            let file = try ledger.reserve(new).file
            for start in 0..<3 as Range<Int64> {
                guard let range = ByteRange(offset: start * 102_400, count: 102_400) else { continue }
                _ = try ledger.commit(CommittedSegment(range: range, checksum: 1), to: file, limits: limits)
            }
        }
    }

    /// How long the responder takes to listen, in this boot of the machine, with an empty ledger and with many uploads.
    private func reportStart() throws {
        print("\n### Start-up\n\n| open uploads | until it listens, s | memory |\n| --- | --- | --- |")
        for count in [0, Self.sessionCount] {
            let state = "\(directory)/fermata-bench-" + UUID().uuidString.prefix(8)
            try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: false)
            defer { try? FileManager.default.removeItem(atPath: state) }
            try Self.fill(state, sessions: count)
            var seconds = 0.0
            var memoryBytes = 0
            // The first start compares everything, as one does after a boot.
            for attempt in 0..<2 {
                let socket = "\(state)/\(attempt).sock"
                let start = ContinuousClock.now
                let process = try ServerProcess(
                    fermata,
                    ["serve", "--state", state, "--listen=unix:\(socket)"],
                    log: state + "/log",
                    socket: socket
                )
                seconds = (ContinuousClock.now - start) / .seconds(1)
                memoryBytes = try process.memoryBytes()
            }
            print("| \(count) | \(String(format: "%.2f", seconds)) | \(memoryBytes >> 20) MiB |")
        }
    }
}
