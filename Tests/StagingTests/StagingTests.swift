import Foundation
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
        #expect(try mode(".fermata/s") == 0o600)
        guard let second = try StagingFile.open("s", in: area) else {
            Issue.record("the file is there")
            return
        }
        try file.lockExclusively()
        try file.seal()
        #expect(try file.publish("s", as: "final", in: area))
        _ = consume file
        #expect(throws: StagingError.sealed) { try second.write(Array("X".utf8).span, at: 0) }
        #expect(try root.contents("final") == "abcdef")
        #expect(try mode("final") == 0o644)
        let gone = try StagingFile.open("s", in: area) == nil
        #expect(gone)
    }

    @Test("a file whose name was removed takes no more bytes")
    func removed() throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.link(as: "s", in: area)
        try area.remove("s")
        try area.remove("s")
        #expect(throws: StagingError.sealed) { try file.write(Array("X".utf8).span, at: 0) }
    }

    @Test("publishing never replaces a file")
    func noReplacement() throws {
        let area = try StagingArea.open(root: root.path)
        try root.write("taken")
        var file = try StagingFile.anonymous(in: area)
        #expect(try !file.publishAnonymous(as: "taken", in: area))
        try file.link(as: "s", in: area)
        #expect(try !file.publish("s", as: "taken", in: area))
        #expect(try file.publish("s", as: "free", in: area))
    }

    @Test("free names are numbered before the extension, also the thousandth")
    func freeNames() throws {
        let area = try StagingArea.open(root: root.path)
        #expect(try area.freeName(like: "image.jpg") == "image.jpg")
        try root.write("image.jpg")
        for number in 1..<1000 {
            #expect(try area.freeName(like: "image.jpg") == "image[\(number)].jpg")
            try root.write("image[\(number)].jpg")
        }
        try root.write(".hidden")
        #expect(try area.freeName(like: ".hidden") == ".hidden[1]")
        try root.write("none")
        #expect(try area.freeName(like: "none") == "none[1]")
    }

    @Test("names that are too long keep their extension")
    func longNames() {
        let long = String(repeating: "é", count: 200) + ".jpg"
        #expect(StagingArea.fitted(long).utf8.count <= 255)
        #expect(StagingArea.fitted(long).hasSuffix(".jpg"))
        #expect(StagingArea.numbered(StagingArea.fitted(long), 12).hasSuffix("[12].jpg"))
        #expect(StagingArea.numbered(StagingArea.fitted(long), 12).utf8.count <= 255)
        #expect(StagingArea.fitted(String(repeating: "x", count: 300)).utf8.count == 255)
        #expect(StagingArea.fitted("short") == "short")
    }

    @Test("a copy lands at its offset, and the checksum of a range is that of its bytes")
    func copyAndChecksum() throws {
        let area = try StagingArea.open(root: root.path)
        let source = try StagingFile.anonymous(in: area)
        try source.write(Array("0123".utf8).span, at: 0)
        let target = try StagingFile.anonymous(in: area)
        try target.reserve(total: 10)
        try target.copy(from: source, count: 4, to: 6)
        let expected = Checksum()
        expected.update(Array("0123".utf8).span)
        #expect(try target.checksum(of: #require(ByteRange(offset: 6, end: 10))) == expected.value)
        #expect(try target.checksum(of: #require(ByteRange(offset: 5, end: 9))) != expected.value)
        #expect(try target.checksum(of: #require(ByteRange(offset: 6, end: 11))) == nil)
    }

    @Test("a file of 3 bytes is preallocated, one of a terabyte is sparse")
    func reserve() throws {
        let area = try StagingArea.open(root: root.path)
        var file = try StagingFile.anonymous(in: area)
        try file.reserve(total: 1 << 40)
        try file.link(as: "s", in: area)
        var status = stat()
        #expect(lstat(root.path + "/.fermata/s", &status) == 0)
        #expect(status.st_size == 1 << 40)
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
