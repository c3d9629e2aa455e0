/// Where the bytes of a part belong.
public enum Destination: Hashable, Sendable {
    /// In a range of a session's file; the part's length must fit the range (dialects.md 1.4.2).
    case segment(SessionKey, FileSpec, ByteRange)
    /// In a file of their own, of up to `bytesMax` bytes, that is held until a command says what becomes of it.
    case whole(bytesMax: Int64)
}

/// The number of a file that a request holds, in the order of its parts.
public struct HeldFile: Hashable, Sendable {
    /// The index, from 0.
    public let index: Int

    /// The held file of an index.
    public init(index: Int) { self.index = index }
}

/// What became of the bytes of a part.
public enum Receipt: Hashable, Sendable {
    /// They are committed, or were already.
    case committed(FileProgress, isWhole: Bool)
    /// They are held.
    case held(HeldFile, count: Int64)
}

/// What a dialect wants done once it knows the whole request.
public enum Command: Hashable, Sendable {
    /// Say how far a session is.
    case describe(SessionKey)
    /// Remove a session and its bytes.
    case cancel(SessionKey)
    /// Store data fields in a session, when there is one.
    case store([FormField], SessionKey)
    /// Publish a session's file if it is whole.
    case publish(SessionKey, field: String)
    /// Take a held file's bytes for the segment that starts at 0.
    case adopt(HeldFile, SessionKey, FileSpec)
    /// Publish a held file.
    case publishHeld(HeldFile, FileSpec)
}

/// What a command came to.
public enum Outcome: Hashable, Sendable {
    /// There is nothing to tell.
    case done
    /// A session's progress; `nil` when there is no such session.
    case described(SessionProgress?)
    /// The file has its final name.
    case published(PublishedFile)
    /// The bytes have their place.
    case received(Receipt)
}
