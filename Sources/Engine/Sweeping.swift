public import Ledger
import Staging
public import Uploads

// What is swept away in time.

/// What a sweep removed, or would remove.
public struct SweepReport: Hashable, Sendable {
    /// Files of expired sessions.
    public var expired: [StoredFile] = []
    /// Expired files that are left alone, as bytes are on their way to them.
    public var inUse: [StoredFile] = []
    /// Staging files that belong to no session.
    public var orphans: [Leftover] = []
    /// Roots of which nothing is removed, as they are not used now.
    public var unavailable: [String: RootProblem] = [:]
}

extension Engine {
    /// How old a staging file that no session knows must be before it is swept away, in seconds: a request names its
    /// file a moment before the ledger hears of it.
    private static let orphanSecondsMin: Int64 = 600

    /// Removes expired sessions with their bytes, and staging files that no session knows.
    ///
    /// - Parameter isDryRun: only tells what would be removed.
    public func sweep(isDryRun: Bool = false) throws(UploadError) -> SweepReport {
        var report = SweepReport()
        let now = now()
        for (root, problem) in try unavailableRoots() { report.unavailable[root] = problem }
        // What has expired in a root that is not there stays with its bytes, until both can go.
        var spared: Set<Int64> = []
        for file in try ledger.expiredFiles(now: now) {
            if report.unavailable[file.root] != nil {
                spared.insert(file.id)
            } else if try isInUse(file) {
                report.inUse.append(file)
            } else {
                report.expired.append(file)
            }
        }
        if !isDryRun {
            discard(try ledger.removeExpired(now: now, sparing: spared.union(report.inUse.map(\.id))))
            try removeOldEvents()
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

    /// Whether a request is writing to a file, or its root has gone just now.
    private func isInUse(_ file: StoredFile) throws(UploadError) -> Bool {
        do { return try isInUse(file.staging, in: area(file.root)) } catch .stagingUnavailable { return true }
    }

    /// Whether a request of any process is at work on the staging file of a name.
    func isInUse(_ name: String, in area: borrowing StagingArea) throws(UploadError) -> Bool {
        try staged { () throws(StagingError) in
            guard let staging = try StagingFile.open(name, in: area) else { return false }
            return try !staging.lockUnused()
        }
    }

    /// The staging files of a root that no session knows, and that have rested.
    func orphans(in root: String) throws(UploadError) -> [Leftover] {
        let area = try area(root, isFresh: true)
        let time = now() - Self.orphanSecondsMin
        let names = try staged { () throws(StagingError) in try area.names(unchangedSince: time) }
        if names.isEmpty { return [] }
        let known = try ledger.stagingNames()[root] ?? []
        return names.filter { !known.contains($0) }.sorted().map { Leftover(root: root, staging: $0) }
    }
}
