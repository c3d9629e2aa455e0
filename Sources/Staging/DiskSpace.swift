import Glibc

/// The space of a file system, in bytes.
public struct DiskSpace: Hashable, Sendable {
    /// What it has in all.
    public let total: Int64
    /// What may still be written.
    public let available: Int64

    /// The space where a path is; `nil` when it can not be looked at.
    public init?(of path: String) {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return nil }
        self.init(status)
    }

    /// The space where an open file is; `nil` when it can not be looked at.
    init?(of file: CInt) {
        var status = statvfs()
        guard unsafe fstatvfs(file, &status) == 0 else { return nil }
        self.init(status)
    }

    private init(_ status: statvfs) {
        total = Int64(status.f_blocks) * Int64(status.f_frsize)
        available = Int64(status.f_bavail) * Int64(status.f_frsize)
    }
}
