public import SystemPackage
public import Uploads

/// Why a staging operation failed.
public enum StagingError: Error, Hashable, Sendable {
    /// A system call failed while `operation` was done.
    case system(operation: String, errno: Errno)
    /// The file is published, restarted, cancelled or expired: it is not to be written any more.
    case sealed
    /// Another request has had the file for so long that waiting for it was given up.
    case busy
    /// A file or a symbolic link stands where a folder should, or a folder where a file should.
    case blocked
    /// `max` names like it are taken.
    case namesExhausted(max: Int)

    /// The same in the words of the rules, for an answer.
    public var uploadError: UploadError {
        switch self {
        case .system(let operation, let errno):
            let failure = StorageFailure(operation: operation, reason: "\(errno) (errno \(errno.rawValue))")
            return switch errno {
            case .noSpace, .diskQuotaExceeded, .fileTooLarge: .noSpace(failure)
            default: .storage(failure)
            }
        case .sealed: return .superseded
        case .busy: return .uploadBusy
        case .blocked: return .pathBlocked
        case .namesExhausted(let max): return .namesExhausted(max: max)
        }
    }
}

extension Errno {
    /// Runs a system call on behalf of `operation`.
    static func wrap<Result>(
        _ operation: String,
        _ body: () throws(Errno) -> Result
    ) throws(StagingError) -> Result {
        do { return try body() } catch { throw .system(operation: operation, errno: error) }
    }
}
