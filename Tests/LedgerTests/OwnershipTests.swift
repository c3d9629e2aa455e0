import Foundation
import GRDB
import Testing
import Uploads

@testable import Ledger

/// A row lives on with another upload in it; a call on the old one changes nothing of the new one. And each call made
/// twice, as after a commit of which nobody knows whether it was carried out, has one effect.
@Suite struct OwnershipTests {
    private let directory: TemporaryDirectory
    private let ledger: SQLiteLedger
    private let key = SessionKey(mount: "m", principal: "ann", id: "b")
    private let spec = FileSpec(field: "f", fileName: "a", mediaType: "t", target: .test("a"), total: 10)
    private let limits = CommitLimits(disjointRangesMax: 9, fileBytesMax: 99, expiresAt: 1000, isDurable: false)

    init() throws {
        directory = try TemporaryDirectory()
        ledger = try SQLiteLedger(stateDirectory: directory.path)
    }

    private func new(_ staging: String, _ spec: FileSpec? = nil, now: Int64 = 0) -> NewFile {
        NewFile(key: key, spec: spec ?? self.spec, root: "/r", staging: staging, expiresAt: 1000 + now, now: now)
    }

    private func segment(_ offset: Int64, _ end: Int64) throws -> CommittedSegment {
        CommittedSegment(range: try #require(ByteRange(offset: offset, end: end)), checksum: UInt64(end))
    }

    private func part(_ number: Int, _ place: StoredPart.Place, _ digit: UInt8 = 1) throws -> StoredPart {
        let digest = try #require(MD5Digest(bytes: [UInt8](repeating: digit, count: 16)))
        return StoredPart(Part(number: number, size: 4, digest: digest), checksum: UInt64(digit), place: place)
    }

    private func openParts(_ staging: String = "s1") throws -> StoredFile {
        let layout = NewUpload.Kind.parts(PartLayout(stride: nil))
        return try ledger.open(new(staging), NewUpload(FileKey(key, field: "f"), spec, fields: [], kind: layout)).file
    }

    private func event(_ key: String = "e") -> NewEvent {
        NewEvent(key: key, task: .tell(program: "/p"), document: "{}", now: 1)
    }

    /// All that the ledger holds.
    private func content() throws -> [String] {
        let tables = [
            "session", "file", "range", "segment", "synced", "part", "field", "usage", "reservation", "event", "root",
            "verified",
        ]
        return try ledger.pool.read { db in
            try tables.flatMap { table in
                try Row.fetchAll(db, sql: "SELECT * FROM \(table)").map { "\(table) \($0)" }.sorted()
            }
        }
    }

    // MARK: A late call

    /// Calls on an upload that another has taken the place of.
    private enum LateCall: CaseIterable {
        case finishPublishing, beginPublishing, drop, dropPart, dropParts, markSynced, remove, forget, cancel, learn
        case commit, commitPart
    }

    @Test("a late call changes nothing of the upload that has taken the row", arguments: [false, true])
    func late(isInParts: Bool) throws {
        let old = isInParts ? try openParts() : try ledger.reserve(new("s1")).file
        if isInParts {
            _ = try ledger.open(
                new("s2"),
                NewUpload(FileKey(key, field: "f"), spec, fields: [], kind: .parts(PartLayout(stride: nil)))
            )
            let current = try #require(try ledger.upload(FileKey(key, field: "f"), now: 1)).file
            _ = try ledger.commit(try part(1, .staging(offset: 0)), to: current, limits: limits)
        } else {
            _ = try ledger.commit(try segment(0, 4), to: old, limits: limits)
            _ = try ledger.replace(nil, with: new("s2"), try segment(0, 4), limits: limits)
        }
        let before = try content()
        for call in LateCall.allCases {
            do {
                switch call {
                case .finishPublishing:
                    try ledger.finishPublishing(old, as: "a", tombstoneUntil: 9, events: [event()])
                case .beginPublishing: _ = try ledger.beginPublishing(old, as: "a", inode: 1, assembly: nil)
                case .drop: try ledger.drop([try segment(0, 4)], of: old)
                case .dropPart: #expect(try ledger.drop([try part(1, .staging(offset: 0))], of: old).isEmpty)
                case .dropParts: #expect(try ledger.dropParts(of: old).isEmpty)
                case .markSynced: try ledger.markSynced([try segment(0, 4)], of: old)
                case .remove: #expect(try ledger.remove(old).isEmpty)
                case .forget: #expect(try ledger.forget(old) == nil)
                case .cancel: #expect(try ledger.cancel(old, tombstoneUntil: 9).isEmpty)
                case .learn: _ = try ledger.learn(PartLayout(stride: 7), for: old)
                case .commit: _ = try ledger.commit(try segment(4, 8), to: old, limits: limits)
                case .commitPart: _ = try ledger.commit(try part(2, .scratch("x")), to: old, limits: limits)
                }
            } catch UploadError.superseded {}
            #expect(try content() == before, "\(call)")
        }
        #expect(try ledger.unsyncedSegments(of: old).isEmpty)
        #expect(try ledger.parts(of: old).isEmpty)
        #expect(try !ledger.hasPartInPlace(1, of: old))
    }

    @Test("a second end of publishing keeps no second event, also when the first one is gone")
    func lateFinish() throws {
        let file = try ledger.reserve(new("s1")).file
        _ = try ledger.commit(try segment(0, 10), to: file, limits: limits)
        _ = try ledger.beginPublishing(file, as: "a", inode: 1, assembly: nil)
        try ledger.finishPublishing(file, as: "a", tombstoneUntil: 99, events: [event()])
        let id = try #require(try ledger.events().first).id
        _ = try ledger.removeEvent(id)
        try ledger.finishPublishing(file, as: "a", tombstoneUntil: 99, events: [event()])
        #expect(try ledger.events().isEmpty)
        #expect(try ledger.usage().map(\.bytes) == [10])
    }

    @Test("a file that is about to be published is not removed, forgotten, cancelled or expired")
    func publishingStays() throws {
        let file = try ledger.reserve(new("s1")).file
        _ = try ledger.commit(try segment(0, 10), to: file, limits: limits)
        _ = try ledger.beginPublishing(file, as: "a", inode: 1, assembly: nil)
        let before = try content()
        #expect(throws: UploadError.finished) { try ledger.remove(key) }
        #expect(throws: UploadError.finished) { try ledger.remove(file) }
        #expect(throws: UploadError.finished) { try ledger.cancel(file, tombstoneUntil: 9) }
        #expect(try ledger.forget(file) == nil)
        let expired = try ledger.expiredSessions(now: 5000, after: nil, countMax: 9)
        #expect(expired.count == 1)
        #expect(try ledger.removeExpired(expired, now: 5000).isEmpty)
        #expect(throws: UploadError.superseded) { try ledger.reserve(new("s2", now: 5000)) }
        try ledger.drop([try segment(0, 10)], of: file)
        #expect(try content() == before)
    }

    @Test("a file of which bytes have been dropped meanwhile is not published")
    func droppedBeforePublishing() throws {
        let file = try ledger.reserve(new("s1")).file
        _ = try ledger.commit(try segment(0, 10), to: file, limits: limits)
        try ledger.drop([try segment(0, 10)], of: file)
        #expect(throws: UploadError.superseded) { try ledger.beginPublishing(file, as: "a", inode: 1, assembly: nil) }
    }

    @Test("a whole file that has expired is not published, unless it is about to be")
    func expiredWhole() throws {
        let file = try ledger.reserve(new("s1")).file
        _ = try ledger.commit(try segment(0, 10), to: file, limits: limits)
        #expect(try ledger.unpublishedWholeFiles(now: 999).count == 1)
        #expect(try ledger.unpublishedWholeFiles(now: 1000).isEmpty)
        _ = try ledger.beginPublishing(file, as: "a", inode: 1, assembly: nil)
        #expect(try ledger.unpublishedWholeFiles(now: 1000).count == 1)
    }

    @Test("a part that was sent again is not the one that was found lost")
    func partSentAgain() throws {
        let file = try openParts()
        let lost = try part(1, .scratch("x"))
        _ = try ledger.commit(lost, to: file, limits: limits)
        let again = try part(1, .scratch("y"), 2)
        #expect(try ledger.commit(again, to: file, limits: limits).map(\.staging) == ["x"])
        #expect(try ledger.drop([lost], of: file).isEmpty)
        #expect(try ledger.parts(of: file) == [again])
    }

    // MARK: A call made twice

    /// Makes a call twice; the second one finds its effect, and gives back nothing of it.
    private func twice(_ name: String, _ call: () throws -> [Leftover]) throws {
        _ = try call()
        let once = try content()
        let leftovers = try call()
        #expect(try content() == once, "\(name)")
        let known = try ledger.stagingNames()
        for leftover in leftovers {
            #expect(known[leftover.root]?.contains(leftover.staging) != true, "\(name) gives \(leftover) back")
        }
    }

    @Test("each call of an upload in ranges, made twice, has one effect")
    func twiceInRanges() throws {
        try twice("reserve") { try ledger.reserve(new("s1")).leftovers }
        let first = try ledger.reserve(new("s1")).file
        try twice("commit") {
            _ = try ledger.commit(try segment(0, 4), to: first, limits: limits)
            return []
        }
        try twice("markSynced") {
            try ledger.markSynced([try segment(0, 4)], of: first)
            return []
        }
        let other = FileSpec(field: "f", fileName: "b", mediaType: "t", target: .test("b"), total: 8)
        try twice("replace") {
            try ledger.replace(nil, with: new("s2", other), try segment(0, 4), limits: limits).leftovers
        }
        let file = try #require(try ledger.upload(FileKey(key, field: "f"), now: 1)).file
        #expect(try ledger.current(file)?.commit.prefix == 4)
        try twice("drop") {
            try ledger.drop([try segment(0, 4)], of: file)
            return []
        }
        _ = try ledger.commit(try segment(0, 8), to: file, limits: limits)
        try twice("store") {
            let limits = FieldLimits(bytesMax: 100, valuesMax: 10)
            try ledger.store([FormField(name: "n", value: "v")], in: key, limits: limits, expiresAt: 1500, now: 1)
            return []
        }
        try twice("beginPublishing") { try ledger.beginPublishing(file, as: "b", inode: 7, assembly: nil).leftovers }
        try twice("finishPublishing") {
            try ledger.finishPublishing(file, as: "b", tombstoneUntil: 99, events: [event()])
            return []
        }
        try twice("setUsage") {
            try ledger.setUsage(5, of: "ann", on: "m")
            return []
        }
        try twice("remove session") { try ledger.remove(key) }
    }

    @Test("each call of an upload in parts, made twice, has one effect")
    func twiceInParts() throws {
        let layout = NewUpload.Kind.parts(PartLayout(stride: nil))
        let upload = NewUpload(
            FileKey(key, field: "f"),
            spec,
            fields: [FormField(name: "n", value: "v")],
            kind: layout
        )
        try twice("open") { try ledger.open(new("s1"), upload).leftovers }
        let file = try ledger.open(new("s1"), upload).file
        try twice("learn") {
            _ = try ledger.learn(PartLayout(stride: 4), for: file)
            return []
        }
        try twice("commit part") { try ledger.commit(try part(1, .scratch("x")), to: file, limits: limits) }
        try twice("commit part in place") {
            try ledger.commit(try part(2, .staging(offset: 4)), to: file, limits: limits)
        }
        try twice("drop part") { try ledger.drop([try part(2, .staging(offset: 4))], of: file) }
        let assembly = Assembly(
            total: 4,
            staging: "s9",
            parts: [try part(1, .staging(offset: 0))],
            choosing: [try part(1, .scratch("x"))]
        )
        try twice("beginPublishing") {
            try ledger.beginPublishing(file, as: "a", inode: 7, assembly: assembly).leftovers
        }
        let current = try #require(try ledger.upload(FileKey(key, field: "f"), now: 1)).file
        #expect(current.staging == "s9")
        try twice("finishPublishing") {
            try ledger.finishPublishing(current, as: "a", tombstoneUntil: 99, events: [event()])
            return []
        }
    }

    @Test("a reservation counts once, made, settled and given back twice; one of a dead process waits")
    func reservations() throws {
        let one = Reservation(root: "/r", staging: "1", bytes: 400)
        let other = Reservation(root: "/r", staging: "2", bytes: 400)
        func left(now: Int64 = 1) throws -> Int64 { try ledger.bytesLeft(1000, of: "ann", on: "m", now: now) }
        func reserve(_ all: [Reservation]) throws { try ledger.reserve(all, 1000, of: "ann", on: "m", now: 1) }
        try twice("reserve") {
            try reserve([one])
            return []
        }
        #expect(throws: UploadError.quotaExceeded(maxBytes: 1000)) {
            try reserve([other, Reservation(root: "/r", staging: "3", bytes: 400)])
        }
        #expect(try left() == 600, "all or none")
        try reserve([other])
        try twice("settle") {
            try ledger.settle(one, isPublished: true)
            return []
        }
        #expect(try ledger.usage().map(\.bytes) == [400])
        #expect(try left() == 200)
        #expect(try left(now: 1 << 40) == 200, "what became of its file is found out, whenever that is")
        #expect(try ledger.reservations() == [other])
        #expect(try ledger.stagingNames()["/r"] == ["2"])
        try ledger.settle(other, isPublished: false)
        #expect(try left() == 600)
        try ledger.setUsage(.max, of: "ann", on: "m")
        try ledger.reserve([one], .max, of: "bob", on: "m", now: 1)
        #expect(try left() == 0)
    }

    @Test("a completion does not drop a part that was committed since it was begun", arguments: [1, 2])
    func lateParts(number: Int) throws {
        let file = try openParts()
        _ = try ledger.commit(try part(1, .scratch("x")), to: file, limits: limits)
        let known = try ledger.parts(of: file)
        _ = try ledger.commit(try part(number, .scratch("y")), to: file, limits: limits)
        let parts = try ledger.parts(of: file)
        let assembly = Assembly(
            total: 4,
            staging: file.staging,
            parts: [try part(1, .staging(offset: 0))],
            choosing: known
        )
        #expect(throws: UploadError.superseded) {
            try ledger.beginPublishing(file, as: "a", inode: 7, assembly: assembly)
        }
        #expect(try ledger.parts(of: file) == parts)
        #expect(try ledger.current(file)?.file.phase == .open)
    }

    @Test("giving up, made twice, has one effect")
    func twiceGivenUp() throws {
        let file = try openParts()
        _ = try ledger.commit(try part(1, .scratch("x")), to: file, limits: limits)
        try twice("dropParts") { try ledger.dropParts(of: file) }
        try twice("cancel") { try ledger.cancel(file, tombstoneUntil: 99) }
        try twice("remove file") { try ledger.remove(file) }
    }
}
