import Glibc
import SystemPackage
public import Uploads

// What stands below the root: folders, and files that are or will be published there.
//
// Every path is resolved beneath the root, and a symbolic link on the way is refused, whoever made it
// (docs/dialects/README.md 0.7).

/// An open folder.
struct Folder: ~Copyable {
    let descriptor: CInt

    deinit { close(descriptor) }
}

extension StagingArea {
    /// How many files of one client name can stand in a folder.
    public static let namesMax = 1_000_000

    /// What stands at a path.
    public func entry(at path: RelativePath) throws(StagingError) -> PathEntry {
        let folder: Folder
        do {
            guard let opened = try folderIfThere(path.parent) else { return .nothing }
            folder = opened
        } catch .blocked {
            return .blocked
        }
        guard let name = path.name else { return .folder }
        guard let status = try status(of: name, at: folder) else { return .nothing }
        return status.st_mode & S_IFMT == S_IFDIR ? .folder : .file
    }

    /// Makes a folder with those above it, durably; folders that are there are fine.
    ///
    /// - Throws: `blocked` when a file or a symbolic link stands in the way.
    public func makeFolder(at path: RelativePath) throws(StagingError) {
        _ = try folder(path)
    }

    /// The inode number of a published file; `nil` when there is none at this path.
    public func inode(ofPublished path: RelativePath) throws(StagingError) -> UInt64? {
        do {
            guard let folder = try folderIfThere(path.parent), let name = path.name else { return nil }
            return try status(of: name, at: folder).map { UInt64($0.st_ino) }
        } catch .blocked {
            return nil
        }
    }

    /// Makes the names in the folder of a path durable.
    public func syncFolder(of path: RelativePath) throws(StagingError) {
        guard let folder = try folderIfThere(path.parent) else { return }
        let descriptor = folder.descriptor
        try Errno.wrap("sync folder") { () throws(Errno) in try sync(descriptor) }
    }

    /// A path that no file has: `image.jpg`, else `image[1].jpg` and so on (docs/dialects/dcloud.md 1.4.7).
    ///
    /// The number is found by doubling and then halving, so that the ten-thousandth `image.jpg` costs some twenty
    /// look-ups; where names were removed in between, a gap may be taken.
    ///
    /// - Parameter suffix: what is put behind a file's name for another file that belongs to it, or `nil`: neither that
    ///   file's path is taken then, nor is the path that of another file with the suffix, and there is room for it.
    public func freePath(like path: RelativePath, besides suffix: String? = nil) throws(StagingError) -> RelativePath {
        let room = suffix?.utf8.count ?? 0
        // A name whose extension is too long to be kept gets a number, which ends what it says.
        let fitted = { (name: String) in
            ComponentName.fitted(name, sparing: room) ?? ComponentName.numbered(name, 1, sparing: room)
        }
        guard let name = path.name.map(fitted), let folder = try folderIfThere(path.parent)
        else { return path }
        let candidate = { (number: Int) in
            number == 0 ? name : ComponentName.numbered(name, number, sparing: room)
        }
        var taken = 0
        var free = 0
        while try isTaken(candidate(free), besides: suffix, at: folder) {
            taken = free
            free = max(1, free * 2)
            guard free <= Self.namesMax else { throw .namesExhausted(max: Self.namesMax) }
        }
        while free - taken > 1 {
            let middle = (taken + free) / 2
            if try isTaken(candidate(middle), besides: suffix, at: folder) { taken = middle } else { free = middle }
        }
        if free == 0, name.utf8.count == path.name?.utf8.count { return path }
        guard let component = RelativePath(component: candidate(free)), let path = path.parent.appending(component)
        else { throw .blocked }
        return path
    }

    private func isTaken(
        _ name: String,
        besides suffix: String?,
        at folder: borrowing Folder
    ) throws(StagingError) -> Bool {
        if try status(of: name, at: folder) != nil { return true }
        guard let suffix else { return false }
        if try status(of: name + suffix, at: folder) != nil { return true }
        guard let stem = ComponentName.stem(of: name, before: suffix) else { return false }
        return try status(of: stem, at: folder) != nil
    }

    /// The first bytes of a published file; `nil` when no regular file is at this path.
    public func content(ofPublished path: RelativePath, bytesMax: Int) throws(StagingError) -> [UInt8]? {
        guard let name = path.name, let folder = try folderIfThere(path.parent),
            let status = try status(of: name, at: folder), status.st_mode & S_IFMT == S_IFREG
        else { return nil }
        return try Errno.wrap("read published file") { () throws(Errno) in
            let file = Folder(descriptor: try openFile(name, in: folder.descriptor))
            var bytes = [UInt8](repeating: 0, count: max(0, min(bytesMax, Int(status.st_size))))
            var done = 0
            while done < bytes.count {
                let rest = bytes.count - done
                var block = [UInt8](repeating: 0, count: rest)
                let count = try read(into: &block, count: rest, from: file.descriptor, at: Int64(done))
                if count == 0 { break }
                bytes.replaceSubrange(done..<done + count, with: block[..<count])
                done += count
            }
            return Array(bytes[..<done])
        }
    }

    /// Waits until no other request gives names below this root for which it holds this lock, and keeps others waiting
    /// until `unlockNames`, or until the area is closed.
    public func lockNames() throws(StagingError) {
        let folder = folder
        try Errno.wrap("lock names") { () throws(Errno) in try lockWhole(folder) }
    }

    /// Ends `lockNames`.
    public func unlockNames() { unlockWhole(folder) }

    private func status(of name: String, at folder: borrowing Folder) throws(StagingError) -> stat? {
        do { return try Staging.status(of: name, in: folder.descriptor) } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw .system(operation: "look up path", errno: error)
        }
    }

    /// Opens a folder; `nil` when it is not there.
    func folderIfThere(_ path: RelativePath) throws(StagingError) -> Folder? {
        do {
            let text = path.components.isEmpty ? "." : path.text
            let root = try root()
            return Folder(descriptor: try openDirectory(beneath: root.descriptor, text))
        } catch .noSuchFileOrDirectory {
            return nil
        } catch {
            throw Self.pathError(error)
        }
    }

    /// Opens a folder, making it and those above it where they are not there.
    func folder(_ path: RelativePath) throws(StagingError) -> Folder {
        if let folder = try folderIfThere(path) { return folder }
        guard let name = path.name else { throw .system(operation: "open root", errno: .noSuchFileOrDirectory) }
        let parent = try folder(path.parent)
        do {
            do { try makeDirectory(name, in: parent.descriptor, mode: 0o777) } catch .fileExists {}
            try sync(parent.descriptor)
            return Folder(descriptor: try openDirectory(beneath: parent.descriptor, name))
        } catch {
            throw Self.pathError(error)
        }
    }

    private static func pathError(_ error: Errno) -> StagingError {
        switch error {
        case .notDirectory, .tooManySymbolicLinkLevels, .improperLink: .blocked
        default: .system(operation: "open folder", errno: error)
        }
    }
}
