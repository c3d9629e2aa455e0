import Glibc
import SystemPackage
import Uploads

/// What a root is known again by, whatever is mounted where it was: a small file in its staging folder.
///
/// It is made once, in one step with all that it says, and no other process's is ever replaced but by `adopt`.
public struct RootMark: Hashable, Sendable {
    /// The name of the file in the staging folder.
    static let fileName = ".mark"
    /// More than a mark has, in bytes.
    private static let bytesMax = 8 << 10

    /// The ledger that the root belongs to.
    public let ledger: String
    /// What tells the root from others of that ledger.
    public let root: String
    /// The ledger's state directory when the mark was made, for people.
    public let state: String

    /// A mark.
    public init(ledger: String, root: String, state: String) {
        self.ledger = ledger
        self.root = root
        self.state = state
        bytes = Array("ledger \(ledger)\nroot \(root)\nstate \(state)\n".utf8)
    }

    /// What its file holds.
    private let bytes: [UInt8]

    private init?(text: String) {
        let lines = text.split(separator: "\n", maxSplits: 2)
        let values = zip(lines, ["ledger ", "root ", "state "]).compactMap { line, name in
            line.hasPrefix(name) ? String(line.dropFirst(name.count)) : nil
        }
        guard values.count == 3 else { return nil }
        self.init(ledger: values[0], root: values[1], state: values[2].split(separator: "\n").joined(separator: " "))
    }

    /// Reads the mark of an area; `nil` when there is none.
    fileprivate init?(in folder: CInt) throws(Errno) {
        let file: CInt
        do { file = try openForReading(Self.fileName, in: folder) } catch .noSuchFileOrDirectory { return nil }
        defer { close(file) }
        let bytes = try Self.bytes(of: file, max: Self.bytesMax)
        guard let mark = RootMark(text: String(decoding: bytes, as: UTF8.self)) else { throw .badMessage }
        self = mark
    }

    /// Whether an area has this very mark.
    fileprivate func isIn(_ folder: CInt) throws(Errno) -> Bool {
        let file: CInt
        do { file = try openForReading(Self.fileName, in: folder) } catch .noSuchFileOrDirectory { return false }
        defer { close(file) }
        return try Self.bytes(of: file, max: bytes.count + 1) == bytes
    }

    /// Reads the first bytes of a file.
    private static func bytes(of file: CInt, max: Int) throws(Errno) -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < max {
            var block = [UInt8](repeating: 0, count: max - bytes.count)
            let count = try read(into: &block, count: block.count, from: file, at: Int64(bytes.count))
            if count == 0 { break }
            bytes += block[..<count]
        }
        return bytes
    }

    /// Writes the mark to a file without a name.
    fileprivate func write(in folder: CInt) throws(Errno) -> CInt {
        let file = try openAnonymous(in: folder, mode: 0o644)
        do throws(Errno) {
            // Whoever may look into the folder may read it, under every umask: a command may have been run by another user.
            try setMode(0o644, of: file)
            try unsafe bytes.span.withUnsafeBytes { (buffer: UnsafeRawBufferPointer) throws(Errno) in
                var done = 0
                while done < buffer.count {
                    let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
                    let count = try unsafe Staging.write(rest, to: file, at: Int64(done))
                    guard count > 0 else { throw Errno.ioError }
                    done += count
                }
            }
            try sync(file)
        } catch {
            close(file)
            throw error
        }
        return file
    }
}

extension StagingArea {
    /// What the folder is known again by as long as it is mounted.
    public struct Place: Hashable, Sendable {
        private let device: dev_t
        private let inode: ino_t

        fileprivate init(_ status: stat) {
            device = status.st_dev
            inode = status.st_ino
        }
    }

    /// Whether there is a directory that can be a root.
    public static func isRoot(_ path: String) -> Bool {
        do throws(Errno) { return try Folder(descriptor: openDirectory(path)).descriptor >= 0 } catch { return false }
    }

    /// Which folder it is.
    public func place() throws(StagingError) -> Place {
        let folder = folder
        return Place(try Errno.wrap("look at staging folder") { () throws(Errno) in try status(of: folder) })
    }

    /// The mark; `nil` when there is none.
    public func mark() throws(StagingError) -> RootMark? {
        let folder = folder
        return try Errno.wrap("read mark") { () throws(Errno) in try RootMark(in: folder) }
    }

    /// Whether the area has a mark.
    public func hasMark(_ mark: RootMark) throws(StagingError) -> Bool {
        let folder = folder
        return try Errno.wrap("read mark") { () throws(Errno) in try mark.isIn(folder) }
    }

    /// Gives the area its mark, durably; false when it has one, which stays.
    public func give(_ mark: RootMark) throws(StagingError) -> Bool {
        let folder = folder
        return try Errno.wrap("make mark") { () throws(Errno) in
            let file = try mark.write(in: folder)
            defer { close(file) }
            do throws(Errno) {
                try linkAnonymous(file, in: folder, as: RootMark.fileName)
            } catch .fileExists {
                return false
            }
            try sync(folder)
            let root = try root()
            try sync(root.descriptor)
            return true
        }
    }

    /// Puts a mark in the place of the one that is there, durably.
    public func replaceMark(with mark: RootMark) throws(StagingError) {
        let folder = folder
        try Errno.wrap("replace mark") { () throws(Errno) in
            let file = try mark.write(in: folder)
            defer { close(file) }
            let name = Self.makeName()
            try linkAnonymous(file, in: folder, as: name)
            try rename(name, in: folder, to: RootMark.fileName, in: folder)
            try sync(folder)
        }
    }
}
