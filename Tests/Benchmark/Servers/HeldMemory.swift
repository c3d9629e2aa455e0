import Glibc

/// Keeps memory at hand in a virtual machine whose host takes back what is free (virtio-balloon, free page reporting).
///
/// There a file that goes to memory costs several times as much, by chance, when its pages must first be had from the
/// host again: more than what is measured. Only whole blocks of 2 MiB are taken back, so a page of each is held.
final class HeldMemory {
    /// How much is kept at hand, in bytes: more than the files of a workload.
    private static let byteCount = 6 << 30
    /// Every how many bytes a page is held; blocks need not begin where this does.
    private static let stepBytes = 256 << 10

    private let memory: UnsafeMutableRawPointer?

    /// Takes the memory, and gives back all but the held pages; nothing where no host takes any, or there is too little.
    init() {
        let pageBytes = Int(getpagesize())
        let isReported = access("/sys/module/page_reporting", F_OK) == 0
        guard isReported, sysconf(CInt(_SC_AVPHYS_PAGES)) * pageBytes > 2 * Self.byteCount else {
            unsafe memory = nil
            return
        }
        let mapping = unsafe mmap(
            nil,
            Self.byteCount,
            PROT_READ | PROT_WRITE,
            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
            -1,
            0
        )
        guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
            unsafe memory = nil
            return
        }
        unsafe memory = mapping
        unsafe madvise(mapping, Self.byteCount, MADV_NOHUGEPAGE)
        for offset in stride(from: 0, to: Self.byteCount, by: pageBytes) {
            unsafe mapping.storeBytes(of: 1, toByteOffset: offset, as: UInt8.self)
        }
        for offset in stride(from: 0, to: Self.byteCount, by: Self.stepBytes) {
            unsafe madvise(mapping + offset + pageBytes, Self.stepBytes - pageBytes, MADV_DONTNEED)
        }
    }

    deinit {
        if let memory = unsafe memory { unsafe munmap(memory, Self.byteCount) }
    }
}
