public import Uploads

/// What is committed, durably: the one account of sessions that all processes on a state directory share.
///
/// 1. Coverage of a file is the union of its segments and of what is known to be synced, and each segment was written
///    before it was committed.
/// 2. A file row names one staging file; whoever wrote to another one is told `superseded` and commits nothing.
/// 3. Times are seconds since 1970; a session whose `expiresAt` has passed, and a published file whose tombstone has
///    run out, are as if they had never been.
/// 4. Each call is one transaction: it happens as a whole or not at all. Made twice, as after a commit of which nobody
///    knows whether it was carried out, it has one effect.
/// 5. What a call changes of a file that it is given belongs to the row *and* the staging file: a row lives on with
///    another upload in it. So the file that is given may be out of date, and the call then changes nothing.
/// 6. A file that is about to be published is not removed: it has its name or gets it, and an event tells of it once.
///
/// Failures are `noSpace` when the ledger's disk is full, else `storage`.
public protocol Ledger: Sendable {
    /// The files and fields of a session; `nil` when there is none.
    func progress(of key: SessionKey, now: Int64) throws(UploadError) -> SessionProgress?

    /// The files of a session and the names of its fields; `nil` when there is none.
    func outline(of key: SessionKey, now: Int64) throws(UploadError) -> SessionOutline?

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

    /// The segments of a file that are not known to be on disk.
    func unsyncedSegments(of file: StoredFile) throws(UploadError) -> [CommittedSegment]

    /// Notes that segments are on disk, and forgets their checksums.
    func markSynced(_ segments: [CommittedSegment], of file: StoredFile) throws(UploadError)

    /// Puts a new file, with its first segment, in the place of the one that the session has under its field name.
    ///
    /// - Parameter known: the one that is meant; `nil` for any.
    /// - Throws: `superseded` when the session has another one by now.
    func replace(
        _ known: StoredFile?,
        with file: NewFile,
        _ segment: CommittedSegment,
        limits: CommitLimits
    ) throws(UploadError) -> (file: StoredFile, commit: Commit, leftovers: [Leftover])

    /// Makes an upload and stores its fields; of kind `ranges`, goes on with one of the same size that is open.
    ///
    /// - Throws: `pathTaken` when it would replace what another upload of the session has at its path, or is to have there.
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

    /// Notes, durably, that a file about to be published has its final name, and keeps the events that come of it.
    func finishPublishing(
        _ file: StoredFile,
        as name: String,
        tombstoneUntil: Int64,
        events: [NewEvent]
    ) throws(UploadError)

    /// Whose the file is, and what is to be done with it; `nil` when it was removed or restarted.
    func account(of file: StoredFile) throws(UploadError) -> FileAccount?

    /// The file as it is now; `nil` when it was removed or restarted.
    func current(_ file: StoredFile) throws(UploadError) -> (file: StoredFile, commit: Commit)?

    /// Stores data fields in a session that exists, in the place of all values that their names have; values of one name
    /// keep their order.
    ///
    /// - Throws: `fieldsTooLarge` or `tooManyFields`, and nothing is stored.
    func store(
        _ fields: [FormField],
        in key: SessionKey,
        limits: FieldLimits,
        expiresAt: Int64,
        now: Int64
    ) throws(UploadError)

    /// Stores, durably, a data field in a session that has none of its name, with others; else nothing.
    ///
    /// - Returns: the last value of the field's name then; `nil` when there is no such session.
    /// - Throws: `fieldsTooLarge` or `tooManyFields`, and nothing is stored.
    func claim(
        _ field: FormField,
        with others: [FormField],
        in key: SessionKey,
        limits: FieldLimits,
        expiresAt: Int64,
        now: Int64
    ) throws(UploadError) -> String?

    /// Removes a session.
    ///
    /// - Throws: `finished` when a file of it is about to be published.
    func remove(_ key: SessionKey) throws(UploadError) -> [Leftover]

    /// Forgets a file, because somebody wants it.
    ///
    /// - Throws: `finished` when it is about to be published.
    func remove(_ file: StoredFile) throws(UploadError) -> [Leftover]

    /// Forgets a file that takes bytes, as they are gone or not wanted; `nil` when it takes none any more.
    func forget(_ file: StoredFile) throws(UploadError) -> [Leftover]?

    /// Some sessions that have expired, those that did so first before the others.
    ///
    /// - Parameter last: the session behind which they follow; `nil` for the first ones.
    func expiredSessions(
        now: Int64,
        after last: ExpiredSession?,
        countMax: Int
    ) throws(UploadError) -> [ExpiredSession]

    /// Removes sessions that have expired, unless they live again or a file of them is about to be published.
    func removeExpired(_ sessions: [ExpiredSession], now: Int64) throws(UploadError) -> [Leftover]

    /// Removes some published and cancelled files that answer no longer; returns how many.
    func removeTombstones(now: Int64, countMax: Int) throws(UploadError) -> Int

    /// Files that are about to have their names, or have them already, as far as is known.
    func filesBeingPublished() throws(UploadError) -> [StoredFile]

    /// Files whose coverage is whole but that are not published; of those that have expired, whose clients were told that
    /// they are gone, only those that are about to be.
    func unpublishedWholeFiles(now: Int64) throws(UploadError) -> [StoredFile]

    /// Every file that is not about to be published.
    func unpublishedFiles() throws(UploadError) -> [StoredFile]

    /// The committed parts of a file, ascending.
    func parts(of file: StoredFile) throws(UploadError) -> [StoredPart]

    /// Takes segments out of the coverage of a file that takes bytes.
    func drop(_ lost: [CommittedSegment], of file: StoredFile) throws(UploadError)

    /// Forgets parts of a file that takes bytes, unless they have been sent again.
    func drop(_ lost: [StoredPart], of file: StoredFile) throws(UploadError) -> [Leftover]

    /// Forgets all parts of a file that takes bytes.
    func dropParts(of file: StoredFile) throws(UploadError) -> [Leftover]

    /// The roots that files were ever staged in, and the names of the staging files that belong to a session.
    func stagingNames() throws(UploadError) -> [String: Set<String>]

    /// The boot of the machine that the coverage was last found true in; `nil` for a new ledger.
    func verifiedBoot() throws(UploadError) -> String?

    /// Notes that the coverage is true in this boot.
    func setVerifiedBoot(_ boot: String) throws(UploadError)

    // MARK: Roots

    /// Which ledger this is.
    var identity: LedgerIdentity { get }

    /// The roots that files were ever staged in.
    func roots() throws(UploadError) -> [String]

    /// What is known of a root; `nil` when nothing was ever staged in it.
    func root(_ path: String) throws(UploadError) -> KnownRoot?

    /// The path of the root that has a mark; `nil` when none has it.
    func root(marked mark: String) throws(UploadError) -> String?

    /// Notes, durably, the mark of a root that has none; returns the one that it has then.
    func note(_ mark: String, of root: String) throws(UploadError) -> String?

    /// Notes, durably, a mark in the place of the one that a root has.
    func adopt(_ mark: String, of root: String) throws(UploadError)

    /// Notes, durably, whether what a crash left behind in a root has been dealt with.
    func setRecovered(_ isRecovered: Bool, root: String) throws(UploadError)

    // MARK: Quotas

    /// How many bytes a principal has left of so many.
    func bytesLeft(
        _ bytesMax: Int64,
        of principal: String,
        on mount: String,
        now: Int64
    ) throws(UploadError) -> Int64

    /// Refuses an upload for which its principal has no room, before its bytes come: what `replace` would refuse.
    func requireRoom(for file: NewFile) throws(UploadError)

    /// Sets bytes aside, durably, for files that belong to no session, all or none.
    ///
    /// - Throws: `quotaExceeded` when the principal has not so much left of `bytesMax`.
    func reserve(
        _ reservations: [Reservation],
        _ bytesMax: Int64,
        of principal: String,
        on mount: String,
        now: Int64
    ) throws(UploadError)

    /// Counts the file of a reservation, or gives the bytes back.
    func settle(_ reservation: Reservation, isPublished: Bool) throws(UploadError)

    /// The reservations that are not settled.
    func reservations() throws(UploadError) -> [Reservation]

    /// Forgets reservations of older versions that have counted no longer since a time in seconds since 1970.
    func removeReservations(before time: Int64) throws(UploadError)

    /// Sets what is counted of a principal's finished files.
    func setUsage(_ bytes: Int64, of principal: String, on mount: String) throws(UploadError)

    /// What is counted of all principals.
    func usage() throws(UploadError) -> [Usage]

    // MARK: Looking

    /// All uploads, the oldest first, with those that are finished as long as they answer.
    func uploads() throws(UploadError) -> [UploadSummary]

    /// The uploads that began last, the oldest of them first.
    func youngestUploads(_ countMax: Int) throws(UploadError) -> [UploadSummary]

    /// The upload of a number; `nil` when there is none.
    func upload(numbered id: Int64) throws(UploadError) -> UploadSummary?

    /// What is committed of a file that comes in ranges.
    func coverage(of file: StoredFile) throws(UploadError) -> [ByteRange]

    /// What all uploads come to.
    func totals() throws(UploadError) -> UploadTotals

    // MARK: Events

    /// Keeps, durably, the events of a file that is about to get its name and belongs to no session.
    func announce(_ events: [NewEvent], of file: AnnouncedFile) throws(UploadError)

    /// The files that were announced, and of which it is not known whether they have their names.
    func announcedFiles() throws(UploadError) -> [AnnouncedFile]

    /// Has the events of an announced file delivered, or forgets them as the file has not got this path.
    ///
    /// - Parameter done: the keys of events that need no delivery any more.
    func settleAnnounced(
        _ file: AnnouncedFile,
        isPublished: Bool,
        without done: Set<String>,
        now: Int64
    ) throws(UploadError)

    /// Keeps, durably, an event that is due.
    func keep(_ event: NewEvent) throws(UploadError)

    /// The event that has been due for longest, taken by this call for some time; `nil` when none is due.
    ///
    /// - Parameter leaseSeconds: after which it is due again, unless it is settled.
    func takeDueEvent(now: Int64, leaseSeconds: Int64) throws(UploadError) -> Event?

    /// Notes, durably, what became of an event that was taken, or when it is to be delivered; nothing when it has been taken
    /// or made due again since.
    func settle(_ event: Event, as state: Event.State, failure: String?) throws(UploadError)

    /// All events, oldest first.
    func events() throws(UploadError) -> [Event]

    /// Has an event delivered, or delivered again, from a time on; false when there is none of this number, or its file has
    /// no name yet.
    func makeEventDue(_ id: Int64, at time: Int64) throws(UploadError) -> Bool

    /// Removes an event; false when there is none of this number.
    func removeEvent(_ id: Int64) throws(UploadError) -> Bool

    /// Removes events that were delivered before a time in seconds since 1970.
    func removeDeliveredEvents(before time: Int64) throws(UploadError)
}
