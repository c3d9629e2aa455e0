import HTTPTypes
import Uploads

/// A refusal in the words of docs/dialects/fileid.md 2.6 and docs/dialects/parts.md 3.6:
/// `{"code":404,"error":"NoSuchUpload","message":"…"}`.
struct WordError: Error {
    let status: HTTPResponse.Status
    let word: String
    let message: String
    var failure: StorageFailure?
    var allow: String?

    static func invalidArgument(_ message: String) -> WordError {
        WordError(status: .badRequest, word: "InvalidArgument", message: message)
    }

    static func methodNotAllowed(_ allow: String) -> WordError {
        WordError(status: .methodNotAllowed, word: "MethodNotAllowed", message: "use \(allow)", allow: allow)
    }

    /// What a path of a client must keep to.
    static let pathRule = "at most \(RelativePath.depthMax) folders deep, without names that begin with a dot"

    static let noSuchUpload = WordError(
        status: .notFound,
        word: "NoSuchUpload",
        message: "there is no such upload; it may be complete, or have expired"
    )

    static func tooLarge(_ message: String) -> WordError {
        WordError(status: .contentTooLarge, word: "EntityTooLarge", message: message)
    }

    static func accessDenied(_ message: String) -> WordError {
        WordError(status: .forbidden, word: "AccessDenied", message: message)
    }

    private static func busy(_ status: HTTPResponse.Status, _ message: String) -> WordError {
        WordError(status: status, word: "SlowDown", message: message)
    }

    static func invalidPartOrder(_ message: String) -> WordError {
        WordError(status: .badRequest, word: "InvalidPartOrder", message: message)
    }

    /// A body that could not be read.
    init(_ failure: RequestForm.Failure) {
        switch failure {
        case .mediaType(let message):
            self.init(status: .unsupportedMediaType, word: "UnsupportedMediaType", message: message)
        case .malformed(let message): self = .invalidArgument(message)
        case .tooLarge(let message): self = .tooLarge(message)
        case .cutOff: self = .invalidArgument("the body was cut off")
        }
    }

    /// What the engine could not do.
    ///
    /// - Parameters:
    ///   - digestWord: what the dialect calls a part that has another MD5 than was sent with it.
    ///   - partStatus: the status of a list that names a part which is not there.
    init(_ error: UploadError, digestWord: String, partStatus: HTTPResponse.Status) {
        switch error {
        case .unknownUpload, .finished, .cancelled, .superseded: self = .noSuchUpload
        case .tooLarge(let maxBytes): self = .tooLarge("at most \(maxBytes) bytes are allowed")
        case .digestMismatch:
            self.init(status: .badRequest, word: digestWord, message: "the bytes received have another MD5")
        case .partMismatch(let number):
            self.init(
                status: partStatus,
                word: "InvalidPart",
                message: "part \(number) is missing, or has another MD5; ask for the list of parts"
            )
        case .partTooSmall(let number, let minBytes):
            self.init(
                status: .badRequest,
                word: "EntityTooSmall",
                message: "part \(number) has less than \(minBytes) bytes, which only the last may"
            )
        case .pathBlocked: self = .invalidArgument("a folder or a link stands in the way of this path")
        case .pathTaken: self = .invalidArgument("another file of the upload has this path")
        case .lengthMismatch, .longerThanDeclared, .fileChanged, .tooManyRanges, .noSuchPart, .offsetMismatch,
            .beyondTotal:
            self = .invalidArgument("the part does not fit the upload")
        case .unclear(let message): self = .invalidArgument(message)
        case .fieldsTooLarge(let bytesMax): self = .tooLarge(UploadError.words(forFieldBytes: bytesMax))
        case .tooManyFields(let max): self = .tooLarge(UploadError.words(forFields: max))
        case .refused(let message): self = .accessDenied(message)
        case .tooManyUploads(let max):
            self = .accessDenied("at most \(max) uploads at the same time; finish others first")
        case .tooManyRequests(let max): self = .busy(.tooManyRequests, BusyMessage.requests(max: max))
        case .uploadBusy: self = .busy(.serviceUnavailable, BusyMessage.upload)
        case .overloaded: self = .busy(.serviceUnavailable, BusyMessage.overloaded)
        case .quotaExceeded(let maxBytes):
            self.init(
                status: .insufficientStorage,
                word: "InsufficientStorage",
                message: "your quota of \(maxBytes) bytes is used up"
            )
        case .namesExhausted: self = .accessDenied("too many files of this name")
        case .noSpace(let failure):
            self.init(
                status: .insufficientStorage,
                word: "InsufficientStorage",
                message: "no space is left; what is stored is safe, try again later",
                failure: failure
            )
        case .stagingUnavailable(let failure):
            self.init(
                status: .serviceUnavailable,
                word: "ServiceUnavailable",
                message: "the storage is not available; what is stored is safe, try again later",
                failure: failure
            )
        case .storage(let failure), .folderNotMade(let failure):
            self.init(
                status: .internalServerError,
                word: "InternalError",
                message: "the server could not read or write; what is stored is safe, try again",
                failure: failure
            )
        }
    }

    /// Why a request does not become an exchange.
    init(_ failure: ServiceFailure) {
        let words = failure.words ?? ""
        switch failure {
        case .misconfigured: self.init(status: .internalServerError, word: "InternalError", message: words)
        case .contentCoding: self.init(status: .unsupportedMediaType, word: "UnsupportedMediaType", message: words)
        case .otherSite: self = .accessDenied(words)
        case .refused(let error): self.init(error, digestWord: "InvalidDigest", partStatus: .badRequest)
        }
    }

    private init(
        status: HTTPResponse.Status,
        word: String,
        message: String,
        failure: StorageFailure? = nil,
        allow: String? = nil
    ) {
        self.status = status
        self.word = word
        self.message = message
        self.failure = failure
        self.allow = allow
    }

    /// The answer.
    func answer(type: String) -> Answer {
        Answer(
            status,
            .object([
                ("code", .integer(Int64(status.code))), ("error", .string(word)), ("message", .string(message)),
            ]),
            type: type,
            code: word,
            failure: failure,
            allow: allow
        )
    }
}
