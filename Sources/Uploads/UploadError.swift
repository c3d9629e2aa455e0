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
    /// The staging area is missing or cannot be written.
    case stagingUnavailable(StorageFailure)
    /// The file system or the quota is full.
    case noSpace(StorageFailure)
    /// Reading or writing failed otherwise.
    case storage(StorageFailure)
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
