import Ledger
import Staging
public import Uploads

// What is found and finished after a crash, and what is swept away in time.

/// What a recovery found.
public struct RecoveryReport: Hashable, Sendable {
    /// Files that were whole but had no final name yet.
    public var published = 0
    /// Segments and parts whose bytes a power cut has taken.
    public var segmentsLost = 0
    /// Files whose staging file was gone.
    public var filesLost = 0
    /// Why whole files could not be published.
    public var unpublishable: [UploadError] = []
}

/// What a sweep removed.
public struct SweepReport: Hashable, Sendable {
    /// Staging files of expired sessions.
    public var expired = 0
    /// Staging files that belong to no session.
    public var orphans = 0
}

extension Engine {
    /// How old a staging file that no session knows must be before it is swept away, in seconds: a request names its
    /// file a moment before the ledger hears of it.
    private static let orphanSecondsMin: Int64 = 600

    /// Makes the ledger true again after a crash, and finishes what was whole.
    ///
    /// - Parameter boot: an identifier of the machine's run. When it is another than the last time, the machine may
    ///   have lost written bytes, and every committed segment is compared with its checksum.
    public func recover(boot: String, tombstoneSeconds: Int64) throws(UploadError) -> RecoveryReport {
        var report = RecoveryReport()
        if try ledger.verifiedBoot() != boot {
            for (file, segments, parts) in try ledger.unpublishedFiles() {
                try verify(file, segments, parts, &report)
            }
            try ledger.setVerifiedBoot(boot)
        }
        for file in try ledger.unpublishedWholeFiles() {
            do {
                _ = try publish(file, tombstoneSeconds: tombstoneSeconds)
                report.published += 1
            } catch .superseded {
                report.filesLost += 1
            } catch {
                // One file that can not be published now does not keep the others waiting; its client will ask again.
                report.unpublishable.append(error)
            }
        }
        return report
    }

    private func verify(
        _ file: StoredFile,
        _ segments: [CommittedSegment],
        _ parts: [StoredPart],
        _ report: inout RecoveryReport
    ) throws(UploadError) {
        let area = try area(file.root)
        guard let staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            try ledger.remove(file)
            report.filesLost += 1
            return
        }
        var lost: [CommittedSegment] = []
        for segment in segments {
            let checksum = try staged { () throws(StagingError) in try staging.checksum(of: segment.range) }
            if checksum != segment.checksum { lost.append(segment) }
        }
        var lostParts: [StoredPart] = []
        for part in parts {
            let checksum = try checksum(of: part, staging, in: area)
            if checksum != part.checksum { lostParts.append(part) }
        }
        if lost.isEmpty, lostParts.isEmpty { return }
        report.segmentsLost += lost.count + lostParts.count
        if !lost.isEmpty { try ledger.drop(lost, of: file) }
        if !lostParts.isEmpty { discard(try ledger.drop(lostParts, of: file)) }
        try staged { () throws(StagingError) in try staging.unseal() }
    }

    /// The checksum of a part's bytes as they are now; `nil` when they are not there.
    private func checksum(
        of part: StoredPart,
        _ staging: borrowing StagingFile,
        in area: borrowing StagingArea
    ) throws(UploadError) -> UInt64? {
        switch part.place {
        case .staging(let offset):
            guard let range = ByteRange(offset: offset, count: part.part.size) else { return nil }
            return try staged { () throws(StagingError) in try staging.checksum(of: range) }
        case .scratch(let name):
            guard let scratch = try staged({ () throws(StagingError) in try StagingFile.open(name, in: area) }) else {
                return nil
            }
            return try staged { () throws(StagingError) in try scratch.checksum(of: .first(part.part.size)) }
        }
    }

    /// Removes expired sessions with their bytes, and staging files that no session knows.
    public func sweep() throws(UploadError) -> SweepReport {
        var report = SweepReport()
        let leftovers = try ledger.removeExpired(now: now())
        discard(leftovers)
        report.expired = leftovers.count
        // Names are listed before the ledger is asked, so that a file named in between counts as known.
        // A root that the administrator has removed has nothing to sweep.
        for root in try ledger.stagingNames().keys {
            do { report.orphans += try removeOrphans(in: root) } catch .stagingUnavailable { continue }
        }
        return report
    }

    /// Removes the staging files of a root that no session knows.
    private func removeOrphans(in root: String) throws(UploadError) -> Int {
        let area = try area(root)
        let time = now() - Self.orphanSecondsMin
        let names = try staged { () throws(StagingError) in try area.names(unchangedSince: time) }
        if names.isEmpty { return 0 }
        let known = try ledger.stagingNames()[root] ?? []
        let orphans = names.filter { !known.contains($0) }
        for name in orphans {
            try staged { () throws(StagingError) in try area.remove(name) }
        }
        return orphans.count
    }

    /// Opens the staging file of an open file; `nil` when the file is to be looked up again, as it has moved on, is
    /// forgotten now because its staging file is lost, or has just been made writable again.
    func openForWriting(
        _ file: StoredFile,
        in area: borrowing StagingArea
    ) throws(UploadError) -> StagingFile? {
        guard let staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            try forgetIfLost(file, in: area)
            return nil
        }
        if try staged({ () throws(StagingError) in try staging.isSealed() }) {
            try reopen(file, staging)
            return nil
        }
        return staging
    }

    /// Lets a file take bytes again that was sealed by a completion which failed or died before the ledger knew of it.
    private func reopen(_ file: StoredFile, _ staging: consuming StagingFile) throws(UploadError) {
        var staging = staging
        try staged { () throws(StagingError) in try staging.lockExclusively() }
        // A completion that goes on has told the ledger before it let go of the lock.
        guard let (current, _) = try ledger.current(file) else { return }
        switch current.phase {
        case .reserved, .open: break
        case .publishing, .published, .cancelled: return
        }
        try staged { () throws(StagingError) in try staging.unseal() }
    }

    /// Forgets a file whose staging file is gone although the ledger says that it is being written.
    func forgetIfLost(_ file: StoredFile, in area: borrowing StagingArea) throws(UploadError) {
        guard let (current, _) = try ledger.current(file) else { return }
        switch current.phase {
        case .reserved, .open:
            if try !staged({ () throws(StagingError) in try area.holds(file.staging) }) { try ledger.remove(file) }
        case .publishing, .published, .cancelled: break
        }
    }
}
