import Foundation
import GRDB
import Ledger
import Staging
import Testing
import Threading
import Uploads

@testable import Engine

/// Roots that are not what they were: unmounted, replaced, another ledger's.
@Suite struct RootsTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    private var away: String { bench.directory + "/away" }

    /// Takes the root away, as an unmounted disk is, and leaves an empty mount point.
    private func unmount(leavingFolder: Bool = true) throws {
        try FileManager.default.moveItem(atPath: bench.root, toPath: away)
        if leavingFolder {
            try FileManager.default.createDirectory(atPath: bench.root, withIntermediateDirectories: false)
        }
    }

    private func mountAgain() throws {
        try? FileManager.default.removeItem(atPath: bench.root)
        try FileManager.default.moveItem(atPath: away, toPath: bench.root)
    }

    /// Another process on the same ledger.
    private func anotherEngine(directory: String? = nil) throws -> Engine {
        let clock = bench.clock
        let ledger = try SQLiteLedger(stateDirectory: directory ?? bench.directory)
        return Engine(ledger: ledger, now: { clock.seconds.withLock { $0 } })
    }

    private func isUnavailable(_ body: () throws -> Void) -> Bool {
        do { try body() } catch UploadError.stagingUnavailable { return true } catch { return false }
        return false
    }

    @Test(
        "an unmounted root is unavailable, and nothing of it is forgotten, published or swept",
        arguments: [true, false]
    )
    func unmounted(leavingFolder: Bool) throws {
        try bench.receive("0123", 0, 4)
        let name = try #require(try bench.staged().first)
        try unmount(leavingFolder: leavingFolder)
        #expect(isUnavailable { try bench.receive("456789", 4, 10) })
        #expect(isUnavailable { _ = try bench.publish() })
        #expect(
            isUnavailable { _ = try bench.intake().perform(.describe(bench.key)) },
            "nobody is told that it is gone"
        )
        #expect(isUnavailable { _ = try bench.intake().perform(.remove(bench.key)) })
        bench.clock.seconds.withLock { $0 += 100_000_000 }
        let engine = try anotherEngine()
        let report = try engine.recover(boot: "another", tombstoneSeconds: 900)
        #expect(Array(report.unavailable.keys) == [bench.root] && report.filesLost == 0)
        let sweep = try engine.sweep()
        #expect(sweep.expired.isEmpty && sweep.orphans.isEmpty && Array(sweep.unavailable.keys) == [bench.root])
        let findings = try engine.check(isRepairing: true, tombstoneSeconds: 900)
        #expect(findings.count == 1 && findings[0].description.contains("mount"))
        #expect(try bench.ledger.unpublishedFiles().count == 1)
        if leavingFolder { #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root).isEmpty) }
        bench.clock.seconds.withLock { $0 -= 100_000_000 }
        try mountAgain()
        #expect(try bench.staged() == [name])
        try bench.receive("456789", 4, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a root that was away at the start is recovered when it is back: torn bytes are found, whole files published")
    func returned() throws {
        try bench.receive("0123456789", 0, 10)
        let name = try #require(try bench.staged().first)
        try unmount()
        let engine = try anotherEngine()
        _ = try engine.recover(boot: "another", tombstoneSeconds: 900)
        try Data("01X3456789".utf8).write(to: URL(fileURLWithPath: away + "/.fermata/torn"))
        let torn = try FileHandle(forUpdating: URL(fileURLWithPath: away + "/.fermata/" + name))
        try torn.write(contentsOf: Data("01X3".utf8))
        try torn.close()
        try FileManager.default.removeItem(atPath: away + "/.fermata/torn")
        try mountAgain()
        let intake = Intake(engine, for: bench.mount)
        #expect(try intake.perform(.publish(FileKey(bench.key, field: "f"))) == .done, "its bytes are not all there")
        #expect(try bench.prefix() == 0)
        #expect(try engine.ledger.root(bench.root)?.isRecovered == true)
    }

    @Test("the same disk, mounted while another stood there, goes on; another disk of the same ledger does not")
    func exchanged() throws {
        try bench.receive("0123", 0, 4)
        let other = bench.directory + "/other"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
        _ = try bench.engine.area(other)
        try unmount(leavingFolder: false)
        try FileManager.default.moveItem(atPath: other, toPath: bench.root)
        #expect(try bench.engine.problem(of: bench.root) == .otherRoot(path: other))
        #expect(isUnavailable { try bench.receive("456789", 4, 10) })
        try FileManager.default.moveItem(atPath: bench.root, toPath: other)
        try FileManager.default.moveItem(atPath: away, toPath: bench.root)
        try bench.receive("456789", 4, 10)
        _ = try bench.publish()
    }

    @Test("a second state directory on one root is refused, and sweeps nothing")
    func twoLedgers() throws {
        try bench.receive("0123", 0, 4)
        let second = bench.directory + "/second"
        try FileManager.default.createDirectory(atPath: second, withIntermediateDirectories: false)
        bench.clock.seconds.withLock { $0 = Int64(time(nil)) + 1000 }
        let engine = try anotherEngine(directory: second)
        _ = try engine.recover(boot: "boot", tombstoneSeconds: 900)
        #expect(try engine.problem(of: bench.root) == .otherLedger(state: bench.directory))
        #expect(isUnavailable { _ = try engine.area(bench.root) })
        #expect(isUnavailable { _ = try engine.orphans(in: bench.root) })
        _ = try engine.sweep()
        #expect(try bench.staged().count == 1)
    }

    @Test("a root that another ledger takes over while it is used is given up within a second")
    func takenOver() throws {
        try bench.receive("0123", 0, 4)
        let state = bench.directory + "/other"
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: false)
        _ = try anotherEngine(directory: state).adopt(bench.root, isForced: true)
        Thread.sleep(forTimeInterval: 1.1)
        #expect(isUnavailable { try bench.receive("456789", 4, 10) })
        _ = try anotherEngine().adopt(bench.root, isForced: true)
        try bench.receive("456789", 4, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a root whose mark is gone while it is used is given up within a second")
    func markRemoved() throws {
        try bench.receive("0123", 0, 4)
        try FileManager.default.removeItem(atPath: bench.root + "/.fermata/.mark")
        Thread.sleep(forTimeInterval: 1.1)
        #expect(isUnavailable { try bench.receive("456789", 4, 10) })
    }

    @Test("a lost ledger's root is refused by the new one until it is adopted, in words that say so")
    func lostLedger() throws {
        try bench.receive("0123", 0, 4)
        let second = bench.directory + "/second"
        try FileManager.default.createDirectory(atPath: second, withIntermediateDirectories: false)
        let engine = try anotherEngine(directory: second)
        let problem = try #require(try engine.problem(of: bench.root))
        #expect(problem.remedy.contains("fermata adopt-root"))
        let refused = try engine.adopt(bench.root, isForced: false)
        #expect(!refused.isDone && refused.foreignFiles == 1 && refused.lostUploads == 0)
        #expect(try engine.problem(of: bench.root) == problem)
        #expect(try engine.adopt(bench.root, isForced: true).isDone)
        #expect(try engine.problem(of: bench.root) == nil)
        #expect(try engine.adopt(bench.root, isForced: false).problem == nil, "it is adopted already")
        sleep(1)
        usleep(100_000)
        #expect(isUnavailable { try bench.receive("456789", 4, 10) }, "whoever had it before hears of it in a second")
    }

    @Test("a replaced disk is adopted without force only when nothing is lost by it")
    func replaced() throws {
        try bench.receive("0123", 0, 4)
        try unmount()
        let refused = try bench.engine.adopt(bench.root, isForced: false)
        #expect(!refused.isDone && refused.lostUploads == 1)
        #expect(try bench.engine.adopt(bench.root, isForced: true).isDone)
        try bench.receive("0123456789", 0, 10)
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
        try FileManager.default.removeItem(atPath: away)
        try unmount()
        #expect(try bench.engine.adopt(bench.root, isForced: false).isDone, "no upload is open")
    }

    @Test("of many that mark a new root at once one mark stays, and all go on")
    func race() throws {
        let engines = try (0..<8).map { _ in try anotherEngine() }
        let root = bench.root
        DispatchQueue.concurrentPerform(iterations: engines.count) { index in
            #expect(throws: Never.self) { _ = try engines[index].area(root) }
        }
        let area = try StagingArea.open(root: root)
        #expect(try area.mark()?.root == bench.ledger.root(root)?.mark)
        #expect(try area.names(unchangedSince: .max).isEmpty)
    }

    @Test("of many that stage their first files in a new root at once none takes those of the others for foreign ones")
    func firstFiles() throws {
        let engines = try (0..<4).map { _ in try anotherEngine() }
        for round in 0..<50 {
            let root = bench.directory + "/root\(round)"
            try FileManager.default.createDirectory(atPath: root, withIntermediateDirectories: false)
            let spec = bench.spec
            DispatchQueue.concurrentPerform(iterations: engines.count) { index in
                #expect(throws: Never.self) {
                    let mount = Mount(name: "m", root: root)
                    let intake = Intake(engines[index], for: mount)
                    let key = SessionKey(on: mount, id: "\(index)")
                    try intake.begin(.segment(key, spec, .first(10)))
                    try intake.write("0123")
                    _ = try intake.end(isCutOff: true)
                }
            }
        }
    }

    @Test("a mark that was made, but not noted, by a process that died is noted by the next")
    func unnoted() throws {
        let area = try StagingArea.open(root: bench.root)
        let mark = RootMark(ledger: bench.ledger.identity.id, root: "1", state: bench.directory)
        #expect(try area.give(mark))
        try bench.receive("0123", 0, 4)
        #expect(try bench.ledger.root(bench.root)?.mark == "1")
    }

    @Test(
        "a root of a version without marks is adopted when a byte of its uploads is there, and else is taken for unmounted"
    )
    func former() throws {
        try bench.receive("0123", 0, 4)
        try FileManager.default.removeItem(atPath: bench.root + "/.fermata/.mark")
        // As the ledger was before roots had marks.
        let ledger = bench.directory + "/ledger.sqlite"
        try DatabaseQueue(path: ledger).write { try $0.execute(sql: "UPDATE root SET mark = NULL") }
        try unmount()
        try FileManager.default.createDirectory(atPath: bench.root + "/.fermata", withIntermediateDirectories: false)
        let engine = try anotherEngine()
        #expect(try engine.problem(of: bench.root) == .bytesMissing(uploads: 1))
        #expect(isUnavailable { _ = try engine.area(bench.root) })
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root + "/.fermata").isEmpty)
        try mountAgain()
        _ = try engine.recover(boot: "boot", tombstoneSeconds: 900)
        #expect(try engine.ledger.root(bench.root)?.mark != nil)
        try bench.receive("456789", 4, 10)
    }

    @Test("staging files that nobody has marked and the ledger does not know are not taken for orphans")
    func foreign() throws {
        try FileManager.default.createDirectory(atPath: bench.root + "/.fermata", withIntermediateDirectories: false)
        try Data("x".utf8).write(to: URL(fileURLWithPath: bench.root + "/.fermata/" + StagingArea.makeName()))
        #expect(try bench.engine.problem(of: bench.root) == .foreignFiles(count: 1))
        #expect(isUnavailable { try bench.receive("0123", 0, 4) })
        #expect(try bench.staged().count == 1)
    }

    @Test("a segment goes to its file's root, where the bytes are, though its mount has another now")
    func fileRoot() throws {
        try bench.receive("0123", 0, 4)
        let other = bench.directory + "/other"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
        let intake = Intake(bench.engine, for: Mount(name: "m", root: other))
        try intake.begin(bench.segment(4, 10))
        try intake.write("456789")
        let receipt = try intake.end(isCutOff: false)
        #expect(receipt == .committed(FileProgress(spec: bench.spec, prefix: 10), isWhole: true))
        #expect(try bench.staged().count == 1)
    }

    @Test("a survey lists all places for files with what keeps files out of them, but no root that was given up")
    func survey() throws {
        let allowed = bench.directory + "/allowed"
        let problems = { [bench] () throws -> [String: String] in
            let survey = try bench.engine.survey(bench.root, and: [bench.root, allowed])
            return Dictionary(uniqueKeysWithValues: survey.roots.map { ($0.path, $0.problem ?? "") })
        }
        #expect(try problems() == [bench.root: "", allowed: "the directory is not there"])
        try FileManager.default.createDirectory(atPath: allowed, withIntermediateDirectories: false)
        #expect(try problems() == [bench.root: "", allowed: ""])
        // A root below what is allowed, with an open upload.
        let other = allowed + "/other"
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
        let intake = Intake(bench.engine, for: Mount(name: "m", root: other))
        let key = SessionKey(mount: "m", root: other, principal: "", id: "b")
        try intake.begin(.segment(key, bench.spec, try #require(ByteRange(offset: 0, end: 4))))
        try intake.write("0123")
        _ = try intake.end(isCutOff: false)
        #expect(try problems() == [bench.root: "", allowed: "", other: ""])
        try FileManager.default.moveItem(atPath: other, toPath: away)
        #expect(try problems()[other]?.contains("the directory is not there: mount its disk") == true)
        try FileManager.default.createDirectory(atPath: other, withIntermediateDirectories: false)
        #expect(try problems()[other]?.contains("the mark that Fermata gave it is not there") == true)
        try FileManager.default.removeItem(atPath: other)
        // Another process, which nobody has asked for the root: as long as it has an upload it is missed.
        let engine = try anotherEngine()
        let listed = { try engine.survey(self.bench.root, and: [allowed]).roots.map(\.path) }
        #expect(try listed() == [allowed, other, bench.root].sorted())
        try FileManager.default.moveItem(atPath: away, toPath: other)
        _ = try Intake(engine, for: Mount(name: "m", root: other)).perform(.remove(key))
        let third = try anotherEngine()
        try FileManager.default.removeItem(atPath: other)
        #expect(try third.survey(bench.root, and: [allowed]).roots.map(\.path) == [allowed, bench.root].sorted())
        // A request for it shows that it is missed.
        let late = Intake(third, for: Mount(name: "m", root: other))
        #expect(isUnavailable { _ = try late.perform(.describe(key)) })
        #expect(try third.survey(bench.root, and: [allowed]).roots.map(\.path).contains(other))
    }
}
