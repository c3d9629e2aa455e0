import Synchronization

/// What the tests of this run have tried so far. The totals of a whole run are in docs/guarantees.md.
enum Tally: String, CaseIterable {
    case faultsInjected = "faults injected"
    case powerCuts = "power cuts"
    case processesKilled = "processes killed"
    case bytesCompared = "bytes compared"

    private static let counts = Mutex<[Tally: Int]>([:])

    /// Counts.
    func add(_ count: Int = 1) { Self.counts.withLock { $0[self, default: 0] += count } }

    /// Prints the totals so far; what was compared and differed has failed its test.
    static func tell() {
        let counts = counts.withLock { $0 }
        print("tried so far: " + allCases.map { "\(counts[$0] ?? 0) \($0.rawValue)" }.joined(separator: ", "))
    }
}
