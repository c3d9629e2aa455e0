/// What is true of one file of a session, from its first byte to its tombstone.
///
/// 1. `reserved`: a staging file exists and a request is writing to it; nothing is committed, and nobody is told.
/// 2. `open`: at least one segment, perhaps empty, is committed; coverage is never larger than the staging file.
/// 3. `publishing`: coverage is whole and synced; the file bears either its staging name or `name`, never both.
/// 4. `published`: the file bears its final name and is never written again: a tombstone.
/// 5. `cancelled`: its client has given the file up, and its bytes are gone: a tombstone, too.
///
/// An upload in parts begins as `open`, and every part that is committed can be read where the ledger says.
///
///     (none) --reserve--> reserved --commit--> open --commit--> open
///                            |                  |  \--seal--> publishing --rename--> published --expire--> (none)
///                            \-----expire-------+--expire--> (none)
///     open, published --replace (a restart, or a segment at 0 of another file)--> open
///     open --cancel--> cancelled --expire--> (none)
public enum FilePhase: Hashable, Sendable {
    /// Bytes may be on their way; none is committed.
    case reserved
    /// Segments are committed.
    case open
    /// The file is about to be, or has just been, renamed to `name`; `inode` tells which.
    case publishing(name: String, inode: UInt64)
    /// The file is published under `name`, a path below the root.
    case published(name: String)
    /// The file is given up.
    case cancelled
}

/// What is to become of a segment that a client announces, before its bytes are read.
public enum Admission: Hashable, Sendable {
    /// Its bytes belong to the file as it is.
    case write
    /// It starts another file, which takes the place of this one once the segment is committed.
    case replace
    /// The file is finished and has these bytes: say so, and let the bytes pass.
    case acknowledge
    /// The file must be published first; ask again afterwards.
    case finishPublishing
    /// It does not fit the file.
    case refuse(UploadError)
}

extension FilePhase {
    /// Decides on a segment for a file in this phase (docs/dialects/dcloud.md 1.4.3, 1.4.6).
    ///
    /// - Parameters:
    ///   - range: where the bytes belong.
    ///   - declared: what the segment says of its file.
    ///   - stored: what the file's first accepted segment said.
    public func admission(of range: ByteRange, declared: FileSpec, stored: FileSpec) -> Admission {
        let isSame = declared.isSameFile(as: stored)
        switch self {
        case .reserved:
            return isSame ? .write : .replace
        case .open:
            if isSame { return .write }
            return range.offset == 0 ? .replace : .refuse(.fileChanged)
        case .publishing:
            return .finishPublishing
        case .published:
            // Its client has not heard the answer, and sends the same file once more.
            if isSame { return .acknowledge }
            return range.offset == 0 ? .replace : .refuse(.fileChanged)
        case .cancelled:
            return .refuse(.cancelled)
        }
    }
}
