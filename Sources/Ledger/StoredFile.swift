public import Uploads

/// A file as the ledger has it.
public struct StoredFile: Hashable, Sendable {
    /// The ledger's own number of the file.
    public let id: Int64
    /// What its first accepted segment declared.
    public let spec: FileSpec
    /// The root that it is staged in and will appear in.
    public let root: String
    /// The name of its staging file.
    public let staging: String
    /// Where it is on its way.
    public let phase: FilePhase
    /// How its bytes come.
    public let kind: NewUpload.Kind

    /// The same file with another staging file.
    public func with(staging: String) -> StoredFile {
        StoredFile(id: id, spec: spec, root: root, staging: staging, phase: phase, kind: kind)
    }

    /// The same file, published.
    public func published(as file: PublishedFile) -> StoredFile {
        StoredFile(id: id, spec: spec, root: root, staging: staging, phase: .published(name: file.path), kind: kind)
    }
}

/// Which ledger it is that has marked a root.
public struct LedgerIdentity: Hashable, Sendable {
    /// 32 hexadecimal digits that no other ledger has.
    public let id: String
    /// Its state directory, for people.
    public let state: String
}

/// What a ledger knows of a root.
public struct KnownRoot: Hashable, Sendable {
    /// The number in its mark; `nil` when it was used by a version without marks only.
    public let mark: String?
    /// False when it could not be reached by a recovery.
    public let isRecovered: Bool
}

/// A file with all that is committed of it.
public struct StoredUpload: Sendable {
    /// The file.
    public let file: StoredFile
    /// How far it is, when it comes in ranges.
    public let commit: Commit
    /// The committed parts, ascending, when it comes in parts.
    public let parts: [StoredPart]
}

/// A committed part and where its bytes are.
public struct StoredPart: Hashable, Sendable {
    /// Its number, size and digest.
    public let part: Part
    /// The XXH3-64 of its bytes.
    public let checksum: UInt64
    /// Where its bytes are.
    public let place: Place

    /// Where the bytes of a part are.
    public enum Place: Hashable, Sendable {
        /// In the staging file, from `offset` on.
        case staging(offset: Int64)
        /// In a scratch file of this staging name.
        case scratch(String)
    }

    /// A committed part.
    public init(_ part: Part, checksum: UInt64, place: Place) {
        self.part = part
        self.checksum = checksum
        self.place = place
    }
}

/// What a file was made of at its completion.
public struct Assembly: Hashable, Sendable {
    /// The size of the file in bytes.
    public let total: Int64
    /// The name of the staging file that holds it.
    public let staging: String
    let parts: [StoredPart]
    let known: [StoredPart]

    /// - Parameters:
    ///   - total: the size of the file in bytes.
    ///   - staging: the staging file that holds it.
    ///   - parts: the parts, ascending, each with its place in that file.
    ///   - known: the committed parts, ascending, that these were chosen from; one that has come since must not get lost.
    public init(total: Int64, staging: String, parts: [StoredPart], choosing known: [StoredPart]) {
        self.total = total
        self.staging = staging
        self.parts = parts
        self.known = known
    }
}

/// A file that is to be made.
public struct NewFile: Hashable, Sendable {
    let key: SessionKey
    let spec: FileSpec
    let root: String
    /// The name of its staging file.
    public let staging: String
    let expiresAt: Int64
    let now: Int64
    let dialect: String
    let handOff: HandOff
    let limits: PrincipalLimits

    /// - Parameters:
    ///   - expiresAt: when its session expires, in seconds since 1970.
    ///   - now: the time of the request, in seconds since 1970.
    ///   - dialect: the protocol that it is uploaded in.
    ///   - handOff: what is to be done with it once it is whole.
    ///   - limits: what its principal may have.
    public init(
        key: SessionKey,
        spec: FileSpec,
        root: String,
        staging: String,
        expiresAt: Int64,
        now: Int64,
        dialect: String = "",
        handOff: HandOff = HandOff(),
        limits: PrincipalLimits = PrincipalLimits()
    ) {
        self.key = key
        self.limits = limits
        self.dialect = dialect
        self.handOff = handOff
        self.spec = spec
        self.root = root
        self.staging = staging
        self.expiresAt = expiresAt
        self.now = now
    }
}

/// An upload, for those who look at all of them.
public struct UploadSummary: Hashable, Sendable {
    /// The file.
    public let file: StoredFile
    /// Its session.
    public let session: SessionKey
    /// The protocol that it is uploaded in.
    public let dialect: String
    /// When it began, in seconds since 1970.
    public let createdAt: Int64
    /// When its session expires, in seconds since 1970.
    public let expiresAt: Int64
    /// How many of its bytes are committed.
    public let committedBytes: Int64
}

/// A session that has expired.
public struct ExpiredSession: Hashable, Sendable {
    let id: Int64
    /// When it expired, in seconds since 1970.
    public let expiresAt: Int64
    /// Its files that take bytes.
    public let files: [StoredFile]
}

/// Bytes of a principal's quota that a request sets aside, for a file that is about to get its name: as long as the file
/// bears its staging name, it has not got it.
public struct Reservation: Hashable, Sendable {
    /// For how long one of an older version counts, which does not tell of its file, in seconds.
    public static let formerSeconds: Int64 = 3600

    /// The root that the file is staged in.
    public let root: String
    /// The staging name of the file.
    public let staging: String
    let bytes: Int64

    /// - Parameter bytes: the size of the file.
    public init(root: String, staging: String, bytes: Int64) {
        self.root = root
        self.staging = staging
        self.bytes = bytes
    }
}

/// How many bytes the finished files of a principal have had.
public struct Usage: Hashable, Sendable {
    /// The mount that they came through.
    public let mount: String
    /// Who uploaded them.
    public let principal: String
    /// Their sizes together.
    public let bytes: Int64
}

/// What all uploads come to.
public struct UploadTotals: Hashable, Sendable {
    /// How many take bytes.
    public let openUploads: Int
    /// How many bytes these are to have, as far as it is known.
    public let declaredBytes: Int64
    /// How many events are to be delivered.
    public let dueEvents: Int
}

/// A range that has been written, and the XXH3-64 of its bytes.
public struct CommittedSegment: Hashable, Sendable {
    /// Where the bytes are.
    public let range: ByteRange
    /// The checksum that tells, after a power cut, whether they reached the disk.
    public let checksum: UInt64

    /// A written segment.
    public init(range: ByteRange, checksum: UInt64) {
        self.range = range
        self.checksum = checksum
    }
}

/// The terms of a commit.
public struct CommitLimits: Hashable, Sendable {
    /// After how many segments a file should be synced, so that the ledger stays small whatever its size: 100 MiB at
    /// the 100 KiB of a usual segment.
    public static let unsyncedSegmentsMax = 1024
    /// After how many segments, or new ranges, all those of a file are counted.
    static let unsyncedSegmentsStep = 64

    let disjointRangesMax: Int
    let fileBytesMax: Int64
    let expiresAt: Int64
    let isDurable: Bool
    let quotaBytesMax: Int64?
    let now: Int64

    /// - Parameters:
    ///   - disjointRangesMax: into how many ranges a file may fall.
    ///   - fileBytesMax: how large a file in parts may become, in bytes.
    ///   - expiresAt: when the session expires from now on, in seconds since 1970.
    ///   - isDurable: whether the commit is on disk when the call returns; its bytes must be already.
    ///   - quotaBytesMax: how many bytes a principal may have; `nil` for any number.
    ///   - now: the time of the request, in seconds since 1970; for a quota.
    public init(
        disjointRangesMax: Int,
        fileBytesMax: Int64,
        expiresAt: Int64,
        isDurable: Bool,
        quotaBytesMax: Int64? = nil,
        now: Int64 = 0
    ) {
        self.quotaBytesMax = quotaBytesMax
        self.now = now
        self.disjointRangesMax = disjointRangesMax
        self.fileBytesMax = fileBytesMax
        self.expiresAt = expiresAt
        self.isDurable = isDurable
    }
}

/// How far a file is after a commit.
public struct Commit: Hashable, Sendable {
    /// The contiguous prefix in bytes.
    public let prefix: Int64
    /// True when every byte is committed.
    public let isWhole: Bool
    /// True when so many segments have come that they should be synced, and then be forgotten.
    public let needsSync: Bool

    init(prefix: Int64, isWhole: Bool, needsSync: Bool = false) {
        self.prefix = prefix
        self.isWhole = isWhole
        self.needsSync = needsSync
    }
}

/// A staging file that no session needs any more.
public struct Leftover: Hashable, Sendable {
    /// The root that it is staged in.
    public let root: String
    /// Its name in the staging folder.
    public let staging: String

    /// A staging file of a root.
    public init(root: String, staging: String) {
        self.root = root
        self.staging = staging
    }
}
