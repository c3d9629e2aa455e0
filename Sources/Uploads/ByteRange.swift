/// The bytes of a file from `offset` up to, not including, `end` (docs/dialects/README.md 0.1).
///
/// Both are counted in bytes from the start of the file, 0 ... 2^63-1, and `offset <= end`.
public struct ByteRange: Hashable, Sendable {
    /// The first byte of the range.
    public let offset: Int64
    /// The first byte behind the range.
    public let end: Int64

    /// Fails unless `0 <= offset <= end`.
    public init?(offset: Int64, end: Int64) {
        guard 0 <= offset, offset <= end else { return nil }
        self.offset = offset
        self.end = end
    }

    /// The range of `count` bytes from `offset`; fails when either is negative or the end overflows.
    public init?(offset: Int64, count: Int64) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard !overflow, count >= 0 else { return nil }
        self.init(offset: offset, end: end)
    }

    /// No bytes, at 0.
    public static let empty = ByteRange(unchecked: 0, 0)

    /// The first `count` bytes of a file; `count` must not be negative.
    public static func first(_ count: Int64) -> ByteRange {
        precondition(count >= 0)
        return ByteRange(unchecked: 0, count)
    }

    /// The number of bytes in the range.
    public var count: Int64 { end - offset }

    /// True when the range holds no byte.
    public var isEmpty: Bool { offset == end }

    /// True when at least one byte lies in both ranges.
    public func overlaps(_ other: ByteRange) -> Bool {
        offset < other.end && other.offset < end && !isEmpty && !other.isEmpty
    }

    /// True when the ranges overlap or one starts where the other ends, so that their union is one range.
    public func touches(_ other: ByteRange) -> Bool {
        offset <= other.end && other.offset <= end
    }

    /// The smallest range that holds both.
    public func union(_ other: ByteRange) -> ByteRange {
        ByteRange(unchecked: min(offset, other.offset), max(end, other.end))
    }

    private init(unchecked offset: Int64, _ end: Int64) {
        self.offset = offset
        self.end = end
    }
}

extension ByteRange: CustomStringConvertible {
    /// `offset-end`, half-open, as the dialects write it.
    public var description: String { "\(offset)-\(end)" }
}
