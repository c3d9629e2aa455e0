import Glibc
import SystemPackage

/// The root of a mount and the hidden folder in it where files are staged (design.md 5).
///
/// 1. The folder is `ROOT/.fermata`, mode 0700, on the file system of the root, so that publishing is a rename.
/// 2. The root is never created.
/// 3. Names in the folder are random, never the client's.
public struct StagingArea: ~Copyable {
    /// The name of the folder below the root.
    public static let folderName = ".fermata"
    /// How many files of one client name can stand in a root.
    public static let namesMax = 1_000_000
    /// The longest file name in bytes (Linux NAME_MAX).
    public static let nameBytesMax = 255

    let root: CInt
    let folder: CInt

    private init(root: CInt, folder: CInt) {
        self.root = root
        self.folder = folder
    }

    deinit {
        close(folder)
        close(root)
    }

    /// Opens the staging area of a root, making its folder when it is not there yet.
    public static func open(root path: String) throws(StagingError) -> StagingArea {
        let root = try Errno.wrap("open root") { () throws(Errno) in try openDirectory(path) }
        do {
            return StagingArea(root: root, folder: try openFolder(in: root))
        } catch {
            close(root)
            throw .system(operation: "open staging folder", errno: error)
        }
    }

    private static func openFolder(in root: CInt) throws(Errno) -> CInt {
        do {
            return try openDirectory(folderName, in: root)
        } catch .noSuchFileOrDirectory {
            do { try makeDirectory(folderName, in: root, mode: 0o700) } catch .fileExists {}
            return try openDirectory(folderName, in: root)
        }
    }

    /// A new random name for a staging file.
    public static func makeName() -> String {
        let number = UInt128.random(in: 0...UInt128.max)
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: 32 - digits.count) + digits
    }

    /// Removes a staging file; one that is gone already is fine.
    public func remove(_ name: String) throws(StagingError) {
        do { try unlink(name, in: folder) } catch .noSuchFileOrDirectory {} catch {
            throw .system(operation: "remove staging file", errno: error)
        }
    }

    /// The names of all staging files that have not changed since `time`, in seconds since 1970.
    public func names(unchangedSince time: Int64) throws(StagingError) -> [String] {
        // The directory stream owns its descriptor, so it is given one of its own.
        let own = try Errno.wrap("list staging folder") { () throws(Errno) in try openDirectory(".", in: folder) }
        guard let stream = unsafe fdopendir(own) else {
            let code = errno
            close(own)
            throw .system(operation: "list staging folder", errno: Errno(rawValue: code))
        }
        defer { unsafe closedir(stream) }
        var names: [String] = []
        while let entry = unsafe readdir(stream) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) { field in
                unsafe field.withMemoryRebound(to: CChar.self, capacity: Self.nameBytesMax + 1) {
                    unsafe String(cString: $0)
                }
            }
            if name == "." || name == ".." { continue }
            do {
                if Int64(try status(of: name, in: folder).st_ctim.tv_sec) <= time { names.append(name) }
            } catch .noSuchFileOrDirectory {
                continue
            } catch {
                throw .system(operation: "list staging folder", errno: error)
            }
        }
        return names
    }

    /// The inode number of a published file; `nil` when there is none of this name.
    public func inode(ofPublished name: String) throws(StagingError) -> UInt64? {
        do { return UInt64(try status(of: name, in: root).st_ino) } catch .noSuchFileOrDirectory { return nil } catch {
            throw .system(operation: "look for published file", errno: error)
        }
    }

    /// Whether a staging file of this name is there.
    public func holds(_ name: String) throws(StagingError) -> Bool {
        do { _ = try status(of: name, in: folder) } catch .noSuchFileOrDirectory { return false } catch {
            throw .system(operation: "look for staging file", errno: error)
        }
        return true
    }

    /// Makes the names in the root durable.
    public func syncRoot() throws(StagingError) {
        try Errno.wrap("sync root") { () throws(Errno) in try sync(root) }
    }

    /// A name that no file in the root has: `image.jpg`, else `image[1].jpg` and so on (dialects.md 1.4.7).
    ///
    /// The number is found by doubling and then halving, so that the ten-thousandth `image.jpg` costs some twenty
    /// look-ups; where names were removed in between, a gap may be taken.
    public func freeName(like name: String) throws(StagingError) -> String {
        if try !isTaken(name) { return name }
        var taken = 0
        var free = 1
        while try isTaken(Self.numbered(name, free)) {
            taken = free
            free *= 2
            guard free <= Self.namesMax else { throw .namesExhausted(max: Self.namesMax) }
        }
        while free - taken > 1 {
            let middle = (taken + free) / 2
            if try isTaken(Self.numbered(name, middle)) { taken = middle } else { free = middle }
        }
        return Self.numbered(name, free)
    }

    private func isTaken(_ name: String) throws(StagingError) -> Bool { try inode(ofPublished: name) != nil }

    /// `image.jpg`, 2 -> `image[2].jpg`; shortened at the end of its stem where it would grow too long.
    static func numbered(_ name: String, _ number: Int) -> String {
        let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
        return fitted(stem: name[..<dot], suffix: "[\(number)]" + name[dot...])
    }

    /// `name`, shortened to what a file system takes, keeping its extension.
    public static func fitted(_ name: String) -> String {
        guard name.utf8.count > nameBytesMax else { return name }
        let dot = name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
        let suffix = name[dot...].utf8.count <= 32 ? String(name[dot...]) : ""
        return fitted(stem: suffix.isEmpty ? name[...] : name[..<dot], suffix: suffix)
    }

    private static func fitted(stem: Substring, suffix: String) -> String {
        var stem = stem
        let room = max(0, nameBytesMax - suffix.utf8.count)
        while stem.utf8.count > room { stem.removeLast() }
        return stem + suffix
    }
}
