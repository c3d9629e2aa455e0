// One thin function for each system call of this module: the C call behind a clearer name, its errno thrown.
// All retry EINTR; that is the whole retry policy.

import CPosix
import Glibc
import SystemPackage
import Uploads

/// Runs a call that answers -1 and sets errno when it fails.
@discardableResult
func call<Result: SignedInteger>(_ body: () -> Result) throws(Errno) -> Result {
    while true {
        #if DEBUG
        if case .error(let code) = FaultInjection.next() {
            if code == EINTR { continue }
            throw Errno(rawValue: code)
        }
        #endif
        let result = body()
        if result != -1 { return result }
        let code = errno
        if code != EINTR { throw Errno(rawValue: code) }
    }
}

/// As `call`, for calls that may do less than they were asked to.
func call<Result: SignedInteger>(count: Int, _ body: (Int) -> Result) throws(Errno) -> Result {
    while true {
        var count = count
        #if DEBUG
        switch FaultInjection.next() {
        case .error(EINTR): continue
        case .error(let code): throw Errno(rawValue: code)
        case .short: count = min(count, 1)
        case nil: break
        }
        #endif
        let result = body(count)
        if result != -1 { return result }
        let code = errno
        if code != EINTR { throw Errno(rawValue: code) }
    }
}

/// open(2) of a directory.
func openDirectory(_ path: String) throws(Errno) -> CInt {
    try call { unsafe Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
}

/// openat(2) of a directory that may not be a symbolic link.
func openDirectory(_ name: String, in directory: CInt) throws(Errno) -> CInt {
    try call { unsafe Glibc.openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC) }
}

/// openat(2) of an existing file for reading and writing, which may not be a symbolic link.
func openFile(_ name: String, in directory: CInt) throws(Errno) -> CInt {
    try call { unsafe Glibc.openat(directory, name, O_RDWR | O_NOFOLLOW | O_CLOEXEC) }
}

/// openat(2) of an existing file for reading, which may not be a symbolic link.
func openForReading(_ name: String, in directory: CInt) throws(Errno) -> CInt {
    try call { unsafe Glibc.openat(directory, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) }
}

/// open(2) with O_TMPFILE.
func openAnonymous(in directory: CInt, mode: mode_t) throws(Errno) -> CInt {
    try call { cposix_open_anonymous(directory, mode) }
}

/// openat2(2) of a directory below another, without any symbolic link on the way.
func openDirectory(beneath directory: CInt, _ path: String) throws(Errno) -> CInt {
    try call { unsafe cposix_open_beneath(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) }
}

/// openat2(2) of a file below a directory for reading, without any symbolic link on the way. It may be no regular file.
func openFile(beneath directory: CInt, _ path: String) throws(Errno) -> CInt {
    try call { unsafe cposix_open_beneath(directory, path, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
}

/// linkat(2) of an anonymous file.
func linkAnonymous(_ file: CInt, in directory: CInt, as name: String) throws(Errno) {
    try call { unsafe cposix_link_anonymous(file, directory, name) }
}

/// mkdirat(2).
func makeDirectory(_ name: String, in directory: CInt, mode: mode_t) throws(Errno) {
    try call { unsafe mkdirat(directory, name, mode) }
}

/// unlinkat(2) of a file.
func unlink(_ name: String, in directory: CInt) throws(Errno) {
    try call { unsafe unlinkat(directory, name, 0) }
}

/// renameat2(2) that never replaces.
func renameExclusively(
    _ name: String,
    in directory: CInt,
    to newName: String,
    in newDirectory: CInt
) throws(Errno) {
    try call { unsafe cposix_rename_exclusive(directory, name, newDirectory, newName) }
}

/// renameat(2): what has the new name is replaced.
func rename(_ name: String, in directory: CInt, to newName: String, in newDirectory: CInt) throws(Errno) {
    try call { unsafe renameat(directory, name, newDirectory, newName) }
}

/// fstatat(2), without following a symbolic link.
func status(of name: String, in directory: CInt) throws(Errno) -> stat {
    var status = stat()
    try call { unsafe fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) }
    return status
}

/// fstat(2).
func status(of file: CInt) throws(Errno) -> stat {
    var status = stat()
    try call { unsafe fstat(file, &status) }
    return status
}

/// pwrite(2), once: it may write less than it was given.
func write(_ bytes: UnsafeRawBufferPointer, to file: CInt, at offset: Int64) throws(Errno) -> Int {
    try call(count: bytes.count) { count in unsafe pwrite(file, bytes.baseAddress, count, off_t(offset)) }
}

/// pread(2) of up to `count` bytes, once: it may read less; 0 at the end of the file.
func read(into block: inout [UInt8], count: Int, from file: CInt, at offset: Int64) throws(Errno) -> Int {
    precondition(count <= block.count)
    return try call(count: count) { count in
        unsafe block.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, count, off_t(offset)) }
    }
}

/// copy_file_range(2), once: it may copy less than it was asked for.
func copyRange(
    from source: CInt,
    at sourceOffset: Int64,
    to target: CInt,
    at targetOffset: Int64,
    count: Int
) throws(Errno) -> Int {
    try call(count: count) { count in cposix_copy_range(source, sourceOffset, target, targetOffset, count) }
}

/// ftruncate(2).
func truncate(_ file: CInt, to count: Int64) throws(Errno) {
    try call { ftruncate(file, off_t(count)) }
}

/// fdatasync(2). Its errors are reported once: after one, the bytes are to be written again, never synced again.
func syncData(_ file: CInt) throws(Errno) {
    try call { fdatasync(file) }
}

/// fsync(2), for directories.
func sync(_ file: CInt) throws(Errno) {
    try call { fsync(file) }
}

/// fchmod(2).
func setMode(_ mode: mode_t, of file: CInt) throws(Errno) {
    try call { fchmod(file, mode) }
}

/// The kinds of lock that an open file description can hold on a file.
enum LockKind {
    case shared
    case exclusive
    case none

    var rawValue: Int16 {
        switch self {
        case .shared: Int16(F_RDLCK)
        case .exclusive: Int16(F_WRLCK)
        case .none: Int16(F_UNLCK)
        }
    }
}

/// For how long a lock is tried for, in seconds: nobody waits without end for a program that is asked of a file, or for a
/// process that was stopped.
let lockSecondsMax = 10
/// How long the first rest between two tries is, and the longest, in microseconds.
private let lockRestMicroseconds: ClosedRange<useconds_t> = 250...10_000

/// Waits for the lock of a range, which is tried for again and again; false when somebody else has had it for so long that
/// waiting was given up.
func lockInTime(_ file: CInt, _ kind: LockKind, _ range: ByteRange) throws(Errno) -> Bool {
    if try tryLock(file, kind, range) { return true }
    let end = ContinuousClock.now + .seconds(lockSecondsMax)
    var rest = lockRestMicroseconds.lowerBound
    repeat {
        usleep(rest)
        rest = min(2 * rest, lockRestMicroseconds.upperBound)
        if try tryLock(file, kind, range) { return true }
    } while ContinuousClock.now < end
    return false
}

/// fcntl(2) F_OFD_SETLK: false when somebody else has the lock of the range.
func tryLock(_ file: CInt, _ kind: LockKind, _ range: ByteRange) throws(Errno) -> Bool {
    do {
        try call { cposix_lock(file, kind.rawValue, range.offset, range.count) }
        return true
    } catch .resourceTemporarilyUnavailable, .permissionDenied {
        return false
    }
}

/// flock(2) LOCK_EX: waits for the lock of an open file or folder.
func lockWhole(_ file: CInt) throws(Errno) {
    try call { flock(file, LOCK_EX) }
}

/// flock(2) LOCK_UN. Should it stay locked, closing releases it.
func unlockWhole(_ file: CInt) {
    flock(file, LOCK_UN)
}
