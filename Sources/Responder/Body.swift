/// The body of a request, in blocks.
public protocol Body: ~Copyable {
    /// Hands the next block to a function, which must not keep it; waits for it where need be.
    mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress
    /// Has later blocks have some KiB at most, however many bytes there are.
    mutating func readInSmallSteps()
    /// Leaves the body alone for a while, so that its client has to wait.
    mutating func rest(_ duration: Duration) -> RestEnding
    /// Whether the next block, or the end, is there or comes within some milliseconds.
    func hasMore(withinMilliseconds milliseconds: Int) -> Bool
}

/// How a rest ended.
public enum RestEnding: Hashable, Sendable {
    /// After its time; so many bytes of the body have come, read or not.
    case over(arrivedCount: Int64)
    /// Early: more rests are of no use, as the client is gone or the process is about to end.
    case early
}

/// What follows a block.
public enum BodyProgress: Hashable, Sendable {
    /// More, which is there already.
    case more
    /// Perhaps more, which is to be waited for.
    case later
    /// Nothing: the body is whole.
    case last
    /// Nothing: the client or the web server broke off.
    case cutOff
}

/// A body that is all at hand has no client that could be made to wait.
extension Body where Self: ~Copyable {
    public mutating func readInSmallSteps() {}

    public mutating func rest(_ duration: Duration) -> RestEnding { .early }

    public func hasMore(withinMilliseconds milliseconds: Int) -> Bool { true }
}
