/// Where the bytes of a part of a request belong.
public enum Destination: Hashable, Sendable {
    /// In a range of a session's file; the part's length must fit the range (docs/dialects/dcloud.md 1.4.2).
    case segment(SessionKey, FileSpec, ByteRange)
    /// In a file of their own that is held until a command says what becomes of it.
    case whole(bytesMax: Int64, isHashed: Bool)
    /// In a numbered part of an upload, held until a command commits them.
    case part(PartDestination)
    /// Behind the committed bytes of a file, held until a command commits them.
    case append(AppendDestination)
}

/// A numbered part that is coming in.
public struct PartDestination: Hashable, Sendable {
    /// The upload.
    public let key: FileKey
    /// The number of the part, 0 ... `Part.numberMax`.
    public let number: Int
    /// The most bytes that the part may have.
    public let bytesMax: Int64
    /// How many bytes it probably has; helps to find its place.
    public let sizeHint: Int64?

    /// A numbered part of an upload.
    public init(_ key: FileKey, number: Int, bytesMax: Int64, sizeHint: Int64?) {
        self.key = key
        self.number = number
        self.bytesMax = bytesMax
        self.sizeHint = sizeHint
    }
}

/// Bytes that are to follow the committed ones.
public struct AppendDestination: Hashable, Sendable {
    /// The upload.
    public let key: FileKey
    /// The most bytes that may come.
    public let bytesMax: Int64

    /// Bytes at the end of a file.
    public init(_ key: FileKey, bytesMax: Int64) {
        self.key = key
        self.bytesMax = bytesMax
    }
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
    /// They are held; the digest is there when it was asked for.
    case held(HeldFile, count: Int64, digest: MD5Digest?)
}
