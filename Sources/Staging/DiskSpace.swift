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
        total = Self.bytes(status.f_blocks, of: status.f_frsize)
        available = Self.bytes(status.f_bavail, of: status.f_frsize)
    }

    /// The bytes of blocks; some network file systems say that they have more than can be counted.
    private static func bytes(_ blocks: UInt, of blockBytes: UInt) -> Int64 {
        let (bytes, overflow) = blocks.multipliedReportingOverflow(by: blockBytes)
        return overflow ? .max : Int64(clamping: bytes)
    }
}
