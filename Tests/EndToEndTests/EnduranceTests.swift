import Foundation
import Testing

/// A large file in small segments, cut off and killed at random: the main promise, at full size.
///
/// `FERMATA_TEST_BYTES` sets another size than 1 GiB. Seeds are printed.
@Suite(.serialized, .timeLimit(.minutes(15)))
struct EnduranceTests {
    private static let segmentBytes = 102_400
    private static let interruptionsMax = 24
    private let source: SourceFile
    private let site: Site

    init() throws {
        source = try SourceFile.shared.get()
        site = try Site()
    }

    /// - Parameter kills: how often the responder was killed: each may leave a file that no upload knows yet, which a
    ///   sweep takes when it is old.
    private func expectPublished(_ name: String, kills: Int) throws {
        #expect(try md5(site.files.appending(path: name)) == source.md5())
        Tally.bytesCompared.add(source.count)
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        let check = try run(binary, ["check", "--repair", "--state=" + site.directory.path + "/state"])
        #expect(check.status == 0, "\(check.output)")
        let staged = try FileManager.default.contentsOfDirectory(atPath: site.files.path + "/.fermata")
            .filter { $0 != ".mark" }
        #expect(staged.count <= kills, "\(staged)")
    }

    /// Sends a part of a segment, then breaks off, or kills the responder and starts it again; true when it killed.
    private func interrupt(
        _ upload: SegmentedUpload,
        _ range: Range<Int>,
        _ connection: HTTPConnection,
        _ chance: inout Chance
    ) throws -> Bool {
        try upload.begin(range, on: connection, sending: Int.random(in: 0..<range.count, using: &chance))
        guard chance.isOne(in: 2) else { return false }
        usleep(20_000)
        site.killResponder()
        Tally.processesKilled.add()
        try site.restartResponder()
        return true
    }

    @Test("in order: cut and killed at random points, resumed from the query, right in the end")
    func inOrder() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("in order, seed \(seed)")
        var chance = Chance(seed: seed)
        let upload = SegmentedUpload(site, source, boundary: "----InOrder\(seed)")
        var acknowledged = 0
        var (cuts, kills) = (0, 0)
        // A step ends at an interruption, after which the server is asked anew.
        steps: for _ in 0...(2 * Self.interruptionsMax) {
            let wanted = try upload.wanted()
            try #require(wanted >= acknowledged, "acknowledged bytes are asked for again")
            if wanted == source.count { break }
            let connection = try HTTPConnection(site.port)
            var offset = wanted
            while offset < source.count {
                let end = min(offset + Self.segmentBytes, source.count)
                if cuts + kills < Self.interruptionsMax, chance.isOne(in: 400) {
                    if try interrupt(upload, offset..<end, connection, &chance) { kills += 1 } else { cuts += 1 }
                    continue steps
                }
                try #require(try upload.send(offset..<end, on: connection).status == 200)
                acknowledged = end
                offset = end
            }
        }
        print("in order: \(cuts) cuts, \(kills) kills")
        Tally.tell()
        #expect(acknowledged == source.count)
        try expectPublished("source.bin", kills: kills)
    }

    @Test("shuffled: every acknowledged segment stays acknowledged")
    func shuffled() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("shuffled, seed \(seed)")
        var chance = Chance(seed: seed)
        let upload = SegmentedUpload(site, source, boundary: "----Shuffled\(seed)")
        var open = Array(stride(from: 0, to: source.count, by: Self.segmentBytes)).shuffled(using: &chance)
        var unacknowledged = Set(open)
        var (cuts, kills) = (0, 0)
        var connection = try HTTPConnection(site.port)
        while let offset = open.popLast() {
            let range = offset..<min(offset + Self.segmentBytes, source.count)
            if cuts + kills < Self.interruptionsMax, chance.isOne(in: 400) {
                if try interrupt(upload, range, connection, &chance) { kills += 1 } else { cuts += 1 }
                connection = try HTTPConnection(site.port)
                let prefix = unacknowledged.min() ?? source.count
                try #require(try upload.wanted() >= prefix, "acknowledged bytes are asked for again")
                open.insert(offset, at: Int.random(in: 0...open.count, using: &chance))
                continue
            }
            let answer = try upload.send(range, on: connection)
            try #require(answer.status == 200, "\(answer.body)")
            unacknowledged.remove(offset)
        }
        print("shuffled: \(cuts) cuts, \(kills) kills")
        try expectPublished("source.bin", kills: kills)
    }

    @Test("four connections at once, with kills: right in the end")
    func parallel() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        print("parallel, seed \(seed)")
        let upload = SegmentedUpload(site, source, boundary: "----Parallel\(seed)")
        let work = Work(stride(from: 0, to: source.count, by: Self.segmentBytes).reversed())
        let (site, source) = (site, source)
        nonisolated(unsafe) let shared = (site, upload, work)
        concurrently(4) { worker in
            let (site, upload, work) = shared
            var chance = Chance(seed: seed &+ UInt64(worker))
            var connection: HTTPConnection?
            var failures = 0
            while failures < 2000, let offset = work.next() {
                let range = offset..<min(offset + Self.segmentBytes, source.count)
                do {
                    let live = try connection ?? HTTPConnection(site.port)
                    connection = live
                    if worker == 0, work.kills < Self.interruptionsMax / 2, chance.isOne(in: 200) {
                        try upload.begin(range, on: live, sending: range.count / 2)
                        work.countKill()
                        site.killResponder()
                        try site.restartResponder()
                    } else if try upload.send(range, on: live).status == 200 {
                        continue
                    }
                } catch {
                    // The connection went with the responder.
                }
                failures += 1
                work.giveBack(offset)
                connection = nil
                usleep(5000)
            }
        }
        print("parallel: \(work.kills) kills")
        Tally.processesKilled.add(work.kills)
        Tally.tell()
        #expect(try upload.wanted() == source.count)
        try expectPublished("source.bin", kills: work.kills)
    }

    @Test("eight uploads of 1 GiB at once leave the responder below 64 MiB")
    func memory() throws {
        let (site, source) = (site, source)
        nonisolated(unsafe) let shared = (site, source)
        concurrently(8) { number in
            let (site, source) = shared
            let upload = SegmentedUpload(site, source, boundary: "----Memory\(number)", fileName: "m\(number).bin")
            do {
                let step = number < 4 ? source.count : 128 << 20
                let connection = try HTTPConnection(site.port)
                for offset in stride(from: 0, to: source.count, by: step) {
                    let range = offset..<min(offset + step, source.count)
                    #expect(try upload.send(range, on: connection).status == 200)
                }
            } catch {
                Issue.record(error)
            }
        }
        let peak = try site.responderPeakBytes()
        print("peak resident memory: \(peak / 1024) KiB")
        Tally.tell()
        #expect(peak < 64 << 20)
        for number in 0..<8 {
            let file = site.files.appending(path: "m\(number).bin").path
            #expect(try run("cmp", [file, source.path]).status == 0)
            Tally.bytesCompared.add(source.count)
        }
    }
}

/// Random bytes in a file without a name, made once for all tests.
final class SourceFile: Sendable {
    static let shared = Result { try SourceFile() }

    let count: Int
    private let descriptor: Int32

    /// A path by which other programs can read the file.
    var path: String { "/proc/\(getpid())/fd/\(descriptor)" }

    private init() throws {
        count = ProcessInfo.processInfo.environment["FERMATA_TEST_BYTES"].flatMap { Int($0) } ?? 1 << 30
        let path = "/tmp/fermata-test-source-\(getpid())"
        try run("sh", ["-c", "head -c \(count) /dev/urandom > \(path)"])
        descriptor = open(path, O_RDONLY)
        unlink(path)
    }

    func md5() throws -> String { String(try run("md5sum", [path]).output.prefix(32)) }

    func read(_ range: Range<Int>) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: range.count) { buffer, count in
            count = pread(descriptor, buffer.baseAddress, range.count, off_t(range.lowerBound))
        }
    }
}

/// A file that is sent in segments of a session of its own.
struct SegmentedUpload {
    private static let blockBytes = 1 << 20
    private let client: DCloudClient
    private let source: SourceFile
    private let fileName: String

    init(_ site: Site, _ source: SourceFile, boundary: String, fileName: String = "source.bin") {
        client = DCloudClient(site: site, boundary: boundary)
        self.source = source
        self.fileName = fileName
    }

    func wanted() throws -> Int { try client.wanted() }

    func send(_ range: Range<Int>, on connection: HTTPConnection) throws -> HTTPConnection.Answer {
        try begin(range, on: connection, sending: range.count)
        try connection.send(Array("\r\n--\(client.boundary)--\r\n".utf8))
        return try connection.receive()
    }

    /// Sends the head, the part header and the first bytes of a segment.
    func begin(_ range: Range<Int>, on connection: HTTPConnection, sending count: Int) throws {
        let head =
            "--\(client.boundary)\r\nContent-Disposition: form-data; name=\"file\"; filename=\"\(fileName)\"; "
            + "range=\"\(range.lowerBound)-\(range.upperBound)/\(source.count)\"\r\n\r\n"
        let length = head.utf8.count + range.count + client.boundary.utf8.count + 8
        try connection.sendHead("POST", client.path, client.contentType, length: length)
        try connection.send(Array(head.utf8))
        var offset = range.lowerBound
        let end = offset + count
        while offset < end {
            let next = min(offset + Self.blockBytes, end)
            try connection.send(source.read(offset..<next))
            offset = next
        }
    }
}

/// Offsets that several connections take and, when they fail, give back.
private final class Work: @unchecked Sendable {
    private let lock = NSLock()
    private var offsets: [Int]
    private var killCount = 0

    init(_ offsets: some Sequence<Int>) { self.offsets = Array(offsets) }

    var kills: Int { lock.withLock { killCount } }
    func countKill() { lock.withLock { killCount += 1 } }
    func next() -> Int? { lock.withLock { offsets.popLast() } }
    func giveBack(_ offset: Int) { lock.withLock { offsets.append(offset) } }
}

/// A generator whose numbers follow from its seed (SplitMix64).
struct Chance: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func isOne(in count: Int) -> Bool { Int.random(in: 0..<count, using: &self) == 0 }
}
