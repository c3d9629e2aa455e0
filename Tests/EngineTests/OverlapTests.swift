import Foundation
import Ledger
import Staging
import Testing
import Threading
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
        "a request whose bytes were written over before it ended is asked to try again, cut off or not",
        arguments: [false, true]
    )
    func overtaken(isCutOff: Bool) throws {
        let slow = try begin(0, 8)
        try slow.write(isCutOff ? "XXX" : "XXXXXXXX")
        try bench.receive("0123", 0, 4)
        #expect(throws: UploadError.uploadBusy) { try slow.end(isCutOff: isCutOff) }
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

    @Test("a request that claims bytes while another is about to commit them, which others had claimed, writes over none")
    func lateClaim() throws {
        let hook = Locked<(@Sendable () -> Void)?>(nil)
        let engine = Engine(ledger: bench.ledger) {
            hook.withLock { $0.take() }?()
            return 1_000_000
        }
        let mount = bench.mount
        let first = Intake(engine, for: mount)
        try first.begin(bench.segment(0, 2))
        let over = Intake(engine, for: mount)
        try over.begin(bench.segment(0, 10))
        try over.write("0123456789")
        let late = Intake(engine, for: mount)
        let segment = try bench.segment(4, 8)
        hook.withLock { hook in
            // The time is asked for last before the commit.
            hook = { do { try late.begin(segment) } catch { Issue.record(error) } }
        }
        _ = try over.end(isCutOff: false)
        #expect(hook.withLock { $0 } == nil)
        try late.write("XXXXXX")
        #expect(throws: UploadError.self) { try late.end(isCutOff: false) }
        #expect(try findings().isEmpty)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a request that was overtaken is so still after a publication that failed, which has trimmed the file")
    func failedPublication() throws {
        let slow = try begin(4, 8)
        try bench.receive("0123456789", 0, 10)
        let spec = bench.spec
        #expect(throws: UploadError.self) {
            let area = try bench.engine.area(bench.root)
            let (file, _) = try #require(try bench.ledger.file(spec.field, of: bench.key, overlapping: .empty, now: 1))
            try FaultInjection.run(failing: 8, with: .error(EIO), isLasting: false) {
                _ = try bench.engine.prepare(file, in: area, 900)
            }
        }
        try slow.write("XXXXXX")
        #expect(throws: UploadError.self) { try slow.end(isCutOff: false) }
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("the byte that makes a range inclusive is written over none that another has committed, or has claimed")
    func extraByte() throws {
        try bench.receive("4567", 4, 8)
        let inclusive = try begin(0, 4)
        try inclusive.write("0123X")
        try bench.receive("89", 8, 10)
        #expect(try findings().isEmpty)
        let claimed = try begin(2, 4)
        try claimed.write("23")
        #expect(throws: UploadError.self) { try begin(0, 2).write("01XX"); throw UploadError.superseded }
        _ = try claimed.end(isCutOff: false)
        _ = try inclusive.end(isCutOff: false)
        #expect(try findings().isEmpty)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123X56789")
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
            do { try bench.receive(text, offset, end) } catch UploadError.uploadBusy {} catch { Issue.record(error) }
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
