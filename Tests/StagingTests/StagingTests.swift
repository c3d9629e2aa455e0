import Digests
import Foundation
import Synchronization
import SystemPackage
import Testing
import Uploads

@testable import Staging

/// A root in a temporary directory, removed with the value.
final class TemporaryRoot {
    let path: String

    init() throws {
        path = "/tmp/fermata-staging-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: path) } catch { print("left behind: \(path)") }
    }

    func write(_ name: String) throws { try Data().write(to: URL(fileURLWithPath: path + "/" + name)) }
    func contents(_ name: String) throws -> String { try String(contentsOfFile: path + "/" + name, encoding: .utf8) }
}

@Suite struct StagingTests {
    private let root: TemporaryRoot

    init() throws { root = try TemporaryRoot() }

    private func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: root.path + "/" + name)
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test("the staging folder is made, for its owner alone; the root is not")
    func area() throws {
        _ = try StagingArea.open(root: root.path)
        #expect(try mode(".fermata") == 0o700)
        #expect(throws: StagingError.system(operation: "open root", errno: .noSuchFileOrDirectory)) {
            _ = try StagingArea.open(root: root.path + "/none")
        }
    }

    @Test("nobody waits for a lock without end: a writer and a second completion give up")
    func lockInTime() throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.link(as: "s", in: area)
        try file.lockExclusively()
        guard let writer = try StagingFile.open("s", in: area) else { throw StagingError.sealed }
        let start = ContinuousClock.now
        #expect(throws: StagingError.busy) { try writer.write(Array("abc".utf8).span, at: 0) }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        #expect((Double(lockSecondsMax)..<Double(lockSecondsMax) + 5).contains(seconds))
        _ = consume file
        try writer.write(Array("abc".utf8).span, at: 0)
        #expect(try root.contents(".fermata/s") == "abc")
    }

    @Test("a staging folder that is a symbolic link is refused")
    func linkedFolder() throws {
        try FileManager.default.createSymbolicLink(atPath: root.path + "/.fermata", withDestinationPath: "/tmp")
        #expect(throws: StagingError.self) { _ = try StagingArea.open(root: root.path) }
    }

    @Test("bytes are written at their offset; a sealed file takes no more")
    func write() throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.reserve(total: 6)
        try file.link(as: "s", in: area)
        try file.write(Array("def".utf8).span, at: 3)
        try file.write(Array("abc".utf8).span, at: 0)
        #expect(try root.contents(".fermata/s") == "abcdef")
        #expect(try mode(".fermata/s") == 0o1600)
        guard let second = try StagingFile.open("s", in: area) else {
            Issue.record("the file is there")
            return
        }
        try file.lockExclusively()
        try file.seal()
        #expect(try area.publish("s", as: path("final"), replacing: false) == .named(unsynced: nil))
        _ = consume file
        #expect(throws: StagingError.sealed) { try second.write(Array("X".utf8).span, at: 0) }
        #expect(try root.contents("final") == "abcdef")
        #expect(try mode("final") == 0o644)
        let gone = try StagingFile.open("s", in: area) == nil
        #expect(gone)
    }

    private func path(_ text: String) throws -> RelativePath { try #require(RelativePath(parsing: text)) }

    @Test("a file whose name was removed takes no more bytes")
    func removed() throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.link(as: "s", in: area)
        try area.remove("s")
        try area.remove("s")
        #expect(throws: StagingError.sealed) { try file.write(Array("X".utf8).span, at: 0) }
    }

    @Test("publishing replaces a file only when asked to")
    func noReplacement() throws {
        let area = try StagingArea.open(root: root.path)
        try root.write("taken")
        var file = try StagingFile.anonymous(in: area)
        #expect(try file.publishAnonymous(as: path("taken"), in: area) == .taken)
        try file.link(as: "s", in: area)
        #expect(try area.publish("s", as: path("taken"), replacing: false) == .taken)
        #expect(try area.publish("s", as: path("free"), replacing: false) == .named(unsynced: nil))
        try root.write(".fermata/t")
        #expect(try area.publish("t", as: path("taken"), replacing: true) == .named(unsynced: nil))
        #expect(try area.inode(ofPublished: path("taken")) != nil)
    }

    @Test("free names are numbered before the extension, also the thousandth")
    func freeNames() throws {
        let area = try StagingArea.open(root: root.path)
        #expect(try area.freePath(like: path("image.jpg")).text == "image.jpg")
        try root.write("image.jpg")
        for number in 1..<1000 {
            #expect(try area.freePath(like: path("image.jpg")).text == "image[\(number)].jpg")
            try root.write("image[\(number)].jpg")
        }
        try root.write(".hidden")
        #expect(try area.freePath(like: path(".hidden")).text == ".hidden[1]")
        try root.write("none")
        #expect(try area.freePath(like: path("none")).text == "none[1]")
    }

    @Test("a copy lands at its offset, and the checksum of a range is that of its bytes")
    func copyAndChecksum() throws {
        let area = try StagingArea.open(root: root.path)
        let source = try StagingFile.anonymous(in: area)
        try source.write(Array("0123".utf8).span, at: 0)
        let target = try StagingFile.anonymous(in: area)
        try target.reserve(total: 10)
        try target.copy(.first(4), of: source, to: 6)
        let expected = Checksum()
        let digest = MD5.digest(of: "0123")
        expected.update(Array("0123".utf8).span)
        #expect(try target.checksum(of: #require(ByteRange(offset: 6, end: 10))) == expected.value)
        #expect(try target.checksum(of: #require(ByteRange(offset: 5, end: 9))) != expected.value)
        #expect(try target.checksum(of: #require(ByteRange(offset: 6, end: 11))) == nil)
        #expect(try target.digest(of: #require(ByteRange(offset: 6, end: 10))) == digest)
    }

    @Test("a claim keeps others from a slot until it is released, and nobody from writing")
    func claims() throws {
        let area = try StagingArea.open(root: root.path)
        var first = try StagingFile.anonymous(in: area)
        try first.link(as: "s", in: area)
        guard var second = try StagingFile.open("s", in: area) else {
            Issue.record("the file is there")
            return
        }
        #expect(try first.claim(10_000))
        #expect(try !second.claim(10_000))
        #expect(try second.claim(0))
        try second.write(Array("x".utf8).span, at: 0)
        try second.lockExclusively()
        _ = consume first
        #expect(try second.claim(10_000))
    }

    @Test("who holds a file keeps it from being sealed until it yields, and can not hold it afterwards")
    func hold() throws {
        let area = try StagingArea.open(root: root.path)
        var named = try StagingFile.anonymous(in: area)
        try named.link(as: "s", in: area)
        guard var writer = try StagingFile.open("s", in: area) else {
            Issue.record("the file is there")
            return
        }
        let all = ByteRange.first(10)
        try writer.hold()
        try writer.write(Array("0".utf8).span, at: 0)
        try writer.hold()
        #expect(try !tryLock(named.file, .exclusive, all))
        writer.yield()
        #expect(try tryLock(named.file, .exclusive, all))
        #expect(try tryLock(named.file, .none, all))
        #expect(chmod(root.path + "/.fermata/s", 0o644) == 0)
        #expect(throws: StagingError.sealed) { try writer.hold() }
        #expect(throws: StagingError.sealed) { try writer.write(Array("X".utf8).span, at: 0) }
    }

    @Test("whoever takes over the end of a file last is the only one that writes there")
    func takeOver() throws {
        let area = try StagingArea.open(root: root.path)
        var first = try StagingFile.anonymous(in: area)
        try first.reserve(total: 4)
        try first.link(as: "s", in: area)
        try first.takeOverEnd(total: 4)
        try first.write(Array("0".utf8).span, at: 0)
        guard var second = try StagingFile.open("s", in: area), var third = try StagingFile.open("s", in: area) else {
            Issue.record("the file is there")
            return
        }
        try second.takeOverEnd(total: 4)
        try third.takeOverEnd(total: 4)
        for _ in 0..<2 {
            #expect(throws: StagingError.sealed) { try first.write(Array("X".utf8).span, at: 1) }
            #expect(throws: StagingError.sealed) { try second.write(Array("Y".utf8).span, at: 1) }
            #expect(throws: UploadError.superseded) { try second.whileCurrent {} }
        }
        try third.write(Array("123".utf8).span, at: 1)
        try third.whileCurrent {}
        #expect(try third.trim(to: 4))
        #expect(try root.contents(".fermata/s") == "0123")
    }

    @Test("a file that was published since it was opened is not taken over, and stays as it is")
    func takeOverPublished() throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.write(Array("0123".utf8).span, at: 0)
        try file.link(as: "s", in: area)
        guard var late = try StagingFile.open("s", in: area) else {
            Issue.record("the file is there")
            return
        }
        try file.lockExclusively()
        try file.seal()
        #expect(try area.publish("s", as: path("final"), replacing: false) == .named(unsynced: nil))
        _ = consume file
        #expect(throws: StagingError.sealed) { try late.takeOverEnd(total: 4) }
        #expect(try root.contents("final") == "0123")
    }

    @Test("what lies behind the end is cut off, what is there stays")
    func trim() throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.write(Array("012345".utf8).span, at: 0)
        #expect(try file.trim(to: 4))
        #expect(try !file.trim(to: 10))
        try file.link(as: "s", in: area)
        #expect(try root.contents(".fermata/s") == "0123")
    }

    // MARK: Paths

    @Test("folders are made below the root, and what stands at a path is told")
    func folders() throws {
        let area = try StagingArea.open(root: root.path)
        #expect(try area.entry(at: path("a/b")) == .nothing)
        try area.makeFolder(at: path("a/b"))
        try area.makeFolder(at: path("a/b"))
        try root.write("a/b/f")
        #expect(try area.entry(at: .root) == .folder)
        #expect(try area.entry(at: path("a/b")) == .folder)
        #expect(try area.entry(at: path("a/b/f")) == .file)
        #expect(try area.entry(at: path("a/b/f/g")) == .blocked)
        #expect(throws: StagingError.blocked) { try area.makeFolder(at: path("a/b/f/g")) }
        #expect(throws: StagingError.blocked) { try area.makeFolder(at: path("a/b/f")) }
    }

    @Test("no symbolic link is followed below the root, wherever it leads")
    func symbolicLinks() throws {
        let area = try StagingArea.open(root: root.path)
        try area.makeFolder(at: path("real"))
        for (name, target) in [("out", "/tmp"), ("in", "real"), ("up", ".."), ("none", "nowhere")] {
            try FileManager.default.createSymbolicLink(
                atPath: root.path + "/" + name,
                withDestinationPath: target
            )
            #expect(try area.entry(at: path(name + "/x")) == .blocked)
            #expect(throws: StagingError.blocked) { try area.makeFolder(at: path(name + "/x")) }
            #expect(throws: StagingError.blocked) { try area.makeFolder(at: path(name)) }
            var file = try StagingFile.anonymous(in: area)
            #expect(throws: StagingError.blocked) { try file.publishAnonymous(as: path(name + "/x"), in: area) }
            try file.link(as: "s" + name, in: area)
            #expect(throws: StagingError.blocked) {
                try area.publish("s" + name, as: path(name + "/x"), replacing: true)
            }
            // The link itself can be replaced, as any file.
            #expect(try area.entry(at: path(name)) == .file)
            #expect(try area.publish("s" + name, as: path(name), replacing: true) == .named(unsynced: nil))
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: root.path + "/real").isEmpty)
    }

    @Test("a folder that becomes a link at any moment leads nothing out of the root")
    func linkRace() throws {
        let outside = root.path + "/outside"
        try FileManager.default.createDirectory(atPath: outside, withIntermediateDirectories: false)
        let area = try StagingArea.open(root: root.path)
        let isDone = Atomic<Bool>(false)
        let folder = root.path + "/sub"
        let aside = root.path + "/aside"
        try FileManager.default.createSymbolicLink(atPath: aside, withDestinationPath: outside)
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        // renameat2(2) with RENAME_EXCHANGE; the headers hide it behind _GNU_SOURCE.
        typealias Rename = @convention(c) (CInt, UnsafePointer<CChar>, CInt, UnsafePointer<CChar>, CUnsignedInt) -> CInt
        let exchange = unsafeBitCast(try #require(dlsym(nil, "renameat2")), to: Rename.self)
        let swapper = Thread {
            // The folder and the link change places in one step.
            while !isDone.load(ordering: .relaxed) {
                _ = exchange(AT_FDCWD, folder, AT_FDCWD, aside, 2)
            }
        }
        swapper.start()
        var (published, refused) = (0, 0)
        for index in 0..<2000 {
            let file = try StagingFile.anonymous(in: area)
            try file.seal()
            do {
                if try file.publishAnonymous(as: path("sub/a/\(index)"), in: area) != .taken { published += 1 }
            } catch { refused += 1 }
        }
        isDone.store(true, ordering: .relaxed)
        #expect(published > 0 && refused > 0, "both were met: \(published), \(refused)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: outside).isEmpty)
    }

    @Test("a folder is not replaced by a file")
    func folderInTheWay() throws {
        let area = try StagingArea.open(root: root.path)
        try area.makeFolder(at: path("a"))
        var file = try StagingFile.anonymous(in: area)
        try file.link(as: "s", in: area)
        #expect(throws: StagingError.blocked) { try area.publish("s", as: path("a"), replacing: true) }
        #expect(
            try area.publish("s", as: path("new/b/c"), replacing: true) == .named(unsynced: nil),
            "folders are made"
        )
    }

    @Test(
        "no disk space is taken for bytes that may never come, however many are declared",
        arguments: [1 << 28, 1 << 40]
    )
    func reserve(total: Int64) throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.reserve(total: total)
        try file.link(as: "s", in: area)
        var status = stat()
        #expect(lstat(root.path + "/.fermata/s", &status) == 0)
        #expect(status.st_size == total)
        #expect(status.st_blocks == 0)
    }

    @Test("on a tmpfs no memory is taken for bytes that may never come")
    func reserveMemory() throws {
        let folder = "/dev/shm/fermata-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let area = try StagingArea.open(root: folder)
        var file = try StagingFile.anonymous(in: area)
        try file.reserve(total: 1 << 20)
        try file.link(as: "s", in: area)
        var status = stat()
        #expect(lstat(folder + "/.fermata/s", &status) == 0)
        #expect(status.st_size == 1 << 20)
        #expect(status.st_blocks == 0)
    }

    @Test("only names that have rested are listed")
    func names() throws {
        let area = try StagingArea.open(root: root.path)
        try root.write(".fermata/x")
        let now = Int64(time(nil))
        #expect(try area.names(unchangedSince: now + 1) == ["x"])
        #expect(try area.names(unchangedSince: now - 60).isEmpty)
    }
}
