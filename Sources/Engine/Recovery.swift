import Ledger
import Staging
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
}

extension Engine {
    /// Makes the ledger true again after a crash, and finishes what was whole.
    ///
    /// - Parameter boot: an identifier of the machine's run. When it is another than the last time, the machine may
    ///   have lost written bytes, and every committed segment is compared with its checksum.
    public func recover(boot: String, tombstoneSeconds: Int64) throws(UploadError) -> RecoveryReport {
        var report = RecoveryReport()
        if try ledger.verifiedBoot() != boot {
            for file in try ledger.unpublishedFiles() { try verify(file, &report) }
            try ledger.setVerifiedBoot(boot)
        }
        try settleAnnouncedFiles()
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
        _ report: inout RecoveryReport
    ) throws(UploadError) {
        let area = try area(file.root)
        guard let staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            discard(try ledger.remove(file))
            report.filesLost += 1
            return
        }
        let (lost, lostParts) = try damage(of: file, staging, in: area)
        if lost.isEmpty, lostParts.isEmpty { return }
        report.segmentsLost += lost.count + lostParts.count
        if !lost.isEmpty { try ledger.drop(lost, of: file) }
        if !lostParts.isEmpty { discard(try ledger.drop(lostParts, of: file)) }
        try staged { () throws(StagingError) in try staging.unseal() }
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
        guard let staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            try forgetIfLost(file, in: area)
            return nil
        }
        if try staged({ () throws(StagingError) in try staging.isSealed() }) {
            try reopen(file, staging)
            return nil
        }
        try staged { () throws(StagingError) in try staging.markInUse() }
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
            if try !staged({ () throws(StagingError) in try area.holds(file.staging) }) {
                discard(try ledger.remove(file))
            }
        case .publishing, .published, .cancelled: break
        }
    }
}
