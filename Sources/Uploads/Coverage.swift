/// A sorted set of byte ranges that neither overlap nor touch (docs/dialects/README.md 0.1).
///
/// 1. `ranges` is ascending, and a gap of at least one byte lies between any two of them.
/// 2. No range is empty.
public struct Coverage: Hashable, Sendable {
    /// The ranges, ascending.
    public private(set) var ranges: [ByteRange] = []

    /// An empty coverage.
    public init() {}

    /// The union of `ranges`, in whatever order and however they overlap.
    public init(_ ranges: some Sequence<ByteRange>) {
        for range in ranges { insert(range) }
    }

    /// What an insertion did: the ranges that went, and the one that stands in their place.
    public struct Merge: Hashable, Sendable {
        /// The ranges that the new one absorbed, ascending.
        public let removed: [ByteRange]
        /// The union of the new range and those it absorbed.
        public let inserted: ByteRange
    }

    /// Adds a range; `nil` when that changed nothing (the range is empty or covered already).
    @discardableResult
    public mutating func insert(_ range: ByteRange) -> Merge? {
        guard !range.isEmpty else { return nil }
        let lower = firstIndex { $0.end >= range.offset }
        var upper = lower
        var union = range
        while upper < ranges.count, ranges[upper].touches(range) {
            union = union.union(ranges[upper])
            upper += 1
        }
        let removed = Array(ranges[lower..<upper])
        if removed == [union] { return nil }
        ranges.replaceSubrange(lower..<upper, with: CollectionOfOne(union))
        return Merge(removed: removed, inserted: union)
    }

    /// Takes a range out.
    public mutating func remove(_ range: ByteRange) {
        ranges = ranges.flatMap { covered -> [ByteRange] in
            guard covered.overlaps(range) else { return [covered] }
            return [
                ByteRange(offset: covered.offset, end: max(covered.offset, range.offset)),
                ByteRange(offset: min(covered.end, range.end), end: covered.end),
            ].compactMap { $0 }.filter { !$0.isEmpty }
        }
    }

    /// The largest n such that all of [0, n) is covered, in bytes.
    public var contiguousPrefix: Int64 {
        guard let first = ranges.first, first.offset == 0 else { return 0 }
        return first.end
    }

    /// True when every byte of [0, total) is covered.
    public func isWhole(total: Int64) -> Bool { contiguousPrefix >= total }

    /// True when at least one byte of `range` is covered.
    public func overlaps(_ range: ByteRange) -> Bool {
        let index = firstIndex { $0.end > range.offset }
        return index < ranges.count && ranges[index].overlaps(range)
    }

    /// Binary search for the first range that meets a condition which, once met, every later range meets.
    private func firstIndex(_ condition: (ByteRange) -> Bool) -> Int {
        var lower = 0
        var upper = ranges.count
        while lower < upper {
            let middle = lower + (upper - lower) / 2
            if condition(ranges[middle]) { upper = middle } else { lower = middle + 1 }
        }
        return lower
    }
}
