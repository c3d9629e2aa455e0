public import Ledger
public import Metrics
import Staging
import Uploads

/// Puts bytes in their place and keeps the account of them: what a dialect asks for, done with Staging and Ledger.
///
/// 1. A range is committed only after the write that filled it returned and its length fitted.
/// 2. Bytes for a range that holds committed ones are written aside and copied in once they are complete, so a failed
///    repeat damages nothing.
/// 3. The final name appears in one step, after the file is synced; the ledger knows that name before the file bears
///    it, and the root is synced before the client hears of it.
/// 4. **Once a file has its name it is stored, and its client hears so.** What fails then (the sync of its folder, its
///    manifest, what the ledger is to note, a program's event) is logged, counted, and done later: by the next request for
///    the file, from the outbox, by a sweep, or by `recover`. Until the ledger knows that the file has its name, its row says
///    `publishing`, or its events wait: whoever finds that settles it.
/// 5. After that the session is a tombstone: it answers, it never writes.
/// 6. Of several files that are published together either all are allowed, whole and synced before the first gets its name,
///    or none gets one.
/// 7. Whatever a killed process leaves behind is invisible, or finished by `recover`.
public struct Engine: Sendable {
    let ledger: any Ledger
    /// The time in seconds since 1970.
    public let now: @Sendable () -> Int64
    let meters: Meters
    /// The programs that may be run; `nil` for any.
    let programs: Set<String>?
    /// What this process has found of its roots.
    let rootsInUse = Roots()
    let recentFiles = RecentFiles()
    let notice: @Sendable (Postponement) -> Void

    /// - Parameters:
    ///   - meters: counts the times of syncs, and what is postponed.
    ///   - programs: those that may be run, whatever a mount or an older ledger names; `nil` for any.
    ///   - notice: is told of what failed after a file had got its name, for the log.
    ///   - now: the time in seconds since 1970.
    public init(
        ledger: any Ledger,
        meters: Meters = Meters(),
        programs: Set<String>? = nil,
        notice: @escaping @Sendable (Postponement) -> Void = { _ in },
        now: @escaping @Sendable () -> Int64
    ) {
        self.programs = programs
        self.ledger = ledger
        self.meters = meters
        self.notice = notice
        self.now = now
    }

    /// A session's file as the ledger knows it now; `nil` when there is none.
    func file(_ key: FileKey) throws(UploadError) -> StoredFile? {
        try ledger.file(key.field, of: key.session, overlapping: .empty, now: now())?.file
    }

    /// Makes all written bytes of a file durable.
    func sync(_ file: borrowing StagingFile) throws(StagingError) {
        let start = ContinuousClock.now
        defer { meters.count(.sync, since: start) }
        try file.sync()
    }

    /// Removes staging files that nobody needs any more. One that can not be removed now is an orphan, and a later sweep
    /// takes it: what has been committed does not fail for it.
    func discard(_ leftovers: [Leftover]) {
        for leftover in leftovers {
            try? area(leftover.root).remove(leftover.staging)
        }
    }
}

/// Runs a staging operation, telling its error in the words of the rules.
func staged<Value: ~Copyable>(_ body: () throws(StagingError) -> Value) throws(UploadError) -> Value {
    do { return try body() } catch { throw error.uploadError }
}
