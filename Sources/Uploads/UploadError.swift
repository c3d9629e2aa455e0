/// Why bytes were not stored. Each case carries what an answer needs; every dialect maps them to its own codes.
public enum UploadError: Error, Hashable, Sendable {
    /// The file, or the part, has more than `maxBytes` bytes.
    case tooLarge(maxBytes: Int64)
    /// The part's length does not fit the range it declares, both in bytes.
    case lengthMismatch(declared: Int64, received: Int64)
    /// The part has more bytes than its range declares, in bytes.
    case longerThanDeclared(declared: Int64)
    /// The total or the file name is not the one that the upload began with.
    case fileChanged
    /// The segment was overtaken: its file was restarted, cancelled or expired while the bytes came in.
    case superseded
    /// The file would fall into more than `max` disjoint ranges.
    case tooManyRanges(max: Int)
    /// More than `max` files of one name stand in the root.
    case namesExhausted(max: Int)
    /// There is no such upload, or it is not this principal's.
    case unknownUpload
    /// The upload is complete: it takes no bytes, and no other completion.
    case finished
    /// The upload has been given up.
    case cancelled
    /// The bytes of a part do not have the MD5 that their client sent with them.
    case digestMismatch
    /// A part is listed that is not there, or has another MD5.
    case partMismatch(number: Int)
    /// A part that is not the last one listed has less than `minBytes` bytes.
    case partTooSmall(number: Int, minBytes: Int64)
    /// The upload has no part of this number.
    case noSuchPart(number: Int)
    /// The bytes do not start where the committed ones end, at `committed`, or another request is writing there.
    case offsetMismatch(committed: Int64)
    /// The bytes reach beyond the size of the file.
    case beyondTotal(total: Int64)
    /// A component of the path is a file or a symbolic link, or the path is a folder.
    case pathBlocked
    /// Another upload of the session is to have the path.
    case pathTaken
    /// A folder could not be made.
    case folderNotMade(StorageFailure)
    /// The staging area is missing or cannot be written.
    case stagingUnavailable(StorageFailure)
    /// The principal has `max` uploads open, and may have no more.
    case tooManyUploads(max: Int)
    /// The principal's uploads would have more than `maxBytes` bytes together.
    case quotaExceeded(maxBytes: Int64)
    /// The principal has `max` requests under way, and may have no more at the same time.
    case tooManyRequests(max: Int)
    /// Another request has had the upload for so long that this one gave up waiting.
    case uploadBusy
    /// So many requests are under way that there was no worker for this one in time.
    case overloaded
    /// What the web server passes on of the request cannot be understood.
    case unclear(message: String)
    /// The names and values of the upload's data fields would have more than `bytesMax` bytes.
    case fieldsTooLarge(bytesMax: Int)
    /// The upload would have more than `max` values of data fields.
    case tooManyFields(max: Int)
    /// The site's own program does not want the file.
    case refused(message: String)
    /// The file system or the quota is full.
    case noSpace(StorageFailure)
    /// Reading or writing failed otherwise.
    case storage(StorageFailure)
}

extension UploadError {
    /// What to say of fields beyond a limit: which one it is, and how it is called.
    package static func words(forFieldBytes bytesMax: Int) -> String {
        "all fields of an upload may have at most \(bytesMax) bytes together (FERMATA_MAX_FIELDS)"
    }

    /// The same of their number.
    package static func words(forFields max: Int) -> String {
        "an upload may have at most \(max) values of fields (FERMATA_MAX_PARTS_IN_FORM)"
    }
}

/// A failed system or ledger call, with the operation it belonged to: for the log, never for the client.
public struct StorageFailure: Hashable, Sendable, CustomStringConvertible {
    /// What was being done, such as `write segment`.
    public let operation: String
    /// What the system said, such as `ENOSPC: No space left on device`.
    public let reason: String

    /// A failure of `operation`.
    public init(operation: String, reason: String) {
        self.operation = operation
        self.reason = reason
    }

    /// `operation: reason`.
    public var description: String { "\(operation): \(reason)" }
}
