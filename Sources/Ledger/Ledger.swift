public import Uploads

/// What is committed, durably: the one account of sessions that all processes on a state directory share.
///
/// 1. Coverage of a file is the union of its segments, and each segment was written before it was committed.
/// 2. A file row names one staging file; whoever wrote to another one is told `superseded` and commits nothing.
/// 3. Times are seconds since 1970; a session whose `expiresAt` has passed, and a published file whose tombstone has
///    run out, are as if they had never been.
/// 4. Each call is one transaction: it happens as a whole or not at all.
///
/// Failures are `noSpace` when the ledger's disk is full, else `storage`.
public protocol Ledger: Sendable {
    /// The files and fields of a session; `nil` when there is none.
    func progress(of key: SessionKey, now: Int64) throws(UploadError) -> SessionProgress?

    /// The file of a session under a field name, and whether bytes of `range` are committed in it.
    func file(
        _ field: String,
        of key: SessionKey,
        overlapping range: ByteRange,
        now: Int64
    ) throws(UploadError) -> (file: StoredFile, overlaps: Bool)?

    /// Makes a file without committed bytes, or returns the one that another request made first.
    ///
    /// A file of another size or name that has no committed segment makes way.
    func reserve(_ file: NewFile) throws(UploadError) -> (file: StoredFile, leftovers: [Leftover])

    /// Adds a segment to a file's coverage.
    func commit(_ segment: CommittedSegment, to file: StoredFile, limits: CommitLimits) throws(UploadError) -> Commit

    /// Puts a new file, with its first segment, in the place of the one that the session has under its field name.
    func replace(
        with file: NewFile,
        _ segment: CommittedSegment,
        limits: CommitLimits
    ) throws(UploadError) -> (file: StoredFile, commit: Commit, leftovers: [Leftover])

    /// Makes an upload and stores its fields; of kind `ranges`, goes on with one of the same size that is open.
    func open(_ file: NewFile, _ upload: NewUpload) throws(UploadError) -> (file: StoredFile, leftovers: [Leftover])

    /// The file of a key with its progress, and the parts of an upload in parts, ascending.
    func upload(_ key: FileKey, now: Int64) throws(UploadError) -> StoredUpload?

    /// Gives an upload in parts its layout, unless it has got one meanwhile; returns what it has.
    func learn(_ layout: PartLayout, for file: StoredFile) throws(UploadError) -> PartLayout

    /// Whether the slot of a part holds committed bytes.
    func hasPartInPlace(_ number: Int, of file: StoredFile) throws(UploadError) -> Bool

    /// Puts a part in the place of one with its number, or adds it.
    ///
    /// - Parameter limits: the largest sum of all parts is its `fileBytesMax`.
    func commit(_ part: StoredPart, to file: StoredFile, limits: CommitLimits) throws(UploadError) -> [Leftover]

    /// Gives up a file; its row stays as a tombstone.
    func cancel(_ file: StoredFile, tombstoneUntil: Int64) throws(UploadError) -> [Leftover]

    /// A number that was never issued before, durably: 1, 2, 3 and so on.
    func issueNumber() throws(UploadError) -> Int64

    /// Notes, durably, that a whole and synced file is about to be renamed.
    ///
    /// - Parameter assembly: what the file is now made of, for an upload in parts.
    func beginPublishing(
        _ file: StoredFile,
        as name: String,
        inode: UInt64,
        assembly: Assembly?
    ) throws(UploadError) -> (file: StoredFile, leftovers: [Leftover])

    /// Notes that the file has its final name.
    func finishPublishing(_ file: StoredFile, as name: String, tombstoneUntil: Int64) throws(UploadError)

    /// The file as it is now; `nil` when it was removed or restarted.
    func current(_ file: StoredFile) throws(UploadError) -> (file: StoredFile, commit: Commit)?

    /// Stores data fields in a session that exists; the last value of a name wins.
    func store(_ fields: [FormField], in key: SessionKey, expiresAt: Int64, now: Int64) throws(UploadError)

    /// Removes a session.
    func remove(_ key: SessionKey) throws(UploadError) -> [Leftover]

    /// Forgets a file whose bytes are not to be trusted.
    func remove(_ file: StoredFile) throws(UploadError)

    /// Removes what has expired.
    func removeExpired(now: Int64) throws(UploadError) -> [Leftover]

    /// Files whose coverage is whole but that are not published.
    func unpublishedWholeFiles() throws(UploadError) -> [StoredFile]

    /// Every unpublished file with the segments that its coverage consists of, and its parts.
    func unpublishedFiles() throws(UploadError)
        -> [(file: StoredFile, segments: [CommittedSegment], parts: [StoredPart])]

    /// Reduces a file's coverage to the segments that are not among `lost`.
    func drop(_ lost: [CommittedSegment], of file: StoredFile) throws(UploadError)

    /// Forgets parts of a file.
    func drop(_ lost: [StoredPart], of file: StoredFile) throws(UploadError) -> [Leftover]

    /// The roots that files were ever staged in, and the names of the staging files that belong to a session.
    func stagingNames() throws(UploadError) -> [String: Set<String>]

    /// The boot of the machine that the coverage was last found true in; `nil` for a new ledger.
    func verifiedBoot() throws(UploadError) -> String?

    /// Notes that the coverage is true in this boot.
    func setVerifiedBoot(_ boot: String) throws(UploadError)
}

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
    let total: Int64
    let staging: String
    let parts: [StoredPart]

    /// - Parameters:
    ///   - total: the size of the file in bytes.
    ///   - staging: the staging file that holds it.
    ///   - parts: the parts, ascending, each with its place in that file.
    public init(total: Int64, staging: String, parts: [StoredPart]) {
        self.total = total
        self.staging = staging
        self.parts = parts
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

    /// - Parameters:
    ///   - expiresAt: when its session expires, in seconds since 1970.
    ///   - now: the time of the request, in seconds since 1970.
    public init(key: SessionKey, spec: FileSpec, root: String, staging: String, expiresAt: Int64, now: Int64) {
        self.key = key
        self.spec = spec
        self.root = root
        self.staging = staging
        self.expiresAt = expiresAt
        self.now = now
    }
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
    let disjointRangesMax: Int
    let fileBytesMax: Int64
    let expiresAt: Int64
    let isDurable: Bool

    /// - Parameters:
    ///   - disjointRangesMax: into how many ranges a file may fall.
    ///   - fileBytesMax: how large a file in parts may become, in bytes.
    ///   - expiresAt: when the session expires from now on, in seconds since 1970.
    ///   - isDurable: whether the commit is on disk when the call returns.
    public init(disjointRangesMax: Int, fileBytesMax: Int64, expiresAt: Int64, isDurable: Bool) {
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
