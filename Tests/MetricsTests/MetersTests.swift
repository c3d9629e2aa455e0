import Foundation
import Testing

@testable import Metrics

@Suite struct MetersTests {
    private let directory: String

    init() throws {
        directory = "/tmp/fermata-meters-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
    }

    private func open(_ protocols: [String] = ["a", "b"]) throws -> Meters {
        try Meters(protocols: protocols, stateDirectory: directory)
    }

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
        try Data(repeating: 7, count: 100_000).write(to: URL(fileURLWithPath: directory + "/" + Meters.fileName))
        let meters = try open()
        #expect(meters.requests(protocol: 0, status: 207) == 0)
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
