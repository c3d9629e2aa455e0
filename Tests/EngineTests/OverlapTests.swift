import Foundation
import Ledger
import Staging
import Testing
import Uploads

@testable import Engine

/// Requests for the same bytes of one file: none is acknowledged by bytes that others have written over.
@Suite struct OverlapTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    private func findings() throws -> [String] {
        // That a whole file has no name yet is none.
        try bench.engine.check(isRepairing: false, tombstoneSeconds: 900).map(\.description)
            .filter { $0.contains("not those that were committed") }
    }

    private func begin(_ offset: Int64, _ end: Int64) throws -> Intake {
        let intake = bench.intake()
        try intake.begin(bench.segment(offset, end))
        return intake
    }

    @Test("a request that dies anywhere while it writes over committed bytes leaves no checksum that is not true")
    func dyingOver() throws {
        var mount = bench.mount
        mount.durability = .segment
        for fault in [FaultInjection.Fault.error(EIO), .error(ENOSPC)] {
            for number in 0..<200 {
                let bench = try Bench()
                try bench.receive("01234567", 0, 8)
                var isComplete = false
                let fired = try FaultInjection.run(failing: number, with: fault, isLasting: true) {
                    let intake = Intake(bench.engine, for: Mount(copying: mount, root: bench.root))
                    do {
                        try intake.begin(bench.segment(2, 6))
                        try intake.write("abcd")
                        _ = try intake.end(isCutOff: false)
                        isComplete = true
                    } catch is UploadError {}
                }
                #expect(isComplete || fired > 0)
                let findings = try bench.engine.check(isRepairing: false, tombstoneSeconds: 900)
                #expect(findings.isEmpty, "call \(number): \(findings)")
                if fired == 0 { break }
            }
        }
    }

    @Test("a slow request writes over no byte that another has committed meanwhile, and may die", arguments: [0, 3])
    func slow(count: Int) throws {
        let slow = try begin(0, 8)
        try slow.write(String(repeating: "X", count: count))
        try bench.receive("0123", 0, 4)
        try slow.write(String(repeating: "Y", count: 8 - count))
        #expect(try findings().isEmpty)
        try bench.receive("456789", 4, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test(
        "a request whose bytes were written over before it ended is refused, cut off or not",
        arguments: [false, true]
    )
    func overtaken(isCutOff: Bool) throws {
        let slow = try begin(0, 8)
        try slow.write(isCutOff ? "XXX" : "XXXXXXXX")
        try bench.receive("0123", 0, 4)
        #expect(throws: UploadError.superseded) { try slow.end(isCutOff: isCutOff) }
        #expect(try findings().isEmpty)
        #expect(try bench.prefix() == 4)
    }

    @Test("a request whose bytes are the same as those of the other goes on and is acknowledged", arguments: [2, 8])
    func sameBytes(count: Int) throws {
        let slow = try begin(0, 8)
        try slow.write(String("01234567".prefix(count)))
        try bench.receive("0123", 0, 4)
        try slow.write(String("01234567".dropFirst(count)))
        _ = try slow.end(isCutOff: false)
        #expect(try findings().isEmpty)
        #expect(try bench.prefix() == 8)
        try bench.receive("89", 8, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("requests for other bytes of the file go on, whatever two do to each other, and disturb nobody")
    func bystander() throws {
        let slow = try begin(0, 4)
        try slow.write("X")
        let other = try begin(4, 8)
        try other.write("4")
        try bench.receive("0123", 0, 4)
        try other.write("567")
        let third = try begin(8, 10)
        try third.write("8")
        _ = try other.end(isCutOff: false)
        try third.write("9")
        _ = try third.end(isCutOff: false)
        _ = try slow.end(isCutOff: true)
        #expect(try findings().isEmpty)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test(
        "of requests at once for the same bytes some are acknowledged, and the bytes are those of one",
        arguments: 0..<20
    )
    func atOnce(seed: Int) throws {
        let bench = bench
        DispatchQueue.concurrentPerform(iterations: 8) { number in
            let (offset, end): (Int64, Int64) = number % 2 == 0 ? (0, 10) : (Int64(number), Int64(number) + 3)
            let text = String(repeating: "\(number)", count: Int(end - offset))
            do { try bench.receive(text, offset, end) } catch UploadError.superseded {} catch { Issue.record(error) }
        }
        #expect(try findings().isEmpty)
    }
}

extension Mount {
    /// The mount of another bench.
    fileprivate init(copying other: Mount, root: String) {
        self.init(name: other.name, root: root)
        durability = other.durability
    }
}
