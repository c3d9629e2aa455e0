import Ledger
import Staging
import Uploads

// Which request may write where bytes belong, and when.
//
// 1. Bytes go in their place only where none are committed, and where no other request that is under way has claimed any
//    (`StagingFile.claim`). The claim comes first, then the look-up: who has had the claim until then has committed.
// 2. All others go aside, and over what is there once they are complete, under the exclusive lock.
// 3. Whose claimed bytes are written over by one of those sees that before it writes or commits, and goes aside, too. So
//    does who has claimed its bytes while one of those, which could not claim them itself, had not committed yet.

/// The staging file that a segment's bytes probably belong in, opened before anybody has looked that up.
struct ClaimedFile: ~Copyable {
    let name: String
    var staging: StagingFile
    /// Whether the bytes are this request's; else another request has claimed some of them.
    let isClaimed: Bool
}

extension Intake {
    /// Opens a staging file and claims bytes of it; `nil` when it is not there or takes no bytes.
    func claim(_ range: ByteRange, of place: StagingPlace) throws(UploadError) -> ClaimedFile? {
        let area = try engine.area(place.root)
        return try staged { () throws(StagingError) in
            guard var staging = try StagingFile.open(place.name, in: area), try staging.beginWatch() else { return nil }
            let isClaimed = try staging.claim(range)
            return ClaimedFile(name: place.name, staging: staging, isClaimed: isClaimed)
        }
    }

    /// Makes ready for a segment of a file that takes bytes; `nil` when it is to be looked up anew, as it has moved on, or
    /// as the segment has still to claim its bytes.
    func receive(
        _ segment: Segment,
        into file: StoredFile,
        _ claim: consuming ClaimedFile?,
        overlaps: Bool
    ) throws(UploadError) -> Reception? {
        let range = segment.range
        if let claim = claim.take(), claim.name == file.staging {
            let isClaimed = claim.isClaimed
            if isClaimed, !overlaps {
                return Reception(.inPlace(file), into: claim.staging, base: range.offset, countMax: range.count)
            }
            return try receiveAside(range, into: file, claim.staging, isClaimed: isClaimed)
        }
        // Nobody needs a claim to go aside. What could not be claimed may be lost, or may have to be made writable again.
        guard let staging = try engine.openUnsealed(file, in: engine.area(file.root)), overlaps else { return nil }
        return try receiveAside(range, into: file, staging, isClaimed: false)
    }

    private func receiveAside(
        _ range: ByteRange,
        into file: StoredFile,
        _ staging: consuming StagingFile,
        isClaimed: Bool
    ) throws(UploadError) -> Reception {
        do throws(StagingError) {
            if isClaimed { try staging.giveUpClaims() } else { try staging.markInUse() }
        } catch {
            throw error.uploadError
        }
        return Reception(.aside(file), into: try scratch(of: file), base: 0, countMax: range.count, marking: staging)
    }

    /// Sends bytes aside from now on when another request has written over the place that these have claimed; those that
    /// have come go with them if they are still there. Else their place is theirs until the next pause.
    func keepPlace(of reception: inout Reception) throws(UploadError) {
        guard try reception.isOvertaken(), case .inPlace(let file) = reception.purpose, try reception.regain() else {
            return
        }
        try reception.goOn(aside: scratch(of: file), of: file)
    }

    /// Sends bytes aside when the one behind their range, which makes that an inclusive one, has come and is committed
    /// already or claimed by another request.
    func keepPlaceOfExtra(of reception: inout Reception, _ segment: Segment) throws(UploadError) {
        guard case .inPlace(let file) = reception.purpose, reception.extra != nil,
            let range = ByteRange(offset: segment.range.end, count: 1)
        else { return }
        if try reception.claim(range) {
            let spec = segment.spec
            let found = try engine.ledger.file(spec.field, of: segment.key, overlapping: range, now: engine.now())
            if found?.overlaps != true { return }
        }
        try reception.goOn(aside: scratch(of: file), of: file)
    }

    /// Puts bytes over those that are there, and commits them.
    ///
    /// - Parameter offset: where they are in their own file.
    func commitOver(
        _ file: StoredFile,
        _ committed: CommittedSegment,
        from source: borrowing StagingFile,
        at offset: Int64
    ) throws(UploadError) -> Receipt {
        let range = committed.range
        guard let bytes = ByteRange(offset: offset, count: range.count) else { throw .superseded }
        let area = try engine.area(file.root)
        guard var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else { return try receiptForSealed(file) }
        let isDisputed: Bool
        do {
            // Until the commit nobody else commits or compares bytes of the file.
            isDisputed = try staging.lockOver(range)
        } catch .sealed {
            return try receiptForSealed(file)
        } catch {
            throw error.uploadError
        }
        // Should this process die before the commit, no checksum tells of bytes that are not there any more.
        try engine.syncSegments(of: file, under: range, staging)
        do { try staging.copy(bytes, of: source, to: range.offset) } catch { throw error.uploadError }
        try syncIfDurable(staging)
        let commit = try engine.ledger.commit(committed, to: file, limits: limits)
        if isDisputed { do { try staging.endOver() } catch { throw error.uploadError } }
        if commit.needsSync { try engine.syncSegments(of: file, staging) }
        return receipt(for: file, commit)
    }

    /// A file without a name in the root of another.
    private func scratch(of file: StoredFile) throws(UploadError) -> StagingFile {
        let area = try engine.area(file.root)
        return try staged { () throws(StagingError) in try StagingFile.anonymous(in: area) }
    }
}
