import CPosix
import Glibc

/// The stack of the calling thread.
enum WorkerStack {
    /// How much below the frame of the caller is kept, in bytes: what a wait needs.
    private static let keptBytes: UInt = 2 << 10

    /// Gives back the memory below the frames that are in use: a call that went deep, as into the ledger, has left it
    /// behind, and a thread that waits for a slow client would hold it for as long as that takes.
    static func releaseUnused() {
        var lowest: UnsafeMutableRawPointer?
        var count = 0
        guard unsafe cposix_stack(&lowest, &count) == 0, let lowest = unsafe lowest else { return }
        let page = UInt(getpagesize())
        let frame = unsafe withUnsafePointer(to: &count) { UInt(bitPattern: $0) }
        let start = UInt(bitPattern: lowest)
        let end = (frame - keptBytes) / page * page
        guard start < end, end < start + UInt(count) else { return }
        // Should the kernel refuse, the memory stays where it is.
        unsafe madvise(lowest, Int(end - start), MADV_DONTNEED)
    }
}
