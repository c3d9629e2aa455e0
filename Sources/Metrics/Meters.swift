import CPosix
import Glibc
public import SystemPackage

/// Counters of what a service does, which all of its processes share and which outlast them: a file in the state directory
/// that each has in its memory. They only grow.
///
/// The memory is made or mapped with the value and lives as long as it; each word in it is changed atomically.
@safe
public final class Meters: Sendable {
    /// The name of the file.
    public static let fileName = "meters"
    /// What the file begins with; another layout gets another word.
    private static let magic: UInt64 = 0x3230_6574_656D_7266
    /// The bounds of the buckets of a histogram, in microseconds; one more bucket has the rest.
    static let bounds = [
        250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 30_000_000, 60_000_000, 300_000_000,
    ]
    /// The statuses of HTTP (RFC 9110 15).
    static let statuses = 100..<600

    /// The protocols that requests are told apart by.
    let protocols: [String]
    nonisolated(unsafe) private let words: UnsafeMutablePointer<UInt64>

    /// Something whose times are counted.
    public enum Operation: Int, CaseIterable, Sendable {
        /// A transaction that writes to the ledger.
        case ledger
        /// The sync of a file.
        case sync
    }

    /// Counters of this process alone.
    public init(protocols: [String] = []) {
        self.protocols = protocols
        let count = Self.wordCount(protocols.count)
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    /// The counters of a state directory, made when they are not there or of another layout.
    public init(protocols: [String], stateDirectory: String) throws(Errno) {
        self.protocols = protocols
        let path = stateDirectory + "/" + Self.fileName
        let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw Errno(rawValue: errno) }
        defer {
            // What is mapped keeps the open file, and its lock, beyond the descriptor.
            flock(file, LOCK_UN)
            close(file)
        }
        let size = Self.wordCount(protocols.count) * MemoryLayout<UInt64>.stride
        guard flock(file, LOCK_EX) == 0, ftruncate(file, off_t(size)) == 0 else { throw Errno(rawValue: errno) }
        let memory = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { throw Errno(rawValue: errno) }
        unsafe words = memory.bindMemory(to: UInt64.self, capacity: size / MemoryLayout<UInt64>.stride)
        if unsafe words[0] != Self.magic {
            unsafe memset(memory, 0, size)
            unsafe words[0] = Self.magic
        }
    }

    // MARK: Counting

    /// Counts a request.
    ///
    /// - Parameters:
    ///   - number: its protocol's place in `protocols`.
    ///   - status: the status of its answer, 100-599.
    ///   - bytes: how many bytes of its body were read.
    public func countRequest(protocol number: Int, status: Int, bytes: Int64, microseconds: Int) {
        let start = Self.place(ofProtocol: number)
        if Self.statuses.contains(status) { add(1, at: start + status - Self.statuses.lowerBound) }
        add(UInt64(max(bytes, 0)), at: start + Self.statuses.count)
        count(microseconds, at: start + Self.statuses.count + 1)
    }

    /// Counts an operation that took so long.
    func count(_ operation: Operation, microseconds: Int) {
        count(microseconds, at: Self.place(of: operation))
    }

    /// Counts an operation that began then and ends now.
    public func count(_ operation: Operation, since start: ContinuousClock.Instant) {
        count(operation, microseconds: Int((ContinuousClock.now - start) / .microseconds(1)))
    }

    /// Counts what failed after a file had got its name.
    ///
    /// - Parameter isGivenUp: whether it is left undone; else it is done later.
    public func countPostponement(isGivenUp: Bool) { add(1, at: isGivenUp ? Self.givenUpPlace : Self.postponedPlace) }

    // MARK: Reading

    /// How often something failed after a file had got its name and was left for later.
    func postponed() -> UInt64 { unsafe cposix_load(words + Self.postponedPlace) }

    /// How often something failed after a file had got its name and was left undone.
    func givenUp() -> UInt64 { unsafe cposix_load(words + Self.givenUpPlace) }

    /// How many requests of a protocol were answered with a status.
    func requests(protocol number: Int, status: Int) -> UInt64 {
        unsafe cposix_load(words + Self.place(ofProtocol: number) + status - Self.statuses.lowerBound)
    }

    /// How many requests were answered with each status of 400 and above, by the name of their protocol.
    public func errors() -> [(protocol: String, status: Int, count: UInt64)] {
        protocols.enumerated().flatMap { number, name in
            (400..<Self.statuses.upperBound).compactMap { status in
                let count = requests(protocol: number, status: status)
                return count > 0 ? (name, status, count) : nil
            }
        }
    }

    /// How many bytes of bodies were read in a protocol.
    func bytes(protocol number: Int) -> UInt64 {
        unsafe cposix_load(words + Self.place(ofProtocol: number) + Self.statuses.count)
    }

    /// How long the requests of a protocol took.
    func durations(protocol number: Int) -> Histogram {
        histogram(at: Self.place(ofProtocol: number) + Self.statuses.count + 1)
    }

    /// How long an operation took.
    func durations(_ operation: Operation) -> Histogram { histogram(at: Self.place(of: operation)) }

    /// Times, counted by their buckets.
    struct Histogram {
        /// How many are in each bucket.
        let counts: [UInt64]
        /// The sum of all, in microseconds.
        let sum: UInt64
    }

    // MARK: The layout: a word for the layout itself, the operations, what is postponed and given up, the protocols

    private static let histogramWords = bounds.count + 2
    private static let protocolWords = statuses.count + 1 + histogramWords

    private static func place(of operation: Operation) -> Int { 1 + operation.rawValue * histogramWords }

    private static let postponedPlace = 1 + Operation.allCases.count * histogramWords
    private static let givenUpPlace = postponedPlace + 1

    private static func place(ofProtocol number: Int) -> Int { givenUpPlace + 1 + number * protocolWords }

    private static func wordCount(_ protocols: Int) -> Int { place(ofProtocol: protocols) }

    private func add(_ value: UInt64, at place: Int) { unsafe cposix_add(words + place, value) }

    /// Adds to a histogram: its buckets, then its sum.
    private func count(_ microseconds: Int, at place: Int) {
        let bucket = Self.bounds.firstIndex { microseconds <= $0 } ?? Self.bounds.count
        add(1, at: place + bucket)
        add(UInt64(max(microseconds, 0)), at: place + Self.bounds.count + 1)
    }

    private func histogram(at place: Int) -> Histogram {
        Histogram(
            counts: (0...Self.bounds.count).map { unsafe cposix_load(words + place + $0) },
            sum: unsafe cposix_load(words + place + Self.bounds.count + 1)
        )
    }
}
