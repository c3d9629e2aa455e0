import Foundation
import SystemPackage
import Testing

@testable import Metrics

@Suite struct MetersTests {
    private let directory: String

    init() throws {
        directory = "/tmp/fermata-meters-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    }

    private func open(_ protocols: [String] = ["a", "b"]) throws -> Meters {
        let meters = Meters.shared(protocols: protocols, stateDirectory: directory)
        try #require(meters.sharingFailure == nil)
        return meters
    }

    private var file: String { directory + "/" + Meters.fileName }

    @Test("what several processes count is one sum, and outlasts them")
    func shared() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        do {
            let (one, other) = (try open(), try open())
            one.countRequest(protocol: 1, status: 200, bytes: 10, microseconds: 300)
            other.countRequest(protocol: 1, status: 200, bytes: 5, microseconds: 400_000_000)
            other.countRequest(protocol: 0, status: 599, bytes: 0, microseconds: 0)
            other.count(.sync, microseconds: 7)
        }
        let later = try open()
        #expect(later.requests(protocol: 1, status: 200) == 2)
        #expect(later.requests(protocol: 0, status: 599) == 1)
        #expect(later.requests(protocol: 0, status: 200) == 0)
        #expect(later.bytes(protocol: 1) == 15)
        #expect(later.durations(protocol: 1).sum == 400_000_300)
        #expect(later.durations(protocol: 1).counts.last == 1)
        #expect(later.durations(.sync).sum == 7)
        #expect(later.durations(.ledger).counts.reduce(0, +) == 0)
    }

    @Test("threads at once lose no count")
    func threads() {
        let meters = Meters(protocols: ["a"])
        DispatchQueue.concurrentPerform(iterations: 8) { _ in
            for _ in 0..<10_000 { meters.countRequest(protocol: 0, status: 201, bytes: 1, microseconds: 1) }
        }
        #expect(meters.requests(protocol: 0, status: 201) == 80_000)
        #expect(meters.bytes(protocol: 0) == 80_000)
        #expect(meters.durations(protocol: 0).counts[0] == 80_000)
    }

    @Test("a file of another layout begins anew")
    func otherLayout() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: file))
        let meters = try open()
        #expect(meters.requests(protocol: 0, status: 207) == 0)
    }

    @Test("a process that knows fewer protocols, or others, takes nothing from one that knows more")
    func otherProtocols() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let many = try open(["a", "b", "c", "d"])
        let few = try open(["d", "a"])
        let size = try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int
        many.countRequest(protocol: 3, status: 200, bytes: 1, microseconds: 1)
        few.countRequest(protocol: 0, status: 200, bytes: 2, microseconds: 1)
        few.countRequest(protocol: 1, status: 200, bytes: 3, microseconds: 1)
        #expect(many.requests(protocol: 3, status: 200) == 2)
        #expect(few.bytes(protocol: 0) == 3)
        #expect(many.bytes(protocol: 0) == 3)
        let others = try open(["x", "b"])
        others.countRequest(protocol: 0, status: 200, bytes: 100, microseconds: 1)
        others.countRequest(protocol: 1, status: 200, bytes: 4, microseconds: 1)
        #expect(many.bytes(protocol: 1) == 4)
        #expect((0..<4).map { many.bytes(protocol: $0) } == [3, 4, 0, 3])
        let later = try FileManager.default.attributesOfItem(atPath: file)[.size] as? Int
        #expect(try #require(later) > (try #require(size)))
    }

    @Test("a file that somebody shrinks ends no process, which goes on counting", arguments: [0, 8, 4096, 5000])
    func shrunk(size: Int) throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let meters = try open(["a", "b", "c", "d", "e"])
        meters.countRequest(protocol: 4, status: 200, bytes: 1, microseconds: 1)
        try #require(truncate(file, off_t(size)) == 0)
        for number in 0..<5 {
            for status in Meters.statuses {
                meters.countRequest(protocol: number, status: status, bytes: 1, microseconds: 1)
            }
        }
        meters.count(.sync, microseconds: 7)
        #expect(meters.requests(protocol: 4, status: 599) == 1)
        let later = try open(["a", "b", "c", "d", "e"])
        later.countRequest(protocol: 4, status: 200, bytes: 1, microseconds: 1)
        #expect(later.requests(protocol: 4, status: 200) >= 1)
    }

    @Test("all of the file is allocated, so that no count needs space")
    func allocated() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        _ = try open()
        var status = stat()
        try #require(stat(file, &status) == 0)
        #expect(Int64(status.st_blocks) * 512 >= Int64(status.st_size))
    }

    @Test("where the file cannot be had, the process counts alone and says why")
    func alone() throws {
        defer { try? FileManager.default.removeItem(atPath: directory) }
        let nowhere = Meters.shared(protocols: ["a"], stateDirectory: directory + "/nowhere")
        #expect(nowhere.sharingFailure == .noSuchFileOrDirectory)
        nowhere.countRequest(protocol: 0, status: 200, bytes: 1, microseconds: 1)
        #expect(nowhere.requests(protocol: 0, status: 200) == 1)
        // /dev/full of a directory: a file system without any space.
        try FileManager.default.createSymbolicLink(atPath: file, withDestinationPath: "/dev/full")
        let full = Meters.shared(protocols: ["a"], stateDirectory: directory)
        #expect(full.sharingFailure != nil)
        full.countRequest(protocol: 0, status: 200, bytes: 1, microseconds: 1)
        #expect(full.requests(protocol: 0, status: 200) == 1)
    }

    @Test("labels are escaped, and buckets add up")
    func exposition() {
        var text = Exposition()
        text.begin("m", .gauge, "A gauge.")
        text.add("m", [("path", #"a"b\c"# + "\n")], 1)
        #expect(text.text == "# HELP m A gauge.\n# TYPE m gauge\nm{path=\"a\\\"b\\\\c\\n\"} 1\n")
        let meters = Meters(protocols: ["a"])
        meters.countRequest(protocol: 0, status: 200, bytes: 3, microseconds: 300)
        var counters = Exposition()
        counters.add(meters)
        #expect(counters.text.contains(#"fermata_requests_total{dialect="a",status="200"} 1"#))
        #expect(counters.text.contains(#"fermata_request_duration_seconds_bucket{dialect="a",le="0.00025"} 0"#))
        #expect(counters.text.contains(#"fermata_request_duration_seconds_bucket{dialect="a",le="0.0005"} 1"#))
        #expect(counters.text.contains(#"fermata_request_duration_seconds_bucket{dialect="a",le="+Inf"} 1"#))
        #expect(counters.text.contains(#"fermata_request_duration_seconds_sum{dialect="a"} 0.0003"#))
    }
}
