import CPosix
import Glibc
public import SystemPackage

/// Counters of what a service does, which all of its processes share and which outlast them: a file in the state directory
/// that each has in its memory. They only grow.
///
/// 1. A file belongs to one layout, which its name and its first word say. Processes of another version count elsewhere.
/// 2. Each protocol has a section of its own, found by its name, so processes that know other protocols share the file.
/// 3. The file only grows, and all of it is allocated: no count fails for want of space.
/// 4. What cannot be shared is counted all the same, by this process alone. So it is when somebody shrinks the file.
///
/// The memory is made or mapped with the value and lives as long as it; each word in it is changed atomically.
@safe
public final class Meters: Sendable {
    /// The name of the file, after which there is the layout.
    static let fileNamePrefix = "meters-"
    /// The bounds of the buckets of a histogram, in microseconds; one more bucket has the rest.
    static let bounds = [
        250, 500, 1000, 2500, 5000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
        10_000_000, 30_000_000, 60_000_000, 300_000_000,
    ]
    /// The statuses of HTTP (RFC 9110 15).
    static let statuses = 100..<600

    /// The protocols that requests are told apart by.
    let protocols: [String]
    /// Where the section of each protocol begins.
    private let sections: [Int]
    nonisolated(unsafe) private let words: UnsafeMutablePointer<UInt64>
    /// Why this process counts alone although it was to share; `nil` when it shares, or was never to.
    public let sharingFailure: Errno?

    /// Something whose times are counted.
    public enum Operation: Int, CaseIterable, Sendable {
        /// A transaction that writes to the ledger.
        case ledger
        /// The sync of a file.
        case sync
    }

    /// Counters of this process alone.
    public convenience init(protocols: [String] = []) { self.init(alone: protocols, because: nil) }

    private init(alone protocols: [String], because failure: Errno?) {
        self.protocols = protocols
        sections = protocols.indices.map { Self.place(ofSection: $0) }
        sharingFailure = failure
        let count = Self.wordCount(protocols.count)
        unsafe words = .allocate(capacity: count)
        unsafe words.initialize(repeating: 0, count: count)
    }

    private init(_ protocols: [String], _ file: borrowing MetersFile) {
        self.protocols = protocols
        sections = file.sections.map { Self.place(ofSection: $0) }
        sharingFailure = nil
        unsafe words = file.words
    }

    /// The counters of a state directory, made when they are not there; those of this process alone where they cannot be
    /// had.
    public static func shared(protocols: [String], stateDirectory: String) -> Meters {
        do {
            let file = try MetersFile(stateDirectory + "/" + fileName, protocols)
            return Meters(protocols, file)
        } catch {
            return Meters(alone: protocols, because: error)
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
        let start = sections[number]
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
        unsafe cposix_load(words + sections[number] + status - Self.statuses.lowerBound)
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
        unsafe cposix_load(words + sections[number] + Self.statuses.count)
    }

    /// How long the requests of a protocol took.
    func durations(protocol number: Int) -> Histogram {
        histogram(at: sections[number] + Self.statuses.count + 1)
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

    // MARK: The layout: a word for the layout itself, the number of sections, the operations, what is postponed and given
    // up, the sections

    /// Says all that the places of the words depend on.
    private static let layoutText = "2 \(statuses) \(bounds) \(Operation.allCases) postponed givenUp"
    /// What the file begins with.
    static let layoutWord = hash(layoutText)
    /// The name of the file.
    static let fileName = fileNamePrefix + String(layoutWord, radix: 16)
    /// Where the number of sections is.
    static let sectionCountPlace = 1

    private static let histogramWords = bounds.count + 2
    /// A section: what its protocol's name comes to, the statuses, the bytes, the durations.
    private static let sectionWords = 1 + statuses.count + 1 + histogramWords

    private static func place(of operation: Operation) -> Int { 2 + operation.rawValue * histogramWords }

    private static let postponedPlace = 2 + Operation.allCases.count * histogramWords
    private static let givenUpPlace = postponedPlace + 1

    /// Where the words of a section begin that count; the one before names it.
    private static func place(ofSection number: Int) -> Int { namePlace(ofSection: number) + 1 }

    /// Where the word is that names a section.
    static func namePlace(ofSection number: Int) -> Int { givenUpPlace + 1 + number * sectionWords }

    /// How many words there are with so many sections.
    static func wordCount(_ sections: Int) -> Int { namePlace(ofSection: sections) }

    /// FNV-1a of a text, never 0.
    static func hash(_ text: String) -> UInt64 {
        max(text.utf8.reduce(0xCBF2_9CE4_8422_2325) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 }, 1)
    }

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
