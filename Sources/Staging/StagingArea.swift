import Glibc
import SystemPackage
import Uploads

/// The root of a mount and the hidden folder in it where files are staged (docs/architecture.md).
///
/// 1. The folder is `ROOT/.fermata`, mode 0700, on the file system of the root, so that publishing is a rename.
/// 2. The root is never created.
/// 3. Names in the folder are random, never the client's.
public struct StagingArea: ~Copyable {
    let folder: CInt

    private init(folder: CInt) {
        self.folder = folder
    }

    deinit {
        close(folder)
    }

    /// Opens the staging area of a root; `nil` when there is no root, or no folder in it.
    public static func openIfThere(root path: String) throws(StagingError) -> StagingArea? {
        do {
            return StagingArea(folder: try openDirectory("\(path)/\(RelativePath.stagingFolderName)", in: AT_FDCWD))
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw .system(operation: "open staging folder", errno: error)
        }
    }

    /// Opens the staging area of a root, making its folder when it is not there yet.
    public static func open(root path: String) throws(StagingError) -> StagingArea {
        if let area = try openIfThere(root: path) { return area }
        let name = RelativePath.stagingFolderName
        let root = Folder(descriptor: try Errno.wrap("open root") { () throws(Errno) in try openDirectory(path) })
        do {
            do { try makeDirectory(name, in: root.descriptor, mode: 0o700) } catch .fileExists {}
            return StagingArea(folder: try openDirectory(name, in: root.descriptor))
        } catch {
            throw .system(operation: "open staging folder", errno: error)
        }
    }

    /// Opens the root.
    func root() throws(Errno) -> Folder { Folder(descriptor: try openDirectory("..", in: folder)) }

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

    /// Gives a staging file another name.
    public func move(_ name: String, to newName: String) throws(StagingError) {
        let folder = folder
        try Errno.wrap("rename staging file") { () throws(Errno) in
            try rename(name, in: folder, to: newName, in: folder)
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
                unsafe field.withMemoryRebound(to: CChar.self, capacity: RelativePath.componentBytesMax + 1) {
                    unsafe String(cString: $0)
                }
            }
            if name == "." || name == ".." || name == RootMark.fileName { continue }
            do {
                let status = try status(of: name, in: folder)
                // A folder is nothing that was staged here.
                let isFile = status.st_mode & S_IFMT == S_IFREG
                if isFile, Int64(status.st_ctim.tv_sec) <= time { names.append(name) }
            } catch .noSuchFileOrDirectory {
                continue
            } catch {
                throw .system(operation: "list staging folder", errno: error)
            }
        }
        return names
    }

    /// The time that the file system gives to files, in seconds since 1970.
    public func time() throws(StagingError) -> Int64 { try StagingFile.anonymous(in: self).lastWrite() }

    /// When a staging file was last written to, in seconds since 1970; `nil` when it is not there.
    public func lastWrite(to name: String) throws(StagingError) -> Int64? {
        do { return Int64(try status(of: name, in: folder).st_mtim.tv_sec) } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw .system(operation: "look at staging file", errno: error)
        }
    }

    /// Whether a staging file of this name is there, and is a file.
    public func holds(_ name: String) throws(StagingError) -> Bool {
        do { return try status(of: name, in: folder).st_mode & S_IFMT == S_IFREG } catch .noSuchFileOrDirectory {
            return false
        } catch {
            throw .system(operation: "look for staging file", errno: error)
        }
    }
}
