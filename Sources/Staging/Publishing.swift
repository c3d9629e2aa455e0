import Glibc
import SystemPackage
public import Uploads

// How a staging file becomes a finished one: sealed, then named.

extension StagingFile {
    /// Seals the file: it gets the mode of a finished file, and no request writes to it any more.
    ///
    /// Call it with the exclusive lock held, or on an anonymous file.
    public func seal() throws(StagingError) {
        let file = file
        try Errno.wrap("seal staging file") { () throws(Errno) in try setMode(finishedMode, of: file) }
    }

    /// Whether the file is sealed, or has no name any more.
    public func isSealed() throws(StagingError) -> Bool {
        do { try requireUnsealed() } catch .sealed { return true }
        return false
    }

    /// Makes a sealed file writable again, when it turns out that it was sealed too early or bytes of it are missing.
    public func unseal() throws(StagingError) {
        let file = file
        try Errno.wrap("unseal staging file") { () throws(Errno) in try setMode(Self.openMode, of: file) }
    }

    /// By how many bytes a file that takes bytes again is made longer at most.
    private static let lengtheningMax: Int64 = 1 << 20

    /// Makes a file longer that was trimmed: it had that size before, and who was overtaken since must not take it for
    /// what it was.
    public func lengthen() throws(StagingError) {
        let file = file
        let status = try Errno.wrap("stat staging file") { () throws(Errno) in try Staging.status(of: file) }
        try lengthen(Int64(status.st_size), by: .random(in: 2...Self.lengtheningMax))
    }

    /// Names the sealed anonymous file by a path below the root, making the folders above it.
    ///
    /// An error says that the file has not got its name.
    public func publishAnonymous(
        as path: RelativePath,
        in area: borrowing StagingArea
    ) throws(StagingError) -> Naming {
        guard let name = path.name else { throw .blocked }
        let folder = try area.folder(path.parent)
        do {
            try linkAnonymous(file, in: folder.descriptor, as: name)
        } catch .fileExists {
            return .taken
        } catch {
            throw .system(operation: "publish file", errno: error)
        }
        return named(in: folder)
    }
}

extension StagingArea {
    /// Moves a sealed file from its staging name to a path below the root, making the folders above it.
    ///
    /// An error says that the file has not got its name.
    public func publish(
        _ name: String,
        as path: RelativePath,
        replacing: Bool
    ) throws(StagingError) -> Naming {
        guard let newName = path.name else { throw .blocked }
        let target = try folder(path.parent)
        do {
            if replacing {
                try rename(name, in: folder, to: newName, in: target.descriptor)
            } else {
                try renameExclusively(name, in: folder, to: newName, in: target.descriptor)
            }
        } catch .fileExists where !replacing {
            return .taken
        } catch .isDirectory, .fileExists, .directoryNotEmpty {
            throw .blocked
        } catch {
            throw .system(operation: "publish file", errno: error)
        }
        return named(in: target)
    }
}

/// Syncs the folder in which a file has just got its name, through the descriptor that gave it: there may be no other.
private func named(in folder: borrowing Folder) -> Naming {
    do throws(Errno) {
        try Staging.sync(folder.descriptor)
        return .named(unsynced: nil)
    } catch {
        return .named(unsynced: .system(operation: "sync folder", errno: error))
    }
}

/// What came of giving a file its name.
public enum Naming: Hashable, Sendable {
    /// Another file has the path, and is not to be replaced.
    case taken
    /// The file has its name. Where its folder could not be synced, that is why: a power cut may take the name until it is.
    case named(unsynced: StagingError?)
}

/// 0666 less the process's umask, which can only be read by setting it, so once.
private let finishedMode: mode_t = {
    let mask = umask(0o022)
    umask(mask)
    return 0o666 & ~mask
}()
