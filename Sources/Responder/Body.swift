/// The body of a request, in blocks.
public protocol Body: ~Copyable {
    /// Hands the next block to a function, which must not keep it; waits for it where need be.
    mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress
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
