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

    /// What the engine's clock does once, besides telling the time.
    private final class Hook: @unchecked Sendable {
        var action: (() -> Void)?
    }

    @Test("who claims bytes while another is about to commit them, which others had claimed, writes over none")
    func lateClaim() throws {
        let hook = Hook()
        let engine = Engine(ledger: bench.ledger) {
            let action = hook.action
            hook.action = nil
            action?()
            return 1_000_000
        }
        let first = Intake(engine, for: bench.mount)
        try first.begin(bench.segment(0, 2))
        let over = Intake(engine, for: bench.mount)
        try over.begin(bench.segment(0, 10))
        try over.write("0123456789")
        let late = Intake(engine, for: bench.mount)
        let segment = try bench.segment(4, 8)
        // The time is asked for last before the commit.
        hook.action = { do { try late.begin(segment) } catch { Issue.record(error) } }
        _ = try over.end(isCutOff: false)
        #expect(hook.action == nil)
        try late.write("XXXXXX")
        #expect(throws: UploadError.self) { try late.end(isCutOff: false) }
        #expect(try findings().isEmpty)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a request that was overtaken is so still after a publication that failed, which has trimmed the file")
    func failedPublication() throws {
        var mount = bench.mount
        mount.handOff = HandOff(hook: nil, veto: "/nothing/there", hasManifest: false)
        let slow = Intake(bench.engine, for: mount)
        try slow.begin(bench.segment(4, 8))
        let whole = Intake(bench.engine, for: mount)
        try whole.begin(bench.segment(0, 10))
        try whole.write("0123456789")
        _ = try whole.end(isCutOff: false)
        #expect(throws: UploadError.self) { try bench.publish() }
        try slow.write("XXXXXX")
        #expect(throws: UploadError.self) { try slow.end(isCutOff: false) }
        #expect(try findings().isEmpty)
        let staging = try #require(try bench.staged().first)
        #expect(try bench.content(".fermata/" + staging).prefix(10) == "0123456789")
    }

    @Test("of two requests that start a file of another size at once, one adds to what the other has brought")
    func restarts() throws {
        try bench.receive("0123", 0, 4)
        let spec = FileSpec(field: "f", fileName: "a", mediaType: "", target: .test("a"), total: 12)
        let intakes = [bench.intake(), bench.intake()]
        for (intake, count) in zip(intakes, [8, 3] as [Int64]) {
            try intake.begin(.segment(bench.key, spec, .first(count)))
        }
        try intakes[0].write("01234567")
        try intakes[1].write("abc")
        _ = try intakes[0].end(isCutOff: false)
        let receipt = try intakes[1].end(isCutOff: false)
        #expect(receipt == .committed(FileProgress(spec: spec, prefix: 8), isWhole: false))
        #expect(try bench.staged().count == 1)
        let rest = bench.intake()
        try rest.begin(.segment(bench.key, spec, #require(ByteRange(offset: 8, end: 12))))
        try rest.write("89AB")
        _ = try rest.end(isCutOff: false)
        _ = try bench.publish()
        #expect(try bench.content("a") == "abc3456789AB")
    }

    @Test("the byte that makes a range inclusive is not put in the place of one that another request is sending")
    func extraByte() throws {
        let other = try begin(4, 8)
        try other.write("4")
        try bench.receive("0123X", 0, 4)
        try other.write("567")
        #expect(throws: UploadError.uploadBusy) { try other.end(isCutOff: false) }
        #expect(try findings().isEmpty)
        try bench.receive("56789", 5, 10)
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
