import Ledger
import Staging
import Uploads

// Syncs, and what a failed sync means.

extension Engine {
    /// Syncs a file to which many segments have come, so that the ledger can forget them one by one.
    ///
    /// - Parameter range: what is about to be written over; nothing is done when no segment lies there.
    func syncSegments(
        of file: StoredFile,
        under range: ByteRange? = nil,
        _ staging: borrowing StagingFile
    ) throws(UploadError) {
        // Segments that are committed later are not among these, and keep their checksums.
        let segments = try ledger.unsyncedSegments(of: file)
        if let range, !segments.contains(where: { $0.range.overlaps(range) }) { return }
        do { try sync(staging) } catch {
            try ledger.drop(segments, of: file)
            throw error.uploadError
        }
        try ledger.markSynced(segments, of: file)
    }

    /// Forgets all bytes of a file that are not known to be on disk, after a sync has failed.
    ///
    /// The kernel reports a lost write once: a second sync would succeed, and what is read back until then proves
    /// nothing. So the bytes are asked for again.
    func dropUnsynced(of file: StoredFile) throws(UploadError) {
        switch file.kind {
        case .ranges: try ledger.drop(try ledger.unsyncedSegments(of: file), of: file)
        case .parts: discard(try ledger.dropParts(of: file))
        }
    }
}
