public import Ledger
import Staging
public import Uploads

// What is swept away in time.

/// What a sweep removed, or would remove.
public struct SweepReport: Hashable, Sendable {
    /// Files of expired sessions.
    public var expired: [StoredFile] = []
    /// Expired files that are left alone, as bytes are on their way to them or their root is not there.
    public var inUse: [StoredFile] = []
    /// How many expired files, at least, stay for the next sweep, as too many have expired together.
    public var waiting = 0
    /// Staging files that belong to no session.
    public var orphans: [Leftover] = []
    /// Roots of which nothing is removed, as they are not used now.
    public var unavailable: [String: RootProblem] = [:]
}

extension Engine {
    /// How old a staging file that no session knows must be before it is swept away, in seconds: a request names its
    /// file a moment before the ledger hears of it.
    private static let orphanSecondsMin: Int64 = 600

    /// How many sessions are removed in one transaction: while it lasts, nobody else commits.
    private static let batchCount = 200

    /// How long a file that no request has published answers its client, in seconds: its mount is not known then, so it is
    /// as long as any dialect needs.
    public static let tombstoneSeconds: Int64 = 24 * 3600

    /// Finishes what was begun, and removes expired sessions with their bytes, and staging files that no session knows.
    ///
    /// - Parameters:
    ///   - isDryRun: only tells what would be removed.
    ///   - expiredMax: how many expired sessions are removed at most; the others stay for the next sweep. When many expire
    ///     together, it may be the clock that is wrong.
    public func sweep(isDryRun: Bool = false, expiredMax: Int = .max) throws(UploadError) -> SweepReport {
        var report = SweepReport()
        for (root, problem) in try unavailableRoots() { report.unavailable[root] = problem }
        if !isDryRun { try finishBegun(tombstoneSeconds: Self.tombstoneSeconds) }
        try sweepExpired(isDryRun, expiredMax, &report)
        if !isDryRun {
            while try ledger.removeTombstones(now: now(), countMax: Self.batchCount) == Self.batchCount {}
            try removeOldEvents()
            try ledger.removeReservations(before: now() - Reservation.formerSeconds)
        }
        // Names are listed before the ledger is asked, so that a file named in between counts as known.
        for root in try ledger.stagingNames().keys.sorted() where report.unavailable[root] == nil {
            do {
                let orphans = try orphans(in: root)
                if !isDryRun { discard(orphans) }
                report.orphans += orphans
            } catch .stagingUnavailable { continue }
        }
        return report
    }

    private func sweepExpired(
        _ isDryRun: Bool,
        _ expiredMax: Int,
        _ report: inout SweepReport
    ) throws(UploadError) {
        let now = now()
        var times: [String: Int64] = [:]
        var last: ExpiredSession?
        var rest = expiredMax
        while true {
            let sessions = try ledger.expiredSessions(now: now, after: last, countMax: Self.batchCount)
            guard let end = sessions.last else { return }
            last = end
            var removed: [ExpiredSession] = []
            for session in sessions {
                switch try rests(session, &times) {
                case true where rest > 0:
                    removed.append(session)
                    rest -= 1
                case true: report.waiting += session.files.count
                case false: report.inUse += session.files
                }
            }
            if !isDryRun { discard(try ledger.removeExpired(removed, now: now)) }
            report.expired += removed.flatMap(\.files)
            if rest == 0 { return }
        }
    }

    /// Whether the files of an expired session are as old as they seem, and nobody writes to them.
    ///
    /// - Parameter times: what the file systems of roots hold for the time, which may differ from this machine's.
    private func rests(_ session: ExpiredSession, _ times: inout [String: Int64]) throws(UploadError) -> Bool {
        for file in session.files {
            do throws(UploadError) {
                let area = try area(file.root)
                let time: Int64
                if let known = times[file.root] {
                    time = known
                } else {
                    time = try staged { () throws(StagingError) in try area.time() }
                    times[file.root] = time
                }
                if session.expiresAt > time { return false }
                if try isInUse(file.staging, in: area) { return false }
            } catch .stagingUnavailable {
                // Nothing is forgotten of a root that is not there.
                return false
            }
        }
        return true
    }

    /// Whether a request of any process is at work on the staging file of a name.
    func isInUse(_ name: String, in area: borrowing StagingArea) throws(UploadError) -> Bool {
        try staged { () throws(StagingError) in
            guard let staging = try StagingFile.open(name, in: area) else { return false }
            return try !staging.lockUnused()
        }
    }

    /// The staging files of a root that no session knows, that have not changed for a while, and that no request has.
    func orphans(in root: String) throws(UploadError) -> [Leftover] {
        let area = try area(root, isFresh: true)
        let time = now() - Self.orphanSecondsMin
        let names = try staged { () throws(StagingError) in try area.names(unchangedSince: time) }
        if names.isEmpty { return [] }
        let known = try ledger.stagingNames()[root] ?? []
        var inUse: [String: Bool] = [:]
        var orphans: [Leftover] = []
        for name in names.sorted() where !known.contains(name) {
            let owner = RestingFiles.nameInUse(for: name)
            if inUse[owner] == nil { inUse[owner] = try isInUse(owner, in: area) }
            if inUse[owner] == false { orphans.append(Leftover(root: root, staging: name)) }
        }
        return orphans
    }
}
