import Digests
import Glibc
import SystemPackage
public import Uploads

/// One file on its way to its final name.
///
/// 1. Its mode is 01600 as long as it may be written; publishing *seals* it by giving it its final mode. The sticky bit,
///    which means nothing on a file, tells the two apart under every umask.
/// 2. A write holds a shared lock, and looks whether the file is sealed or without a name when it takes that. The lock is
///    held for one call, or from `hold` to `yield` where several follow at once, never while bytes are awaited. So a
///    slow or dead client keeps nobody waiting, and after a seal no byte changes.
/// 3. The locks are OFD locks: they belong to this open file, exclude threads as well as processes, and are released
///    by the kernel with its last descriptor.
/// 4. A *claim* is a lock on a place behind every byte: it says, for as long as a request goes on, that a slot is being
///    written to by it alone. It keeps nobody from the file itself. Of bytes, it says so for a range, and that the file is
///    in use. Whoever writes over claimed bytes all the same (`lockOver`) makes the file a byte longer, and who has claimed
///    them finds its writes refused.
/// 5. An anonymous file has no name and is this request's alone; it is gone when the request is, whatever happens.
public struct StagingFile: ~Copyable {
    /// The mode of a file that may be written.
    static let openMode: mode_t = 0o1600
    /// What the locks of writes and of publishing cover: every byte that a file can have.
    private static let bytes = ByteRange.first(1 << 62)
    /// What marks a file in use, behind the places of all claims.
    private static let inUseIndex = 1 << 20
    /// A file up to this size that does not fit on the disk is refused at its first segment; the size of a larger one is
    /// only what a client says.
    public static let fittingBytesMax: Int64 = 4 << 30

    let file: CInt
    private var access: Access
    /// The size that the file has as long as no later request has taken its end over, or written over claimed bytes; `nil`
    /// when that does not matter.
    private var fence: Int64?

    /// Who else may write to the file.
    private enum Access {
        /// Nobody: it has no name.
        case anonymous
        /// Anybody, so each write takes a lock.
        case shared
        /// Others who write, too, but nobody who publishes: this open file holds the shared lock.
        case held
        /// Nobody, as this open file holds the exclusive lock; a lock for a write would take its place.
        case exclusive
    }

    private init(file: CInt, access: Access) {
        self.file = file
        self.access = access
    }

    deinit {
        close(file)
    }

    /// A new file without a name.
    public static func anonymous(in area: borrowing StagingArea) throws(StagingError) -> StagingFile {
        let folder = area.folder
        let file = try Errno.wrap("create staging file") { () throws(Errno) in
            try openAnonymous(in: folder, mode: openMode)
        }
        return StagingFile(file: file, access: .anonymous)
    }

    /// The staging file of a name; `nil` when it has been published, restarted, cancelled or expired.
    public static func open(_ name: String, in area: borrowing StagingArea) throws(StagingError) -> StagingFile? {
        do {
            return StagingFile(file: try openFile(name, in: area.folder), access: .shared)
        } catch .noSuchFileOrDirectory, .isDirectory {
            return nil
        } catch {
            throw .system(operation: "open staging file", errno: error)
        }
    }

    /// Opens a file that has its final name; `nil` when there is none of it.
    public static func open(
        published path: RelativePath,
        in area: borrowing StagingArea
    ) throws(StagingError) -> StagingFile? {
        guard let folder = try area.folderIfThere(path.parent), let name = path.name else { return nil }
        do {
            return StagingFile(file: try openFile(name, in: folder.descriptor), access: .shared)
        } catch .noSuchFileOrDirectory, .isDirectory {
            return nil
        } catch {
            throw .system(operation: "open published file", errno: error)
        }
    }

    /// The inode number, by which a file is known again after a rename.
    public func inode() throws(StagingError) -> UInt64 {
        let file = file
        return UInt64(try Errno.wrap("stat staging file") { () throws(Errno) in try status(of: file) }.st_ino)
    }

    /// What is another as soon as the file is written to, sealed, unsealed or named (inode(7), ctime).
    public func stamp() throws(StagingError) -> Stamp {
        let file = file
        let time = try Errno.wrap("stat staging file") { () throws(Errno) in try status(of: file) }.st_ctim
        return Stamp(seconds: time.tv_sec, nanoseconds: time.tv_nsec)
    }

    /// When something about a file has changed last.
    public struct Stamp: Hashable, Sendable {
        let seconds: Int
        let nanoseconds: Int
    }

    /// When the file was last written to, in seconds since 1970.
    func lastWrite() throws(StagingError) -> Int64 {
        let file = file
        return Int64(try Errno.wrap("stat staging file") { () throws(Errno) in try status(of: file) }.st_mtim.tv_sec)
    }

    /// Gives the file its size, if the disk has space for it.
    ///
    /// None is taken: the bytes may never come, and a client that sends one byte of each of many files must not fill the
    /// disk. It is taken by the bytes that come.
    public func reserve(total: Int64) throws(StagingError) {
        let file = file
        guard total > 0 else { return }
        // A file system without a limit has no size.
        if total <= Self.fittingBytesMax, let space = DiskSpace(of: file), space.total > 0, space.available < total {
            throw .system(operation: "look for space for \(total) bytes", errno: .noSpace)
        }
        try Errno.wrap("set file size") { () throws(Errno) in try truncate(file, to: total) }
    }

    /// Gives an anonymous file its staging name.
    public mutating func link(as name: String, in area: borrowing StagingArea) throws(StagingError) {
        let (file, folder) = (file, area.folder)
        try Errno.wrap("name staging file") { () throws(Errno) in try linkAnonymous(file, in: folder, as: name) }
        access = .shared
    }

    /// Takes the lock of writes until `yield`, for several that follow at once.
    public mutating func hold() throws(StagingError) {
        switch access {
        case .anonymous, .exclusive, .held: return
        case .shared: break
        }
        try lockShared()
        do throws(StagingError) { try requireUnsealed() } catch {
            unlock()
            throw error
        }
        access = .held
    }

    /// Gives back what `hold` has taken.
    public mutating func yield() {
        guard access == .held else { return }
        unlock()
        access = .shared
    }

    /// Writes all of `bytes` at `offset`.
    public func write(_ bytes: Span<UInt8>, at offset: Int64) throws(StagingError) {
        try whileWritable { () throws(Errno) in
            try unsafe bytes.withUnsafeBytes { (buffer: UnsafeRawBufferPointer) throws(Errno) in
                var done = 0
                while done < buffer.count {
                    let rest = unsafe UnsafeRawBufferPointer(rebasing: buffer[done...])
                    let count = try unsafe Staging.write(rest, to: file, at: offset + Int64(done))
                    // pwrite(2) of a regular file answers 0 for no bytes only; a loop on it would not end.
                    guard count > 0 else { throw .ioError }
                    done += count
                }
            }
        }
    }

    /// Copies a range of `source` to `offset`. In one file, the two places must not overlap.
    public func copy(
        _ range: ByteRange,
        of source: borrowing StagingFile,
        to offset: Int64
    ) throws(StagingError) {
        let sourceFile = source.file
        let count = range.count
        try whileWritable { () throws(Errno) in
            var done: Int64 = 0
            while done < count {
                let step = Int(min(count - done, 1 << 30))
                let copied = try copyRange(
                    from: sourceFile,
                    at: range.offset + done,
                    to: file,
                    at: offset + done,
                    count: step
                )
                guard copied > 0 else { throw .ioError }
                done += Int64(copied)
            }
        }
    }

    /// Makes all written bytes durable.
    public func sync() throws(StagingError) {
        let file = file
        try Errno.wrap("sync staging file") { () throws(Errno) in try syncData(file) }
    }

    /// Cuts off what lies behind the first `count` bytes; true when there was anything.
    public func trim(to count: Int64) throws(StagingError) -> Bool {
        let file = file
        return try Errno.wrap("trim staging file") { () throws(Errno) in
            guard try status(of: file).st_size > count else { return false }
            try truncate(file, to: count)
            return true
        }
    }

    /// Takes the exclusive lock: until this open file is closed, no other writes a byte.
    public mutating func lockExclusively() throws(StagingError) {
        try lock(.exclusive)
        access = .exclusive
    }

    /// Takes over the end of a file: whoever took it over before writes no more byte.
    ///
    /// The file is made a byte longer than it was, beyond the bytes that it is to have in the end, and every write looks
    /// whether it still has the size that its own take-over gave it.
    ///
    /// - Parameter total: how many bytes the file is to have.
    /// - Throws: `sealed` when the file has been published or removed since it was opened; it stays as it is.
    public mutating func takeOverEnd(total: Int64) throws(StagingError) {
        try lock(.exclusive)
        defer { unlock() }
        fence = nil
        try requireUnsealed()
        fence = try Errno.wrap("take over staging file") { () throws(Errno) in
            let (size, overflow) = max(Int64(try status(of: file).st_size), total).addingReportingOverflow(1)
            if overflow { throw .fileTooLarge }
            try truncate(file, to: size)
            return size
        }
    }

    /// Has writes refused from now on when another request has written over claimed bytes since; false when the file is
    /// sealed.
    public mutating func beginWatch() throws(StagingError) -> Bool {
        do { fence = try requireUnsealed() } catch .sealed { return false }
        return true
    }

    /// As `beginWatch`, for a new file of which the size is known.
    public mutating func beginWatch(size: Int64) { fence = size }

    /// Ends what `beginWatch` has begun.
    public mutating func endWatch() { fence = nil }

    /// Claims bytes until this open file is closed, and marks the file as in use; false when another request has claimed
    /// any of them.
    public func claim(_ range: ByteRange) throws(StagingError) -> Bool {
        guard let place = Self.bytes.claim(on: range) else { return false }
        let file = file
        return try Errno.wrap("claim bytes") { () throws(Errno) in try tryLock(file, .exclusive, place) }
    }

    /// Gives up all claims of bytes, while bytes are still on their way to the file.
    public func giveUpClaims() throws(StagingError) {
        try markInUse()
        guard let places = ByteRange(offset: Self.bytes.end + ByteRange.claimsBegin, end: .max) else { return }
        let file = file
        try Errno.wrap("give up claims") { () throws(Errno) in _ = try tryLock(file, .none, places) }
    }

    /// Takes the exclusive lock to write over bytes that others may have claimed: those write no more byte.
    ///
    /// - Returns: whether others have claimed any of the bytes; then `endOver` is to be called once they are committed.
    /// - Throws: `sealed` when the file has been published or removed since it was opened.
    public mutating func lockOver(_ range: ByteRange) throws(StagingError) -> Bool {
        try lockExclusively()
        let size = try requireUnsealed()
        if try claim(range) { return false }
        try lengthen(size, by: 1)
        return true
    }

    /// Has those write no more byte, too, who have claimed bytes since `lockOver`, and have looked in vain for committed ones.
    public func endOver() throws(StagingError) { try lengthen(try requireUnsealed(), by: 1) }

    /// Makes a file longer than it has ever been, so that whoever watches it sees that.
    func lengthen(_ size: Int64, by count: Int64) throws(StagingError) {
        let file = file
        try Errno.wrap("extend staging file") { () throws(Errno) in
            let (longer, overflow) = size.addingReportingOverflow(count)
            if overflow { throw .fileTooLarge }
            try truncate(file, to: longer)
        }
    }

    /// Does something while no other request can take the end over, seal the file or remove it.
    public func whileCurrent<Value>(_ body: () throws(UploadError) -> Value) throws(UploadError) -> Value {
        do throws(StagingError) { try lockShared() } catch { throw error.uploadError }
        defer { unlock() }
        do throws(StagingError) { try requireUnsealed() } catch { throw error.uploadError }
        return try body()
    }

    /// Says until this open file is closed that bytes are on their way to the file, so that no sweep takes it.
    public func markInUse() throws(StagingError) {
        let file = file
        _ = try Errno.wrap("mark staging file") { () throws(Errno) in
            try tryLock(file, .shared, Self.bytes.following(Self.inUseIndex))
        }
    }

    /// Whether no bytes are on their way to the file; until this open file is closed none can be.
    public func lockUnused() throws(StagingError) -> Bool {
        let file = file
        let mark = Self.bytes.following(Self.inUseIndex)
        // The claims of bytes lie behind the mark.
        guard let all = ByteRange(offset: mark.offset, end: .max) else { return false }
        return try Errno.wrap("mark staging file") { () throws(Errno) in try tryLock(file, .exclusive, all) }
    }

    /// Claims a slot until this open file is closed; false when another request has it.
    public func claim(_ slot: Int) throws(StagingError) -> Bool {
        let file = file
        return try Errno.wrap("claim slot") { () throws(Errno) in
            try tryLock(file, .exclusive, Self.bytes.following(slot))
        }
    }

    /// Claims every slot until this open file is closed; false when another request has one.
    public func claimAllSlots() throws(StagingError) -> Bool {
        guard let slots = ByteRange(offset: Self.bytes.end, count: Int64(Self.inUseIndex)) else { return false }
        let file = file
        return try Errno.wrap("claim slots") { () throws(Errno) in try tryLock(file, .exclusive, slots) }
    }

    /// Whether anything lies behind the first `count` bytes.
    public func isLonger(than count: Int64) throws(StagingError) -> Bool {
        let file = file
        return try Errno.wrap("stat staging file") { () throws(Errno) in try status(of: file).st_size > count }
    }

    private func whileWritable(_ body: () throws(Errno) -> Void) throws(StagingError) {
        switch access {
        case .anonymous, .held:
            try Errno.wrap("write staging file", body)
        case .exclusive:
            try requireUnsealed()
            try Errno.wrap("write staging file", body)
        case .shared:
            try lockShared()
            defer { unlock() }
            try requireUnsealed()
            try Errno.wrap("write staging file", body)
        }
    }

    private func lockShared() throws(StagingError) { try lock(.shared) }

    private func lock(_ kind: LockKind) throws(StagingError) {
        let file = file
        let isLocked = try Errno.wrap("lock staging file") { () throws(Errno) in
            try lockInTime(file, kind, Self.bytes)
        }
        guard isLocked else { throw .busy }
    }

    private func unlock() {
        // Should it stay locked, closing the file releases it.
        _ = try? tryLock(file, .none, Self.bytes)
    }

    /// Refuses a file that is sealed, has no name any more, or was taken over; returns its size.
    @discardableResult
    public func requireUnsealed() throws(StagingError) -> Int64 {
        let file = file
        let status = try Errno.wrap("stat staging file") { () throws(Errno) in try Staging.status(of: file) }
        let size = Int64(status.st_size)
        guard status.st_nlink > 0, status.st_mode & 0o7777 == Self.openMode, fence ?? size == size else {
            throw .sealed
        }
        return size
    }
}

extension ByteRange {
    /// One byte, `index` bytes behind the range.
    fileprivate func following(_ index: Int) -> ByteRange {
        guard let range = ByteRange(offset: end + Int64(index), count: 1) else {
            preconditionFailure("an index is not negative")
        }
        return range
    }

    /// How far behind the range its bytes are claimed: behind the mark of a file in use.
    fileprivate static let claimsBegin: Int64 = 1 << 21

    /// Where bytes of a range are claimed, as far as locks reach. What would lie beyond that shares the last place.
    fileprivate func claim(on range: ByteRange) -> ByteRange? {
        let start = end + Self.claimsBegin
        let offset = min(range.offset, .max - 1 - start)
        return ByteRange(offset: start + offset, count: max(min(range.count, .max - start - offset), 1))
    }
}
