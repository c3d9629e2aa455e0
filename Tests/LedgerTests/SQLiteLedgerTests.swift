import Foundation
import GRDB
import Testing
import Uploads

@testable import Ledger

@Suite struct SQLiteLedgerTests {
    private let directory: TemporaryDirectory
    private let ledger: SQLiteLedger
    private let key = SessionKey(mount: "m", principal: "ann", id: "b")
    private let spec = FileSpec(field: "f", fileName: "a", mediaType: "t", target: .test("a"), total: 10)

    init() throws {
        directory = try TemporaryDirectory()
        ledger = try SQLiteLedger(stateDirectory: directory.path)
    }

    private func new(
        _ spec: FileSpec? = nil,
        key: SessionKey? = nil,
        staging: String = "s1",
        expiresAt: Int64 = 1000,
        now: Int64 = 0
    ) -> NewFile {
        NewFile(
            key: key ?? self.key,
            spec: spec ?? self.spec,
            root: "/r",
            staging: staging,
            expiresAt: expiresAt,
            now: now
        )
    }

    private func segment(_ offset: Int64, _ end: Int64) throws -> CommittedSegment {
        CommittedSegment(range: try #require(ByteRange(offset: offset, end: end)), checksum: UInt64(end))
    }

    private func limits(ranges: Int = 100, expiresAt: Int64 = 1000, durable: Bool = false) -> CommitLimits {
        CommitLimits(disjointRangesMax: ranges, fileBytesMax: 1 << 40, expiresAt: expiresAt, isDurable: durable)
    }

    @Test("a ledger of a newer version is refused, and stays as it is")
    func newer() throws {
        let path = directory.path + "/" + SQLiteLedger.fileName
        let queue = try DatabaseQueue(path: path)
        try queue.write { try $0.execute(sql: "INSERT INTO grdb_migrations (identifier) VALUES ('99 future')") }
        #expect(throws: NewerLedger.self) { try SQLiteLedger(stateDirectory: directory.path) }
        let count = try queue.read { try Int.fetchOne($0, sql: "SELECT count(*) FROM grdb_migrations") }
        #expect(count == Schema.migrator.migrations.count + 1)
    }

    @Test("a reserved file is told to nobody; its first segment opens it")
    func reserve() throws {
        let file = try ledger.reserve(new()).file
        #expect(try ledger.progress(of: key, now: 1)?.files.isEmpty == true)
        #expect(try ledger.commit(segment(0, 4), to: file, limits: limits()) == Commit(prefix: 4, isWhole: false))
        #expect(
            try ledger.progress(of: key, now: 1)?.files == [FileProgress(spec: spec, prefix: 4)]
        )
    }

    @Test("a segment makes those that it covers forgotten, and asks for a sync when it covers one in part")
    func overlappingSegments() throws {
        let file = try ledger.reserve(new()).file
        for (start, end) in [(1, 3), (3, 4)] as [(Int64, Int64)] {
            #expect(try !ledger.commit(segment(start, end), to: file, limits: limits()).needsSync)
        }
        #expect(try !ledger.commit(segment(0, 5), to: file, limits: limits()).needsSync)
        #expect(try ledger.unsyncedSegments(of: file) == [segment(0, 5)])
        #expect(try !ledger.commit(segment(0, 5), to: file, limits: limits()).needsSync)
        #expect(try !ledger.commit(segment(5, 7), to: file, limits: limits()).needsSync)
        #expect(try ledger.commit(segment(4, 6), to: file, limits: limits()).needsSync)
        let all = try ledger.unsyncedSegments(of: file)
        #expect(try all == [segment(0, 5), segment(4, 6), segment(5, 7)])
        try ledger.markSynced(all, of: file)
        #expect(try ledger.unsyncedSegments(of: file).isEmpty)
    }

    @Test("the second to reserve gets the first one's file; another file makes a reserved one give way")
    func reserveTwice() throws {
        let first = try ledger.reserve(new()).file
        #expect(try ledger.reserve(new(staging: "s2")).file == first)
        let other = FileSpec(field: "f", fileName: "b", mediaType: "t", target: .test("b"), total: 10)
        let (file, leftovers) = try ledger.reserve(new(other, staging: "s3"))
        #expect(file.staging == "s3")
        #expect(leftovers == [Leftover(root: "/r", staging: "s1")])
        #expect(throws: UploadError.superseded) { try ledger.commit(segment(0, 4), to: first, limits: limits()) }
    }

    @Test("coverage is a union, in whatever order segments come", arguments: [false, true])
    func union(durable: Bool) throws {
        let file = try ledger.reserve(new()).file
        let limits = limits(durable: durable)
        #expect(try ledger.commit(segment(6, 10), to: file, limits: limits).prefix == 0)
        #expect(try ledger.commit(segment(2, 4), to: file, limits: limits).prefix == 0)
        #expect(try ledger.commit(segment(3, 6), to: file, limits: limits).prefix == 0)
        #expect(try ledger.commit(segment(0, 1), to: file, limits: limits).prefix == 1)
        #expect(try ledger.commit(segment(1, 2), to: file, limits: limits) == Commit(prefix: 10, isWhole: true))
        #expect(try ledger.unpublishedWholeFiles(now: 1).map(\.id) == [file.id])
    }

    @Test("one range more than the limit is refused and changes nothing; a gap can still be filled")
    func tooManyRanges() throws {
        let file = try ledger.reserve(new()).file
        let limits = limits(ranges: 2)
        _ = try ledger.commit(segment(0, 1), to: file, limits: limits)
        _ = try ledger.commit(segment(2, 3), to: file, limits: limits)
        #expect(throws: UploadError.tooManyRanges(max: 2)) {
            try ledger.commit(segment(4, 5), to: file, limits: limits)
        }
        #expect(try ledger.commit(segment(1, 2), to: file, limits: limits).prefix == 3)
        #expect(try ledger.commit(segment(4, 5), to: file, limits: limits).prefix == 3)
        #expect(try ledger.unsyncedSegments(of: file).count == 4)
    }

    @Test("whether a range holds committed bytes")
    func overlaps() throws {
        let file = try ledger.reserve(new()).file
        _ = try ledger.commit(segment(4, 6), to: file, limits: limits())
        for (offset, end, expected) in [(0, 4, false), (0, 5, true), (5, 5, false), (5, 10, true), (6, 10, false)] {
            let range = try #require(ByteRange(offset: Int64(offset), end: Int64(end)))
            #expect(try ledger.file("f", of: key, overlapping: range, now: 1)?.overlaps == expected)
        }
    }

    @Test("sessions are of a mount and a principal, and end when they expire")
    func isolation() throws {
        let file = try ledger.reserve(new()).file
        _ = try ledger.commit(segment(0, 4), to: file, limits: limits(expiresAt: 50))
        for key in [
            SessionKey(mount: "m", principal: "bob", id: "b"), SessionKey(mount: "n", principal: "ann", id: "b"),
        ] {
            #expect(try ledger.progress(of: key, now: 1) == nil)
            #expect(try ledger.remove(key).isEmpty)
        }
        #expect(try ledger.progress(of: key, now: 49) != nil)
        #expect(try ledger.progress(of: key, now: 50) == nil)
        let (again, leftovers) = try ledger.reserve(new(staging: "s2", expiresAt: 90, now: 50))
        #expect(again.staging == "s2")
        #expect(leftovers.map(\.staging) == ["s1"])
    }

    @Test("a published file is a tombstone until its time has run out")
    func tombstone() throws {
        let file = try ledger.reserve(new()).file
        _ = try ledger.commit(segment(0, 10), to: file, limits: limits())
        _ = try ledger.beginPublishing(file, as: "a[1]", inode: .max, assembly: nil)
        #expect(try ledger.current(file)?.file.phase == .publishing(name: "a[1]", inode: .max))
        try ledger.finishPublishing(file, as: "a[1]", tombstoneUntil: 20, events: [])
        #expect(try ledger.progress(of: key, now: 19)?.files.map(\.isPublished) == [true])
        #expect(try ledger.progress(of: key, now: 20)?.files.isEmpty == true)
        #expect(try ledger.commit(segment(0, 4), to: file, limits: limits()) == Commit(prefix: 10, isWhole: true))
        #expect(try ledger.unpublishedWholeFiles(now: 1).isEmpty)
        let expired = try ledger.expiredSessions(now: 5000, after: nil, countMax: 9)
        #expect(try ledger.removeExpired(expired, now: 5000).isEmpty, "a published file leaves no staging file")
    }

    @Test("a replacement takes the place of the old file with its first segment")
    func replace() throws {
        let old = try ledger.reserve(new()).file
        _ = try ledger.commit(segment(0, 4), to: old, limits: limits())
        let other = FileSpec(field: "f", fileName: "a", mediaType: "t", target: .test("a"), total: 12)
        let replaced = try ledger.replace(nil, with: new(other, staging: "s2"), segment(0, 3), limits: limits())
        #expect(replaced.leftovers.map(\.staging) == ["s1"])
        #expect(replaced.commit.prefix == 3)
        #expect(throws: UploadError.superseded) { try ledger.commit(segment(4, 8), to: old, limits: limits()) }
        #expect(throws: UploadError.superseded) { try ledger.beginPublishing(old, as: "a", inode: 1, assembly: nil) }
        #expect(
            try ledger.progress(of: key, now: 1)?.files == [FileProgress(spec: other, prefix: 3)]
        )
    }

    private func store(
        _ fields: [(String, String)],
        bytesMax: Int = 1 << 20,
        valuesMax: Int = 1_000
    ) throws {
        try ledger.store(
            fields.map { FormField(name: $0, value: $1) },
            in: key,
            limits: FieldLimits(bytesMax: bytesMax, valuesMax: valuesMax),
            expiresAt: 1000,
            now: 0
        )
    }

    private func stored() throws -> [String]? {
        try ledger.progress(of: key, now: 1)?.fields.map { "\($0.name)=\($0.value)" }
    }

    @Test("fields need a session, and keep their order")
    func fields() throws {
        try store([("b", "1"), ("a", "2")])
        #expect(try stored() == nil)
        _ = try ledger.reserve(new())
        try store([("b", "1"), ("a", "2")])
        #expect(try stored() == ["b=1", "a=2"])
    }

    @Test("a field keeps all values of a request, in their order, and a later request's values take their place")
    func values() throws {
        _ = try ledger.reserve(new())
        try store([("t[]", "1"), ("a", "x"), ("t[]", "2"), ("t[]", "1")])
        #expect(try stored() == ["t[]=1", "a=x", "t[]=2", "t[]=1"])
        try store([("t[]", "1"), ("a", "x"), ("t[]", "2"), ("t[]", "1")])
        #expect(try stored() == ["t[]=1", "a=x", "t[]=2", "t[]=1"], "what is sent again is not multiplied")
        try store([("t[]", "3")])
        #expect(try stored() == ["t[]=3", "a=x"])
        try store([("t[]", "4"), ("t[]", "5")])
        #expect(try stored()?.filter { $0.hasPrefix("t") } == ["t[]=4", "t[]=5"])
        #expect(try ledger.outline(of: key, now: 1)?.fieldNames == ["t[]", "a"])
    }

    @Test("names that differ in their bytes alone are two fields, and two files")
    func bytes() throws {
        _ = try ledger.reserve(new())
        try store([("e\u{301}", "1"), ("\u{E9}", "2")])
        #expect(try ledger.progress(of: key, now: 1)?.fields.map(\.value) == ["1", "2"])
        try store([("\u{E9}", "3")])
        let progress = try #require(try ledger.progress(of: key, now: 1))
        #expect(progress.value("e\u{301}") == "1")
        #expect(progress.value("\u{E9}") == "3")
    }

    @Test("the fields of a session are bounded over all requests, and what is stored stays")
    func fieldLimits() throws {
        _ = try ledger.reserve(new())
        try store([("a", "12345678")], bytesMax: 10)
        #expect(throws: UploadError.fieldsTooLarge(bytesMax: 10)) { try store([("b", "1")], bytesMax: 10) }
        try store([("a", "123456789")], bytesMax: 10)
        try store([("a", "1"), ("b", "2"), ("b", "3")], valuesMax: 3)
        #expect(throws: UploadError.tooManyFields(max: 3)) { try store([("c", "4")], valuesMax: 3) }
        #expect(try stored() == ["a=1", "b=2", "b=3"])
    }

    @Test("what remains when segments are lost is the union of the others")
    func drop() throws {
        let file = try ledger.reserve(new()).file
        for (offset, end) in [(0, 4), (4, 8), (6, 10)] as [(Int64, Int64)] {
            _ = try ledger.commit(segment(offset, end), to: file, limits: limits())
        }
        try ledger.drop([segment(4, 8)], of: file)
        #expect(try ledger.current(file)?.commit.prefix == 4)
        #expect(try ledger.commit(segment(4, 6), to: file, limits: limits()).isWhole)
    }

    @Test("a ledger is the same when it is opened again")
    func reopen() throws {
        let file = try ledger.reserve(new()).file
        _ = try ledger.commit(segment(0, 4), to: file, limits: limits())
        try ledger.setVerifiedBoot("boot")
        let again = try SQLiteLedger(stateDirectory: directory.path)
        #expect(try again.verifiedBoot() == "boot")
        #expect(try again.current(file)?.commit.prefix == 4)
        #expect(try again.stagingNames() == ["/r": ["s1"]])
    }

    @Test("what must be durable is committed with a sync, and nothing else is")
    func synchronous() throws {
        func level() throws -> Int {
            try ledger.pool.writeWithoutTransaction { db in
                try #require(try db.row("PRAGMA synchronous") { $0[0] as Int })
            }
        }
        #expect(try level() == 1)
        let inside: Int = try ledger.write("test", durable: true) { db in
            try #require(try db.row("PRAGMA synchronous") { $0[0] as Int })
        }
        #expect(inside == 2)
        #expect(try level() == 1)
    }
}

@Suite struct MigrationTests {
    @Test("a ledger of the first schema is read on")
    func first() throws {
        let directory = try TemporaryDirectory()
        do {
            let pool = try DatabasePool(path: directory.path + "/" + SQLiteLedger.fileName)
            try Schema.migrator.migrate(pool, upTo: "1 sessions")
            try pool.write { db in
                try db.execute(
                    sql: """
                        INSERT INTO session (id, mount, principal, key, expiresAt) VALUES (1, 'm', 'ann', 'b', 1000);
                        INSERT INTO file (id, session, field, fileName, mediaType, target, total, root, staging, phase)
                            VALUES (1, 1, 'f', 'a', 't', 'image.jpg', 10, '/r', 's1', 1);
                        INSERT INTO range (file, start, end) VALUES (1, 0, 4);
                        INSERT INTO segment (file, start, end, checksum) VALUES (1, 0, 2, 7), (1, 2, 4, 8);
                        """
                )
            }
            try pool.close()
        }
        let ledger = try SQLiteLedger(stateDirectory: directory.path)
        let key = SessionKey(mount: "m", root: "/r", principal: "ann", id: "b")
        let spec = FileSpec(field: "f", fileName: "a", mediaType: "t", target: .test("image.jpg"), total: 10)
        #expect(try ledger.progress(of: key, now: 1)?.files == [FileProgress(spec: spec, prefix: 4)])
        #expect(try ledger.issueNumber() == 1)
        #expect(try ledger.issueNumber() == 2)
        let counts = try ledger.read("test") { db in try db.rows("SELECT segments FROM range") { $0[0] as Int } }
        #expect(counts == [2])
    }
}

@Suite struct FormerSessionTests {
    private let directory: TemporaryDirectory
    private let former = SessionKey(mount: "/up", root: "/r", principal: "ann", id: "b")

    /// A ledger as the first release has left it, with an upload and what a principal has used.
    init() throws {
        directory = try TemporaryDirectory()
        let pool = try DatabasePool(path: directory.path + "/" + SQLiteLedger.fileName)
        try Schema.migrator.migrate(pool, upTo: "5 events")
        try pool.write { db in
            try db.execute(
                sql: """
                    INSERT INTO session (id, mount, principal, key, expiresAt) VALUES (1, '/up', 'ann', 'b', 1000);
                    INSERT INTO session (id, mount, principal, key, expiresAt) VALUES (2, 'own', 'ann', 'b', 1000);
                    INSERT INTO file (id, session, field, fileName, mediaType, target, total, root, staging, phase)
                        VALUES (1, 1, 'f', 'a', 't', 'a', 10, '/r', 's1', 1),
                            (2, 2, 'f', 'a', 't', 'a', 10, '/r', 's2', 1);
                    INSERT INTO range (file, start, end) VALUES (1, 0, 4), (2, 0, 6);
                    INSERT INTO root (path) VALUES ('/r');
                    INSERT INTO usage (mount, principal, bytes) VALUES ('/up', 'ann', 70);
                    """
            )
        }
        try pool.close()
    }

    @Test("an upload of a ledger without servers goes on at the server that asks for it, and only below its root")
    func goesOn() throws {
        let ledger = try SQLiteLedger(stateDirectory: directory.path)
        func key(_ server: String, root: String = "/r") -> SessionKey {
            let name = Mount.defaultName(server: server, port: "80", path: "/up")
            return SessionKey(mount: name, root: root, principal: "ann", id: "b")
        }
        #expect(try ledger.progress(of: key("b", root: "/other"), now: 1) == nil)
        let found = try ledger.file("f", of: key("a"), overlapping: .empty, now: 1)
        #expect(found?.file.staging == "s1")
        #expect(try ledger.progress(of: key("a"), now: 1)?.files.first?.prefix == 4)
        #expect(try ledger.progress(of: key("b"), now: 1) == nil, "it is the other server's now")
        #expect(try ledger.progress(of: former, now: 1) == nil)
        let again = try SQLiteLedger(stateDirectory: directory.path)
        #expect(try again.upload(FileKey(key("a"), field: "f"), now: 1)?.commit.prefix == 4)
        let own = SessionKey(mount: "own", root: "/r", principal: "ann", id: "b")
        #expect(try ledger.progress(of: own, now: 1)?.files.first?.prefix == 6, "a name of one's own is what it was")
    }

    @Test("what a principal has used counts at every server of the path, and can be set")
    func usage() throws {
        let ledger = try SQLiteLedger(stateDirectory: directory.path)
        let mount = Mount.defaultName(server: "a", port: "80", path: "/up")
        #expect(try ledger.bytesLeft(100, of: "ann", on: mount, now: 1) == 30)
        try ledger.setUsage(20, of: "ann", on: "/up")
        #expect(try ledger.bytesLeft(100, of: "ann", on: mount, now: 1) == 80)
        let reservation = Reservation(root: "/r", staging: "file", bytes: 5)
        try ledger.reserve([reservation], 100, of: "ann", on: mount, now: 1)
        try ledger.settle(reservation, isPublished: true)
        #expect(try ledger.bytesLeft(100, of: "ann", on: mount, now: 1) == 75)
        #expect(try ledger.bytesLeft(100, of: "bob", on: mount, now: 1) == 100)
    }
}

/// A directory that is removed with the value.
final class TemporaryDirectory: Sendable {
    let path = "/tmp/fermata-ledger-" + UUID().uuidString

    init() throws {
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path)") }
    }
}
