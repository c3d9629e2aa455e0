import Foundation
import Ledger
import Staging
import Testing
import Threading
import Uploads

@testable import Engine

/// An engine on a ledger and a root of its own, with a clock that the test sets.
final class Bench: Sendable {
    let directory: String
    let ledger: SQLiteLedger
    let engine: Engine
    let clock: Clock

    final class Clock: Sendable {
        let seconds = Locked<Int64>(1_000_000)
    }

    init() throws {
        directory = "/tmp/fermata-engine-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory + "/root", withIntermediateDirectories: true)
        ledger = try SQLiteLedger(stateDirectory: directory)
        let clock = Clock()
        self.clock = clock
        engine = Engine(ledger: ledger, now: { clock.seconds.withLock { $0 } })
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch { print("left behind: \(directory)") }
    }

    var root: String { directory + "/root" }
    var mount: Mount { Mount(name: "m", root: root) }
    let key = SessionKey(mount: "m", principal: "", id: "b")
    let spec = FileSpec(field: "f", fileName: "a", mediaType: "", target: .test("a"), total: 10)

    func intake() -> Intake { Intake(engine, for: mount) }

    func segment(_ offset: Int64, _ end: Int64) throws -> Destination {
        .segment(key, spec, try #require(ByteRange(offset: offset, end: end)))
    }

    /// Receives a segment in one piece.
    @discardableResult
    func receive(_ text: String, _ offset: Int64, _ end: Int64) throws -> Receipt {
        let intake = intake()
        try intake.begin(segment(offset, end))
        try intake.write(text)
        return try intake.end(isCutOff: false)
    }

    func publish() throws -> Outcome { try intake().perform(.publish(FileKey(key, field: "f"))) }
    /// The staging files, without the root's mark.
    func staged() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: root + "/.fermata").filter { $0 != ".mark" }
    }
    func content(_ name: String) throws -> String { try String(contentsOfFile: root + "/" + name, encoding: .utf8) }
    func prefix() throws -> Int64? {
        try ledger.progress(of: key, now: clock.seconds.withLock { $0 })?.files.first?.prefix
    }
    func recover(boot: String = "boot") throws -> RecoveryReport {
        try engine.recover(boot: boot, tombstoneSeconds: 900)
    }
}

@Suite struct EngineTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    private func committed(_ prefix: Int64, isWhole: Bool = false) -> Receipt {
        .committed(FileProgress(spec: bench.spec, prefix: prefix), isWhole: isWhole)
    }

    @Test("segments in any order make a file, published once")
    func publish() throws {
        #expect(try bench.receive("456789", 4, 10) == committed(0))
        #expect(try bench.publish() == .done, "not whole yet")
        #expect(try bench.receive("0123", 0, 4) == committed(10, isWhole: true))
        let published = Outcome.published(PublishedFile(spec: bench.spec, path: "a"))
        #expect(try bench.publish() == published)
        #expect(try bench.publish() == published, "a second time gives the same answer")
        #expect(try bench.content("a") == "0123456789")
        #expect(try bench.staged().isEmpty)
    }

    @Test("a cut-off segment commits what came, in place and over committed bytes alike")
    func cutOff() throws {
        for (text, expected) in [("012", 3), ("01", 3), ("01234", 5)] as [(String, Int64)] {
            let intake = bench.intake()
            try intake.begin(bench.segment(0, 8))
            try intake.write(text)
            #expect(try intake.end(isCutOff: true) == committed(expected))
        }
        try bench.receive("56789", 5, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a failed repeat of a committed segment does not touch its bytes", arguments: ["XX", "XXXXXX"])
    func failedRepeat(text: String) throws {
        try bench.receive("0123", 0, 4)
        #expect(throws: UploadError.self) { try bench.receive(text, 0, 4) }
        try bench.receive("456789", 4, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a restart that breaks off before its first byte leaves the old file")
    func emptyRestart() throws {
        try bench.receive("0123", 0, 4)
        let other = FileSpec(field: "f", fileName: "a", mediaType: "", target: .test("a"), total: 12)
        let intake = bench.intake()
        try intake.begin(.segment(bench.key, other, #require(ByteRange(offset: 0, end: 4))))
        #expect(throws: UploadError.lengthMismatch(declared: 4, received: 0)) { try intake.end(isCutOff: true) }
        #expect(try bench.prefix() == 4)
    }

    @Test("one byte more than the range makes it inclusive, within the total only")
    func inclusive() throws {
        #expect(try bench.receive("01234", 0, 4) == committed(5))
        #expect(throws: UploadError.longerThanDeclared(declared: 5)) { try bench.receive("567890", 5, 10) }
        #expect(try bench.receive("56789", 5, 9) == committed(10, isWhole: true))
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a connection that hangs while another one finishes the file is acknowledged and writes nothing")
    func overtaken() throws {
        let hanging = bench.intake()
        try hanging.begin(bench.segment(0, 10))
        try hanging.write("012")
        try bench.receive("0123456789", 0, 10)
        _ = try bench.publish()
        try hanging.write("XXXXXXX")
        #expect(
            try hanging.end(isCutOff: false)
                == .committed(FileProgress(spec: bench.spec, prefix: 10, state: .published(path: "a")), isWhole: true)
        )
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("the same bytes sent again once the file is published are acknowledged, and make no copy")
    func repeated() throws {
        try bench.receive("0123456789", 0, 10)
        _ = try bench.publish()
        let finished = Receipt.committed(
            FileProgress(spec: bench.spec, prefix: 10, state: .published(path: "a")),
            isWhole: true
        )
        for (text, offset) in [("0123", Int64(0)), ("456789", 4), ("0123456789", 0)] {
            #expect(try bench.receive(text, offset, offset + Int64(text.utf8.count)) == finished, "\(text)")
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root).filter { !$0.hasPrefix(".") } == ["a"])
        // Its site has fetched it: there is nothing to compare with.
        try FileManager.default.removeItem(atPath: bench.root + "/a")
        #expect(try bench.receive("0123", 0, 4) == finished)
    }

    @Test(
        "other bytes for a file that is published are not acknowledged: their client starts anew, and the file stays",
        arguments: [("abcd", 0), ("efghij", 4), ("0123x5", 0)] as [(String, Int64)]
    )
    func others(text: String, offset: Int64) throws {
        try bench.receive("0123456789", 0, 10)
        _ = try bench.publish()
        #expect(throws: UploadError.superseded) {
            try bench.receive(text, offset, offset + Int64(text.utf8.count))
        }
        #expect(try bench.content("a") == "0123456789")
        #expect(try bench.receive("abcdefghij", 0, 10) == committed(10, isWhole: true))
        guard case .published(let file) = try bench.publish() else {
            Issue.record("the second file is published")
            return
        }
        #expect(try bench.content(file.path) == "abcdefghij")
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("two files whose field names differ in their bytes alone are two files")
    func normalisation() throws {
        let fields = ["\u{E9}", "e\u{301}"]
        for (field, text) in zip(fields, ["0123456789", "abcdefghij"]) {
            let spec = FileSpec(field: field, fileName: field, mediaType: "", target: .test("a"), total: 10)
            let intake = bench.intake()
            try intake.begin(.segment(bench.key, spec, try #require(ByteRange(offset: 0, end: 10))))
            try intake.write(text)
            _ = try intake.end(isCutOff: false)
        }
        let files = fields.map { FileKey(bench.key, field: $0) }
        #expect(files[0] != files[1])
        guard
            case .publishedForm(let published, nil) = try bench.intake().perform(
                .publishForm(FormFiles(stored: files, held: [], fields: []))
            )
        else {
            Issue.record("both are published")
            return
        }
        #expect(try published.map { try bench.content($0.path) } == ["0123456789", "abcdefghij"])
        for (file, field) in zip(published, fields) { #expect(file.spec.field.utf8.elementsEqual(field.utf8)) }
    }

    @Test("a connection whose session is cancelled is told so")
    func cancelled() throws {
        let hanging = bench.intake()
        try hanging.begin(bench.segment(0, 10))
        #expect(try bench.intake().perform(.remove(bench.key)) == .done)
        try hanging.write("0123456789")
        #expect(throws: UploadError.superseded) { try hanging.end(isCutOff: false) }
        #expect(try bench.staged().isEmpty)
    }

    @Test("a held file that no command publishes leaves nothing behind")
    func held() throws {
        let intake = bench.intake()
        try intake.begin(.whole(bytesMax: 4, isHashed: false))
        try intake.write("0123")
        #expect(try intake.end(isCutOff: false) == .held(HeldFile(index: 0), count: 4, digest: nil))
        try intake.begin(.whole(bytesMax: 4, isHashed: false))
        try intake.write("01234")
        #expect(throws: UploadError.tooLarge(maxBytes: 4)) { try intake.end(isCutOff: false) }
        #expect(try bench.staged().isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root) == [".fermata"])
    }

    // MARK: Recovery

    @Test("a file that was whole when the process died is published at the next start")
    func recoverWhole() throws {
        try bench.receive("0123456789", 0, 10)
        #expect(try bench.recover().published == 1)
        #expect(try bench.content("a") == "0123456789")
        #expect(try bench.recover() == RecoveryReport())
    }

    @Test("a process that died while publishing, before or after the rename, has published", arguments: [false, true])
    func recoverPublishing(isRenamed: Bool) throws {
        try bench.receive("0123456789", 0, 10)
        let file = try bench.ledger.unpublishedWholeFiles(now: bench.engine.now())[0]
        let staged = bench.root + "/.fermata/" + file.staging
        var status = stat()
        try #require(lstat(staged, &status) == 0)
        _ = try bench.ledger.beginPublishing(file, as: "a", inode: UInt64(status.st_ino), assembly: nil)
        if isRenamed { try #require(rename(staged, bench.root + "/a") == 0) }
        #expect(try bench.recover().published == 1)
        #expect(try bench.content("a") == "0123456789")
        #expect(try bench.staged().isEmpty)
        #expect(try bench.ledger.unpublishedWholeFiles(now: bench.engine.now()).isEmpty)
    }

    @Test("a client that comes before recovery finds the half-published file finished")
    func segmentFinishesPublishing() throws {
        try bench.receive("0123456789", 0, 10)
        let file = try bench.ledger.unpublishedWholeFiles(now: bench.engine.now())[0]
        _ = try bench.ledger.beginPublishing(file, as: "a", inode: 1, assembly: nil)
        #expect(
            try bench.receive("456789", 4, 10)
                == .committed(FileProgress(spec: bench.spec, prefix: 10, state: .published(path: "a")), isWhole: true)
        )
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("after an unclean boot only the segments whose bytes are there stay")
    func recoverBoot() throws {
        _ = try bench.recover(boot: "first")
        try bench.receive("0123", 0, 4)
        try bench.receive("4567", 4, 8)
        let staged = bench.root + "/.fermata/" + (try bench.staged()[0])
        let handle = try FileHandle(forWritingTo: URL(fileURLWithPath: staged))
        try handle.seek(toOffset: 5)
        try handle.write(contentsOf: Data([0]))
        #expect(try bench.recover(boot: "first") == RecoveryReport(), "the same boot has lost nothing")
        #expect(try bench.recover(boot: "second").segmentsLost == 1)
        #expect(try bench.prefix() == 4)
        try bench.receive("456789", 4, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a file whose staging file is gone starts anew")
    func lostStaging() throws {
        try bench.receive("0123", 0, 4)
        try FileManager.default.removeItem(atPath: bench.root + "/.fermata/" + (try bench.staged()[0]))
        try bench.receive("456789", 4, 10)
        #expect(try bench.prefix() == 0)
        try bench.receive("0123", 0, 4)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    // MARK: Giving up beside publishing

    /// Whole bytes of which the ledger knows their name, as between the two steps of publishing.
    private func beginPublishing() throws {
        var mount = bench.mount
        mount.handOff.hook = "/bin/true"
        let intake = Intake(bench.engine, for: mount)
        try intake.begin(bench.segment(0, 10))
        try intake.write("0123456789")
        _ = try intake.end(isCutOff: false)
        let file = try bench.ledger.unpublishedWholeFiles(now: bench.engine.now())[0]
        var status = stat()
        try #require(lstat(bench.root + "/.fermata/" + file.staging, &status) == 0)
        _ = try bench.ledger.beginPublishing(file, as: "a", inode: UInt64(status.st_ino), assembly: nil)
    }

    @Test("who gives up a file that is about to have its name hears that it is finished; its event is told once")
    func cancelWhilePublishing() throws {
        try beginPublishing()
        let key = FileKey(bench.key, field: "f")
        #expect(throws: UploadError.finished) { try bench.intake().perform(.remove(bench.key)) }
        #expect(throws: UploadError.finished) { try bench.intake().perform(.cancel(key)) }
        #expect(try bench.recover().published == 1)
        #expect(try bench.content("a") == "0123456789")
        #expect(try bench.engine.events().count == 1)
        _ = try bench.intake().perform(.remove(bench.key))
        #expect(try bench.engine.events().count == 1)
    }

    @Test("an administrator's removal lets a file have its name first, and its event be told")
    func removeWhilePublishing() throws {
        try beginPublishing()
        let id = try bench.engine.uploads()[0].file.id
        #expect(try bench.engine.remove(id))
        #expect(try bench.content("a") == "0123456789")
        #expect(try bench.engine.events().count == 1)
        #expect(try bench.engine.uploads().isEmpty)
        #expect(try !bench.engine.remove(id))
    }

    @Test("a whole upload that has expired is not published at the next start, but swept")
    func expiredWhole() throws {
        try bench.receive("0123456789", 0, 10)
        bench.clock.seconds.withLock { $0 += bench.mount.idleSeconds + 60 }
        #expect(try bench.prefix() == nil, "its client is told that it is gone")
        #expect(try bench.recover() == RecoveryReport())
        #expect(try bench.engine.sweep().expired.count == 1)
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root) == [".fermata"])
        #expect(try bench.staged().isEmpty)
    }

    // MARK: Sweep

    @Test("an expired session goes with its bytes; one that received bytes since does not")
    func sweep() throws {
        try bench.receive("0123", 0, 4)
        bench.clock.seconds.withLock { $0 += 24 * 3600 - 1 }
        #expect(try bench.engine.sweep().expired.count == 0)
        try bench.receive("4", 4, 5)
        bench.clock.seconds.withLock { $0 += 24 * 3600 - 1 }
        #expect(try bench.engine.sweep().expired.count == 0)
        bench.clock.seconds.withLock { $0 += 61 }
        #expect(try bench.engine.sweep().expired.count == 1)
        #expect(try bench.staged().isEmpty)
        #expect(try bench.prefix() == nil)
    }

    @Test("a staging file that no session knows is swept once it is old")
    func orphans() throws {
        try bench.receive("0123", 0, 4)
        try Data().write(to: URL(fileURLWithPath: bench.root + "/.fermata/orphan"))
        bench.clock.seconds.withLock { $0 = Int64(time(nil)) }
        #expect(try bench.engine.sweep().orphans.isEmpty)
        bench.clock.seconds.withLock { $0 += 601 }
        // The session of the test's first clock has expired by now.
        #expect(try bench.engine.sweep().orphans.count == 1)
        #expect(try bench.staged().isEmpty)
    }

    /// Begins uploads of sessions of their own.
    private func begin(_ count: Int) throws {
        for number in 0..<count {
            let key = SessionKey(mount: "m", principal: "", id: "\(number)")
            let intake = bench.intake()
            try intake.begin(.segment(key, bench.spec, .first(4)))
            try intake.write("0123")
            _ = try intake.end(isCutOff: false)
        }
    }

    @Test("uploads that expire together go a few at a time, so that a clock that was wrong once costs few of them")
    func expiringTogether() throws {
        try begin(5)
        bench.clock.seconds.withLock { $0 += 25 * 3600 }
        let report = try bench.engine.sweep(expiredMax: 2)
        #expect(report.expired.count == 2)
        #expect(report.waiting == 3)
        bench.clock.seconds.withLock { $0 -= 25 * 3600 }
        #expect(try bench.engine.sweep().expired.isEmpty)
        #expect(try bench.engine.uploads().count == 3)
        #expect(try bench.staged().count == 3)
    }

    @Test("an upload is not swept that is younger by the clock of its file system")
    func fileSystemTime() throws {
        bench.clock.seconds.withLock { $0 = Int64(time(nil)) }
        try begin(1)
        bench.clock.seconds.withLock { $0 += 25 * 3600 }
        #expect(try bench.engine.sweep().expired.isEmpty)
        #expect(try bench.staged().count == 1)
    }

    @Test("a sweep goes through all that has expired, however much it is")
    func manyExpired() throws {
        try begin(450)
        bench.clock.seconds.withLock { $0 += 25 * 3600 }
        #expect(try bench.engine.sweep().expired.count == 450)
        #expect(try bench.staged().isEmpty)
        #expect(try bench.engine.uploads().isEmpty)
    }

    @Test("a clock that was set is not trusted until it has gone on evenly, or is set back")
    func clockWatch() {
        var clock = ClockWatch(now: 1_000_000, uptime: 5)
        #expect(clock.jump(now: 1_000_060, uptime: 65) == 0)
        #expect(clock.jump(now: 1_090_120, uptime: 125) == 90_000)
        #expect(clock.jump(now: 1_090_180, uptime: 185) == 90_000)
        #expect(clock.jump(now: 1_000_240, uptime: 245) == 0)
        #expect(clock.jump(now: 1_090_300, uptime: 305) == 90_000)
        #expect(clock.jump(now: 1_093_895, uptime: 3_900) == 90_000)
        #expect(clock.jump(now: 1_093_905, uptime: 3_910) == 0)
        #expect(clock.jump(now: .max, uptime: 3_970) != 0)
    }

    // MARK: Quotas

    /// Publishes plain files of one form, as long as none is refused; returns how many.
    private func form(_ sizes: [Int], on mount: Mount) throws -> Int {
        let intake = Intake(bench.engine, for: mount)
        var held: [HeldFile] = []
        for size in sizes {
            try intake.begin(.whole(bytesMax: 1 << 20, isHashed: false))
            try intake.write(String(repeating: "x", count: size))
            guard case .held(let file, _, _) = try intake.end(isCutOff: false) else { throw CancellationError() }
            held.append(file)
        }
        let uploads = zip(held, sizes).map { file, size in
            HeldUpload(
                file,
                FileSpec(field: "f", fileName: "plain", mediaType: "", target: .test("plain"), total: Int64(size))
            )
        }
        _ = try intake.perform(.publishForm(FormFiles(stored: [], held: uploads, fields: [])))
        return held.count
    }

    @Test(
        "a form whose files have no room together is refused before the first has its name, and frees what it set aside"
    )
    func quotaOfForm() throws {
        var mount = bench.mount
        mount.principalLimits.bytesMax = 1000
        #expect(throws: UploadError.quotaExceeded(maxBytes: 1000)) { try form([400, 400, 400, 400], on: mount) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root) == [".fermata"])
        #expect(try form([500, 500], on: mount) == 2)
        #expect(try bench.engine.usage().map(\.bytes) == [1000])
    }

    @Test("of 20 plain files at once no more are stored than the quota has room for")
    func quotaAtOnce() throws {
        var limited = bench.mount
        limited.principalLimits.bytesMax = 1000
        let mount = limited
        let stored = Locked(0)
        let refused = Locked(0)
        DispatchQueue.concurrentPerform(iterations: 20) { _ in
            do {
                let count = try form([100], on: mount)
                stored.withLock { $0 += count }
            } catch { refused.withLock { $0 += 1 } }
        }
        #expect(stored.withLock { $0 } == 10)
        #expect(refused.withLock { $0 } == 10)
        #expect(try bench.engine.usage().map(\.bytes) == [1000])
    }

    // MARK: Syncing

    @Test("the ledger forgets segments that are on disk, and a power cut costs only those that are not")
    func compaction() throws {
        _ = try bench.recover(boot: "first")
        let count = Int64(CommitLimits.unsyncedSegmentsMax) * 2 + 500
        let spec = FileSpec(field: "f", fileName: "a", mediaType: "", target: .test("a"), total: count)
        for offset in 0..<count - 1 {
            let intake = bench.intake()
            try intake.begin(.segment(bench.key, spec, #require(ByteRange(offset: offset, count: 1))))
            try intake.write([UInt8(truncatingIfNeeded: offset)].span)
            _ = try intake.end(isCutOff: false)
        }
        let file = try bench.ledger.unpublishedFiles()[0]
        #expect(try bench.ledger.unsyncedSegments(of: file).count == 499)
        let staged = try FileHandle(forUpdating: URL(fileURLWithPath: bench.root + "/.fermata/" + file.staging))
        for offset in [10, count - 100] {
            try staged.seek(toOffset: UInt64(offset))
            try staged.write(contentsOf: Data([0xEE]))
        }
        // What was synced is not looked at again; of the rest, the changed byte is missing.
        #expect(try bench.recover(boot: "second").segmentsLost == 1)
        #expect(try bench.prefix() == count - 100)
    }

    @Test("a segment over bytes that were synced takes them with it when a power cut tears it")
    func tornOverSynced() throws {
        _ = try bench.recover(boot: "first")
        let file = try bench.ledger.reserve(
            NewFile(
                key: bench.key,
                spec: bench.spec,
                root: bench.root,
                staging: "s",
                expiresAt: 2_000_000,
                now: 1
            )
        ).file
        try Data("0123456789".utf8).write(to: URL(fileURLWithPath: bench.root + "/.fermata-s"))
        try FileManager.default.createDirectory(atPath: bench.root + "/.fermata", withIntermediateDirectories: true)
        try FileManager.default.moveItem(atPath: bench.root + "/.fermata-s", toPath: bench.root + "/.fermata/s")
        let limits = CommitLimits(disjointRangesMax: 9, fileBytesMax: 99, expiresAt: 2_000_000, isDurable: false)
        let first = CommittedSegment(range: .first(9), checksum: 1)
        _ = try bench.ledger.commit(first, to: file, limits: limits)
        try bench.ledger.markSynced([first], of: file)
        let over = CommittedSegment(range: try #require(ByteRange(offset: 4, end: 6)), checksum: 2)
        _ = try bench.ledger.commit(over, to: file, limits: limits)
        #expect(try bench.recover(boot: "second").segmentsLost == 1)
        #expect(try bench.prefix() == 4)
    }

    // MARK: Sweeping and checking

    @Test("an expired upload to which bytes are on their way is left alone, and a dry run leaves everything")
    func liveWriter() throws {
        try bench.receive("0123", 0, 4)
        do {
            let slow = bench.intake()
            try slow.begin(bench.segment(4, 10))
            bench.clock.seconds.withLock { $0 += bench.mount.idleSeconds + 60 }
            let report = try bench.engine.sweep()
            #expect(report.inUse.count == 1)
            #expect(report.expired.isEmpty)
            try slow.write("456789")
            #expect(try slow.end(isCutOff: false) == committed(10, isWhole: true), "its last byte makes it live again")
        }
        bench.clock.seconds.withLock { $0 += bench.mount.idleSeconds + 60 }
        #expect(try bench.engine.sweep(isDryRun: true).expired.count == 1)
        #expect(try bench.staged().count == 1)
        #expect(try bench.engine.sweep().expired.count == 1)
        #expect(try bench.staged().isEmpty)
    }

    @Test("a whole file that gets its name a moment after its last bytes is no finding")
    func namedSoon() throws {
        try bench.receive("0123456789", 0, 10)
        let bench = bench
        Thread {
            usleep(300_000)
            _ = try? bench.publish()
        }.start()
        let start = ContinuousClock.now
        let findings = try bench.engine.check(isRepairing: false, tombstoneSeconds: 900, grace: .seconds(60))
        #expect(findings.isEmpty)
        #expect(ContinuousClock.now - start < .seconds(30), "nobody waits for longer than it takes")
    }

    private func check(isRepairing: Bool = false) throws -> [String] {
        try bench.engine.check(isRepairing: isRepairing, tombstoneSeconds: 900).map(\.description)
    }

    @Test("a check finds changed bytes, and a repair has only them sent again")
    func checkDamage() throws {
        try bench.receive("0123", 0, 4)
        try bench.receive("4567", 4, 8)
        #expect(try check().isEmpty)
        let name = try bench.staged()[0]
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: bench.root + "/.fermata/" + name))
        try file.seek(toOffset: 5)
        try file.write(contentsOf: Data("X".utf8))
        #expect(try check().count == 1)
        #expect(try check()[0].contains("bytes 4-8 are not those"))
        #expect(try bench.prefix() == 8, "without repair nothing changes")
        _ = try check(isRepairing: true)
        #expect(try check().isEmpty)
        #expect(try bench.prefix() == 4)
    }

    @Test("bytes that were written over by others are those that were committed")
    func checkOverwritten() throws {
        try bench.receive("0123", 0, 4)
        for (text, start) in [("ab", 1), ("cdef", 2), ("ghijk", 0)] as [(String, Int64)] {
            try bench.receive(text, start, start + Int64(text.utf8.count))
            #expect(try check().isEmpty)
        }
        #expect(try bench.recover(boot: "another").segmentsLost == 0)
        try bench.receive("lmnop", 5, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "ghijklmnop")
    }

    @Test("a check and a recovery beside restarts find nothing wrong, and drop no acknowledged segment")
    func checkBesideRestarts() throws {
        let bench = bench
        let isDone = Locked(false)
        let findings = Locked<[String]>([])
        let checking = Thread {
            while !isDone.withLock({ $0 }) {
                do {
                    let found = try bench.engine.check(isRepairing: true, tombstoneSeconds: 900).map(\.description)
                    findings.withLock { $0 += found }
                } catch { findings.withLock { $0.append("\(error)") } }
            }
            isDone.withLock { $0 = false }
        }
        checking.start()
        for number in 0..<400 {
            let spec = FileSpec(
                field: "f",
                fileName: "a",
                mediaType: "",
                target: .test("a"),
                total: 10 + Int64(number % 2)
            )
            let intake = bench.intake()
            try intake.begin(.segment(bench.key, spec, .first(4)))
            try intake.write("\(1000 + number)")
            _ = try intake.end(isCutOff: false)
            #expect(try bench.prefix() == 4)
            // Other bytes over committed ones, which are written aside.
            let over = bench.intake()
            try over.begin(.segment(bench.key, spec, .first(4)))
            try over.write("\(5000 + number)")
            _ = try over.end(isCutOff: false)
            #expect(try bench.prefix() == 4)
        }
        isDone.withLock { $0 = true }
        while isDone.withLock({ $0 }) { usleep(1000) }
        #expect(findings.withLock { $0 } == [])
    }

    @Test("a check finds a lost staging file, an orphan and an unpublished file; a repair settles each")
    func checkNames() throws {
        try bench.receive("0123456789", 0, 10)
        #expect(try check()[0].contains("whole but has no final name"))
        _ = try check(isRepairing: true)
        #expect(try bench.content("a") == "0123456789")
        let other = SessionKey(mount: "m", principal: "", id: "other")
        let intake = bench.intake()
        try intake.begin(.segment(other, bench.spec, .first(4)))
        try intake.write("0123")
        _ = try intake.end(isCutOff: false)
        try FileManager.default.removeItem(atPath: bench.root + "/.fermata/" + bench.staged()[0])
        #expect(try check()[0].contains("its bytes are gone"))
        _ = try check(isRepairing: true)
        try Data().write(to: URL(fileURLWithPath: bench.root + "/.fermata/orphan"))
        bench.clock.seconds.withLock { $0 = Int64(time(nil)) + 3600 }
        #expect(try check() == ["\(bench.root): staging file orphan is of no upload"])
        _ = try check(isRepairing: true)
        #expect(try check().isEmpty)
        #expect(try bench.staged().isEmpty)
    }

    @Test("a folder in the place of a staging file, and a name that can not be given, do not end a repair")
    func checkGoesOn() throws {
        try begin(2)
        let staged = try bench.staged()
        try FileManager.default.removeItem(atPath: bench.root + "/.fermata/" + staged[0])
        try FileManager.default.createDirectory(
            atPath: bench.root + "/.fermata/" + staged[0],
            withIntermediateDirectories: false
        )
        for name in ["blocked", "free"] {
            let spec = FileSpec(
                field: name,
                fileName: name,
                mediaType: "",
                target: .test(name, ifTaken: .replace),
                total: 4
            )
            let intake = bench.intake()
            try intake.begin(.segment(SessionKey(mount: "m", principal: "", id: name), spec, .first(4)))
            try intake.write("0123")
            _ = try intake.end(isCutOff: false)
        }
        try FileManager.default.createDirectory(atPath: bench.root + "/blocked/x", withIntermediateDirectories: true)
        let findings = try bench.engine.check(isRepairing: true, tombstoneSeconds: 900)
        #expect(findings.count == 3)
        #expect(findings[0].description.contains("its bytes are gone"))
        #expect(findings.compactMap(\.failure) == ["\(UploadError.pathBlocked)"])
        #expect(try bench.content("free") == "0123")
        #expect(try bench.engine.uploads().count == 3)
    }

    // MARK: Appending

    @Test("the last bytes again bring about the name of a file whose process died before it had one")
    func repeatedEnd() throws {
        let key = FileKey(bench.key)
        let spec = FileSpec(field: "", fileName: "a", mediaType: "", target: .test("a", ifTaken: .replace), total: 10)
        _ = try bench.intake().perform(.open(NewUpload(key, spec, fields: [], kind: .ranges)))
        func append(_ text: String, at offset: Int64) throws -> Outcome {
            let intake = bench.intake()
            try intake.begin(.append(AppendDestination(key, bytesMax: 100)))
            try intake.write(text)
            guard case .held(let held, _, _) = try intake.end(isCutOff: false) else { return .done }
            return try intake.perform(.append(held, key, offset: offset))
        }
        _ = try append("0123", at: 0)
        let whole = Outcome.received(.committed(FileProgress(spec: spec, prefix: 10), isWhole: true))
        #expect(try append("456789", at: 4) == whole)
        #expect(try append("456789", at: 4) == whole)
        #expect(throws: UploadError.offsetMismatch(committed: 10)) { try append("45678", at: 4) }
        _ = try bench.intake().perform(.publish(key))
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a file is not begun anew with bytes of whoever has taken its end over", arguments: ["ABCD", "ABCDEFGH"])
    func overtakenRestart(text: String) throws {
        let key = FileKey(bench.key)
        let spec = FileSpec(field: "", fileName: "a", mediaType: "", target: .test("a", ifTaken: .replace), total: 10)
        _ = try bench.intake().perform(.open(NewUpload(key, spec, fields: [], kind: .ranges)))
        let (first, late, next) = (bench.intake(), bench.intake(), bench.intake())
        for (intake, bytes) in [(first, "0123"), (late, "ABCD"), (next, "wxyz")] {
            try intake.begin(.append(AppendDestination(key, bytesMax: 100)))
            try intake.write(bytes)
            guard intake === first else { continue }
            guard case .held(let held, _, _) = try first.end(isCutOff: false) else { throw CancellationError() }
            _ = try first.perform(.append(held, key, offset: 0))
        }
        #expect(throws: UploadError.offsetMismatch(committed: 4)) {
            // Four bytes more are too many behind the first four, and not at 0.
            if text.count > 4 { try late.write(String(text.dropFirst(4))) }
            guard case .held(let held, _, _) = try late.end(isCutOff: false) else { return }
            _ = try late.perform(.append(held, key, offset: 0))
        }
        guard case .held(let held, _, _) = try next.end(isCutOff: false) else { throw CancellationError() }
        _ = try next.perform(.append(held, key, offset: 4))
        #expect(try bench.ledger.upload(key, now: 0)?.commit.prefix == 8)
    }

    @Test("a request that has lost the end of a file, and sends more than there is room for, is told so")
    func overtakenBeyondRoom() throws {
        let key = FileKey(bench.key)
        let spec = FileSpec(field: "", fileName: "a", mediaType: "", target: .test("a", ifTaken: .replace), total: 10)
        _ = try bench.intake().perform(.open(NewUpload(key, spec, fields: [], kind: .ranges)))
        let (late, next) = (bench.intake(), bench.intake())
        try late.begin(.append(AppendDestination(key, bytesMax: 100)))
        try next.begin(.append(AppendDestination(key, bytesMax: 100)))
        // The first bytes would fit, but the end is another's; the next ones would not.
        try late.write("0123")
        #expect(late.isSated)
        try late.write("0123456789x")
        #expect(throws: UploadError.offsetMismatch(committed: 0)) { try late.end(isCutOff: false) }
        try next.write("0123456789")
        guard case .held(let held, _, _) = try next.end(isCutOff: false) else { throw CancellationError() }
        _ = try next.perform(.append(held, key, offset: 0))
        _ = try bench.intake().perform(.publish(key))
        #expect(try bench.content("a") == "0123456789")
    }
}
