import CPosix
import Glibc
import SystemPackage

/// The file that counters are in, mapped to the memory of this process; it stays there to the end of the process.
///
/// Another process may shrink it at any time, whether by mistake or because it is of a version that did so. A page that is
/// gone is replaced by one of this process alone when it is touched, which no request notices.
@safe
struct MetersFile {
    /// The words of the file.
    let words: UnsafeMutablePointer<UInt64>
    /// The number of the section of each protocol.
    let sections: [Int]

    /// How many sections a file may have; one that says more is damaged.
    private static let sectionsMax = 64
    /// For how long the lock of the file is tried for, and how often, in microseconds.
    private static let lockMicroseconds = 1_000_000
    private static let lockStepMicroseconds = 10_000

    /// Opens the file, making it, and sections for protocols that have none.
    init(_ path: String, _ protocols: [String]) throws(Errno) {
        let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Errno(rawValue: errno) }
        defer {
            // What is mapped keeps the open file, and its lock, beyond the descriptor.
            flock(file, LOCK_UN)
            close(file)
        }
        try Self.lock(file)
        let names = protocols.map { Meters.hash($0) }
        var known = try Self.names(in: file)
        for name in names where !known.contains(name) { known.append(name) }
        guard known.count <= Self.sectionsMax else { throw .fileTooLarge }
        let size = Meters.wordCount(known.count) * MemoryLayout<UInt64>.stride
        let code = posix_fallocate(file, 0, off_t(size))
        guard code == 0 else { throw Errno(rawValue: code) }
        let memory = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { throw Errno(rawValue: errno) }
        guard unsafe cposix_guard_mapping(memory, size) == 0 else {
            unsafe munmap(memory, size)
            throw Errno(rawValue: errno)
        }
        unsafe words = memory.bindMemory(to: UInt64.self, capacity: size / MemoryLayout<UInt64>.stride)
        if unsafe words[0] != Meters.layoutWord {
            unsafe memset(memory, 0, size)
            unsafe words[0] = Meters.layoutWord
        }
        for (number, name) in known.enumerated() { unsafe words[Meters.namePlace(ofSection: number)] = name }
        unsafe words[Meters.sectionCountPlace] = UInt64(known.count)
        sections = names.map { name in known.firstIndex(of: name) ?? 0 }
    }

    /// Takes the lock of the file; a process that was stopped while it had it keeps no other from serving.
    private static func lock(_ file: CInt) throws(Errno) {
        for _ in 0..<lockMicroseconds / lockStepMicroseconds {
            if flock(file, LOCK_EX | LOCK_NB) == 0 { return }
            guard errno == EWOULDBLOCK || errno == EINTR else { throw Errno(rawValue: errno) }
            usleep(useconds_t(lockStepMicroseconds))
        }
        throw .wouldBlock
    }

    /// What the sections of a file are called; none in a file that is new, or damaged.
    private static func names(in file: CInt) throws(Errno) -> [UInt64] {
        guard try word(0, of: file) == Meters.layoutWord,
            let count = try word(Meters.sectionCountPlace, of: file), count <= UInt64(sectionsMax)
        else { return [] }
        var names: [UInt64] = []
        for number in 0..<Int(count) {
            guard let name = try word(Meters.namePlace(ofSection: number), of: file) else { break }
            names.append(name)
        }
        return names
    }

    /// A word of a file; `nil` behind its end.
    private static func word(_ place: Int, of file: CInt) throws(Errno) -> UInt64? {
        var word: UInt64 = 0
        let size = MemoryLayout<UInt64>.stride
        let count = unsafe withUnsafeMutableBytes(of: &word) { bytes in
            unsafe pread(file, bytes.baseAddress, size, off_t(place * size))
        }
        guard count >= 0 else { throw Errno(rawValue: errno) }
        return count == size ? word : nil
    }
}
