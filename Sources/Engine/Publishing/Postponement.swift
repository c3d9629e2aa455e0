import Metrics
import Uploads

/// Something that failed after a file had got its name. Its client has heard of a success all the same.
public struct Postponement: Hashable, Sendable {
    /// What was being done, such as `write manifest`.
    public let operation: String
    /// The file, an absolute path.
    public let path: String
    /// Why it failed.
    public let reason: String
    /// What becomes of it.
    public let fate: Fate

    /// What becomes of something that failed.
    public enum Fate: String, CaseIterable, Hashable, Sendable {
        /// It is done by the next request for the file, by a sweep, from the outbox, or at the next start.
        case later
        /// It can never be done, and is left undone.
        case givenUp
    }
}

extension Engine {
    /// Logs and counts what failed after a file had got its name.
    func postpone(
        _ operation: String,
        of path: String,
        in root: String,
        _ reason: String,
        fate: Postponement.Fate = .later
    ) {
        meters.countPostponement(isGivenUp: fate == .givenUp)
        notice(Postponement(operation: operation, path: "\(root)/\(path)", reason: reason, fate: fate))
    }
}

extension UploadError {
    /// What failed, in words for the log.
    var reason: String {
        switch self {
        case .storage(let failure), .noSpace(let failure), .stagingUnavailable(let failure),
            .folderNotMade(let failure):
            "\(failure)"
        case .tooLarge, .lengthMismatch, .longerThanDeclared, .fileChanged, .superseded, .tooManyRanges,
            .namesExhausted, .unknownUpload, .finished, .cancelled, .digestMismatch, .partMismatch, .partTooSmall,
            .noSuchPart, .offsetMismatch, .beyondTotal, .pathBlocked, .pathTaken, .tooManyUploads, .quotaExceeded,
            .refused,
            .tooManyRequests, .uploadBusy, .overloaded, .unclear, .fieldsTooLarge, .tooManyFields:
            "\(self)"
        }
    }
}
