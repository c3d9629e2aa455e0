import Glibc
import Ledger
import Staging
import Threading
public import Uploads

// What is found and finished after a crash.

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
    /// Roots that are not used now, and why; they are recovered when they come back.
    public var unavailable: [String: RootProblem] = [:]
}

extension Engine {
    /// Makes the ledger true again after a crash, and finishes what was whole.
    ///
    /// - Parameter boot: an identifier of the machine's run. When it is another than the last time, the machine may
    ///   have lost written bytes, and every committed segment is compared with its checksum.
    public func recover(boot: String, tombstoneSeconds: Int64) throws(UploadError) -> RecoveryReport {
        var report = RecoveryReport()
        rootsInUse.tombstoneSeconds.withLock { $0 = tombstoneSeconds }
        let isVerified = try ledger.verifiedBoot() == boot
        for root in try ledger.roots() {
            do throws(UploadError) {
                let area = try area(root, isFresh: true)
                try recover(root, in: area, isVerified: isVerified, tombstoneSeconds, &report)
            } catch .stagingUnavailable(let failure) {
                report.unavailable[root] = try problem(of: root) ?? .notOpened(reason: failure.reason)
                // Before the boot is noted: what is not looked at now is when the root comes back.
                try ledger.setRecovered(false, root: root)
            }
        }
        if !isVerified { try ledger.setVerifiedBoot(boot) }
        return report
    }

    /// Recovers a root that no recovery could reach, now that it is back; false when it has still to be, as to a command,
    /// which leaves that to serve, and to the recovery itself.
    func recoverReturned(_ root: String, _ area: borrowing StagingArea) throws(UploadError) -> Bool {
        guard let tombstoneSeconds = rootsInUse.tombstoneSeconds.withLock({ $0 }) else { return false }
        if let thread = rootsInUse.beginRecovery(of: root) {
            guard thread == pthread_self() else { throw RootProblem.recovering.error(of: root) }
            return false
        }
        defer { rootsInUse.endRecovery(of: root) }
        var report = RecoveryReport()
        try recover(root, in: area, isVerified: false, tombstoneSeconds, &report)
        try ledger.setRecovered(true, root: root)
        return true
    }

    private func recover(
        _ root: String,
        in area: borrowing StagingArea,
        isVerified: Bool,
        _ tombstoneSeconds: Int64,
        _ report: inout RecoveryReport
    ) throws(UploadError) {
        if !isVerified {
            for file in try ledger.unpublishedFiles() where file.root == root {
                // Another process is completing one that is busy, and has recovered before it began to serve.
                do { try verify(file, in: area, &report) } catch .uploadBusy { continue }
            }
        }
        try settleAnnouncedFiles(of: root)
        try settleReservations(of: root)
        for file in try ledger.unpublishedWholeFiles(now: now()) where file.root == root {
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
    }

    private func verify(
        _ file: StoredFile,
        in area: borrowing StagingArea,
        _ report: inout RecoveryReport
    ) throws(UploadError) {
        guard var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            if let leftovers = try ledger.forget(file) {
                discard(leftovers)
                report.filesLost += 1
            }
            return
        }
        // Another process may serve already: nobody writes, publishes or restarts while the bytes are compared with what
        // the ledger says now.
        try staged { () throws(StagingError) in try staging.lockExclusively() }
        guard let (file, _) = try ledger.current(file), file.isUndecided else { return }
        let (lost, lostParts) = try damage(of: file, staging, in: area)
        if lost.isEmpty, lostParts.isEmpty { return }
        report.segmentsLost += lost.count + lostParts.count
        if !lost.isEmpty { try ledger.drop(lost, of: file) }
        if !lostParts.isEmpty { discard(try ledger.drop(lostParts, of: file)) }
        try makeWritable(staging, of: file)
    }

    /// The segments and parts of a file whose bytes are not those that were committed.
    func damage(
        of file: StoredFile,
        _ staging: borrowing StagingFile,
        in area: borrowing StagingArea
    ) throws(UploadError) -> (segments: [CommittedSegment], parts: [StoredPart]) {
        var segments: [CommittedSegment] = []
        for segment in try ledger.unsyncedSegments(of: file) {
            let checksum = try staged { () throws(StagingError) in try staging.checksum(of: segment.range) }
            if checksum != segment.checksum { segments.append(segment) }
        }
        var parts: [StoredPart] = []
        for part in try ledger.parts(of: file) {
            let checksum = try checksum(of: part, staging, in: area)
            if checksum != part.checksum { parts.append(part) }
        }
        if !parts.isEmpty {
            // The lock of the staging file keeps nobody from sending a part again that lies in a file of its own.
            let current = try ledger.parts(of: file)
            parts.removeAll { !current.contains($0) }
        }
        return (segments, parts)
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

    /// Opens the staging file of an open file; `nil` when the file is to be looked up again, as it has moved on, is
    /// forgotten now because its staging file is lost, or has just been made writable again.
    func openForWriting(
        _ file: StoredFile,
        in area: borrowing StagingArea
    ) throws(UploadError) -> StagingFile? {
        guard var staging = try openUnsealed(file, in: area) else { return nil }
        staging.endWatch()
        try staged { () throws(StagingError) in try staging.markInUse() }
        return staging
    }

    /// As `openForWriting`, without a mark that the file is in use. Writes will be refused when another request has written
    /// over claimed bytes since.
    func openUnsealed(_ file: StoredFile, in area: borrowing StagingArea) throws(UploadError) -> StagingFile? {
        guard var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            try forgetIfLost(file, in: area)
            return nil
        }
        guard try staged({ () throws(StagingError) in try staging.beginWatch() }) else {
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
        try makeWritable(staging, of: file)
    }

    /// Forgets a file whose staging file is gone although the ledger says that it is being written.
    func forgetIfLost(_ file: StoredFile, in area: borrowing StagingArea) throws(UploadError) {
        // The ledger knows of a name before the staging file loses its own: what takes bytes then is lost indeed.
        if try !staged({ () throws(StagingError) in try area.holds(file.staging) }) {
            discard(try ledger.forget(file) ?? [])
        }
    }
}
