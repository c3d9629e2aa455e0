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
    public func freePath(like path: RelativePath) throws(StagingError) -> RelativePath {
        guard let name = path.name, let folder = try folderIfThere(path.parent) else { return path }
        if try status(of: name, at: folder) == nil { return path }
        var taken = 0
        var free = 1
        while try status(of: ComponentName.numbered(name, free), at: folder) != nil {
            taken = free
            free *= 2
            guard free <= Self.namesMax else { throw .namesExhausted(max: Self.namesMax) }
        }
        while free - taken > 1 {
            let middle = (taken + free) / 2
            if try status(of: ComponentName.numbered(name, middle), at: folder) != nil {
                taken = middle
            } else {
                free = middle
            }
        }
        guard let component = RelativePath(component: ComponentName.numbered(name, free)),
            let path = path.parent.appending(component)
        else { throw .blocked }
        return path
    }

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
