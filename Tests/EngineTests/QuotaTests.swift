import Foundation
import Ledger
import Staging
import Testing
import Threading
import Uploads

@testable import Engine

/// What principals may have, counted while many requests come at once.
@Suite struct QuotaTests {
    /// How an upload begins.
    enum Way: CaseIterable {
        case segments, restarts, ranges, partsOfDeclaredSize, partsOfUnknownSize, partsOfTwo, plain
    }

    private static let quota: Int64 = 1000
    private static let principal = "ann"
    private let bench: Bench
    private let mount: Mount

    init() throws {
        bench = try Bench()
        var mount = Mount(name: bench.mount.name, root: bench.root)
        mount.principalLimits.bytesMax = Self.quota
        self.mount = mount.of(Self.principal)
    }

    private func key(_ number: Int) -> FileKey { FileKey(SessionKey(on: mount, id: "\(number)"), field: "f") }

    private func spec(_ total: Int64) -> FileSpec {
        FileSpec(field: "f", fileName: "a", mediaType: "", target: .test("a"), total: total)
    }

    private func segment(_ number: Int, _ offset: Int64, _ count: Int64, of total: Int64) throws {
        let intake = Intake(bench.engine, for: mount)
        let range = try #require(ByteRange(offset: offset, count: count))
        try intake.begin(.segment(key(number).session, spec(total), range))
        try intake.write(String(repeating: "x", count: Int(count)))
        _ = try intake.end(isCutOff: false)
    }

    private func open(_ number: Int, _ kind: NewUpload.Kind, total: Int64) throws {
        let upload = NewUpload(key(number), spec(total), fields: [], kind: kind)
        _ = try Intake(bench.engine, for: mount).perform(.open(upload))
    }

    private func part(_ number: Int, of upload: Int, count: Int64) throws {
        let intake = Intake(bench.engine, for: mount)
        try intake.begin(.part(PartDestination(key(upload), number: number, bytesMax: 1 << 20, sizeHint: count)))
        try intake.write(String(repeating: "x", count: Int(count)))
        guard case .held(let held, _, _) = try intake.end(isCutOff: false) else { throw CancellationError() }
        _ = try intake.perform(.commitPart(held, key(upload), number: number, expected: nil))
    }

    private func plain(_ count: Int64) throws {
        let intake = Intake(bench.engine, for: mount)
        try intake.begin(.whole(bytesMax: 1 << 20, isHashed: false))
        try intake.write(String(repeating: "x", count: Int(count)))
        guard case .held(let held, _, _) = try intake.end(isCutOff: false) else { throw CancellationError() }
        let files = FormFiles(stored: [], held: [HeldUpload(held, spec(count))], fields: [])
        _ = try intake.perform(.publishForm(files))
    }

    /// Begins an upload that is to have 100 bytes.
    private func begin(_ number: Int, _ way: Way) throws {
        switch way {
        case .segments: try segment(number, 0, 10, of: 100)
        case .restarts: try segment(number, 0, 10, of: 100)
        case .ranges: try open(number, .ranges, total: 100)
        case .partsOfDeclaredSize:
            try open(number, .parts(PartLayout(stride: 50, base: 1, total: 100)), total: 100)
            try part(1, of: number, count: 50)
        case .partsOfUnknownSize:
            try open(number, .parts(PartLayout(stride: nil)), total: 0)
            try part(1, of: number, count: 100)
        case .partsOfTwo:
            try open(number, .parts(PartLayout(stride: nil)), total: 0)
            try part(1, of: number, count: 50)
            try part(2, of: number, count: 50)
        case .plain: try plain(100)
        }
    }

    private func used() throws -> Int64 {
        let now = bench.engine.now()
        return Self.quota - (try bench.ledger.bytesLeft(Self.quota, of: Self.principal, on: mount.name, now: now))
    }

    @Test(
        "of 20 uploads at once as many are taken as the quota has room for, and no more, however they begin",
        arguments: Way.allCases
    )
    func atOnce(way: Way) throws {
        // Each restart takes the place of an upload of 1 byte.
        if way == .restarts { for number in 0..<20 { try segment(number, 0, 1, of: 1) } }
        let (taken, most) = (Locked(0), Locked<Int64>(0))
        DispatchQueue.concurrentPerform(iterations: 20) { number in
            do {
                try begin(number, way)
                taken.withLock { $0 += 1 }
            } catch UploadError.quotaExceeded(maxBytes: Self.quota) {} catch { Issue.record(error) }
            do {
                let used = try self.used()
                most.withLock { $0 = max($0, used) }
            } catch { Issue.record(error) }
        }
        let (count, used) = (taken.withLock { $0 }, try self.used())
        #expect(most.withLock { $0 } <= Self.quota)
        switch way {
        case .segments, .ranges, .partsOfDeclaredSize, .partsOfUnknownSize, .plain:
            #expect(count == 10)
            #expect(used == Self.quota)
        case .restarts:
            // A restart that is refused leaves its upload as it is.
            #expect(count == 9)
            #expect(used == 9 * 100 + 11)
        case .partsOfTwo:
            #expect(count <= 10)
            #expect(used == Self.quota, "a part of one that has to stop halfway leaves room for no other")
        }
    }

    @Test("a file of a full quota takes all of its bytes: they are in the account already")
    func ownRoom() throws {
        try segment(1, 0, 10, of: 500)
        try open(2, .parts(PartLayout(stride: 250, base: 1, total: 400)), total: 400)
        try open(3, .parts(PartLayout(stride: nil)), total: 0)
        try part(1, of: 3, count: 100)
        #expect(try used() == Self.quota)
        try segment(1, 10, 490, of: 500)
        try part(1, of: 2, count: 250)
        try part(2, of: 2, count: 150)
        try part(1, of: 3, count: 100)
        #expect(throws: UploadError.quotaExceeded(maxBytes: Self.quota)) { try part(2, of: 3, count: 1) }
        // Even if an administrator has counted more since.
        try bench.engine.setUsage(5, of: Self.principal, on: mount.name)
        try segment(1, 0, 500, of: 500)
        try part(2, of: 2, count: 150)
        try part(1, of: 3, count: 99)
        #expect(throws: UploadError.quotaExceeded(maxBytes: Self.quota)) { try part(1, of: 3, count: 100) }
    }

    @Test("the first bytes of a file whose other ones have a range are in the account, too")
    func adopted() throws {
        let intake = Intake(bench.engine, for: mount)
        try intake.begin(.segment(key(1).session, spec(1000), #require(ByteRange(offset: 600, count: 400))))
        try intake.write(String(repeating: "y", count: 400))
        _ = try intake.end(isCutOff: false)
        try intake.begin(.whole(bytesMax: 1 << 20, isHashed: false))
        try intake.write(String(repeating: "x", count: 600))
        guard case .held(let held, _, _) = try intake.end(isCutOff: false) else { throw CancellationError() }
        guard
            case .received(.committed(let progress, isWhole: true)) = try intake.perform(
                .adopt(held, key(1).session, spec(1000))
            )
        else { throw CancellationError() }
        #expect(progress.prefix == 1000)
        #expect(throws: UploadError.quotaExceeded(maxBytes: Self.quota)) { try plain(1) }
    }

    @Test("an upload that has expired gets its room back only if nobody else has it", arguments: [400, 600])
    func expired(total: Int64) throws {
        let slow = Intake(bench.engine, for: mount)
        try slow.begin(.segment(key(1).session, spec(500), .first(10)))
        try slow.write("0123456789")
        bench.clock.seconds.withLock { $0 += mount.idleSeconds + 60 }
        try segment(2, 0, 10, of: total)
        if total == 400 {
            _ = try slow.end(isCutOff: false)
            #expect(try used() == 900)
        } else {
            #expect(throws: UploadError.quotaExceeded(maxBytes: Self.quota)) { try slow.end(isCutOff: false) }
            #expect(try used() == 600)
        }
    }

    // MARK: Requests that die

    /// What is set aside for a file that is staged under a name.
    private func reserve(_ name: String) throws -> Reservation {
        let reservation = Reservation(root: bench.root, staging: name, bytes: 100)
        try bench.ledger.reserve([reservation], Self.quota, of: Self.principal, on: mount.name, now: 1)
        return reservation
    }

    @Test("the next start counts a plain file of a dead request that has its name, and gives back what others took")
    func death() throws {
        try plain(10)
        _ = try reserve("named")
        _ = try reserve("staged")
        try Data().write(to: URL(fileURLWithPath: bench.root + "/.fermata/staged"))
        #expect(try used() == 210)
        _ = try bench.recover()
        #expect(try bench.engine.usage().map(\.bytes) == [110])
        #expect(try used() == 110)
        #expect(try bench.staged().isEmpty)
    }

    @Test("a sweep does not meddle with a request that has set bytes aside")
    func alive() throws {
        try plain(10)
        _ = try reserve("staged")
        try Data().write(to: URL(fileURLWithPath: bench.root + "/.fermata/staged"))
        chmod(bench.root + "/.fermata/staged", 0o1600)
        let area = try bench.engine.area(bench.root)
        guard let file = try StagingFile.open("staged", in: area) else { throw CancellationError() }
        try file.markInUse()
        _ = try bench.engine.sweep()
        #expect(try bench.staged() == ["staged"])
        #expect(try used() == 110)
        try file.markInUse()
    }

    @Test("whatever call of a plain upload fails, and all after it, what is counted is what is there in the end")
    func faults() throws {
        for number in 0..<200 {
            let tests = try QuotaTests()
            try tests.plain(1)
            let fired = try FaultInjection.run(failing: number, with: .error(EIO), isLasting: true) {
                do { try tests.plain(100) } catch is UploadError {}
            }
            _ = try tests.bench.engine.sweep()
            let names = try FileManager.default.contentsOfDirectory(atPath: tests.bench.root)
            let count = names.filter { $0 != ".fermata" }.count
            #expect(try tests.bench.engine.usage().map(\.bytes) == [count == 1 ? 1 : 101], "call \(number)")
            #expect(try tests.used() == (count == 1 ? 1 : 101), "call \(number)")
            if fired == 0 { break }
        }
    }
}
