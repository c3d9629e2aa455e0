/// What the web server configured for one location (design.md 4).
public struct Mount: Hashable, Sendable {
    /// The name of the mount in the ledger and in logs.
    public var name: String
    /// Who is uploading; empty when the web server says nothing.
    public var principal: String
    /// The directory in which finished files appear, an absolute path.
    public var root: String
    /// The largest file in bytes.
    public var fileBytesMax: Int64
    /// The largest single part in bytes.
    public var partBytesMax: Int64
    /// Allowed file name extensions (without dot) and media types, lower case; empty allows all.
    public var types: Set<String>
    /// How long a session lives without a byte, in seconds.
    public var idleSeconds: Int64
    /// How long a published file stays in its session, in seconds; 0 forgets it at once.
    public var tombstoneSeconds: Int64
    /// The largest number of disjoint ranges in one file.
    public var disjointRangesMax: Int
    /// When an acknowledged segment is on disk.
    public var durability: Durability
    /// Whether clients may resume; when not, they are told to upload plainly.
    public var allowsResume: Bool
    /// Whether clients may cancel a session.
    public var allowsCancel: Bool
    /// What published paths are prefixed with in answers; empty leaves them relative.
    public var publicURL: String
    /// The media type of answers; hidden-iframe clients need `text/html` (dialects.md 0.2).
    public var answerType: String

    /// A mount with the defaults of design.md 4.
    public init(name: String, principal: String = "", root: String) {
        self.name = name
        self.principal = principal
        self.root = root
        fileBytesMax = Self.defaultFileBytesMax
        partBytesMax = Self.defaultFileBytesMax
        types = []
        idleSeconds = 24 * 3600
        tombstoneSeconds = 15 * 60
        disjointRangesMax = Self.defaultDisjointRangesMax
        durability = .publish
        allowsResume = true
        allowsCancel = false
        publicURL = ""
        answerType = "application/json; charset=utf-8"
    }

    /// 1 TiB.
    public static let defaultFileBytesMax: Int64 = 1 << 40
    /// Enough for 4 GiB in segments of 100 KiB that come in any order: a random order leaves a quarter as many ranges
    /// as segments at its worst. dialects.md 1.4.3 says 1024, which a shuffled 1 GiB upload exceeds.
    public static let defaultDisjointRangesMax = 16_384

    /// Whether a file of this name and media type may be stored.
    public func allows(fileName: String, mediaType: String) -> Bool {
        if types.isEmpty { return true }
        let essence = mediaType.prefix { $0 != ";" && $0 != " " }.lowercased()
        if types.contains(essence) { return true }
        guard let dot = fileName.lastIndex(of: ".") else { return false }
        return types.contains(fileName[fileName.index(after: dot)...].lowercased())
    }
}

/// When an acknowledged segment is on disk (design.md 6).
public enum Durability: String, Hashable, Sendable {
    /// Synced when the file is published; until then a checksum says which bytes a power cut has spared.
    case publish
    /// Synced, bytes and ledger, before each acknowledgement.
    case segment
}
