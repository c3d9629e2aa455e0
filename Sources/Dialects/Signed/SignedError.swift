import HTTPTypes
import Uploads

/// A refusal in the form of docs/dialects/signed.md 5.8: `{"detail":"…"}`, always a string, as clients show it to their
/// users.
struct SignedError: Error {
    let status: HTTPResponse.Status
    let detail: String
    var failure: StorageFailure?
    var allow: String?

    static func badRequest(_ detail: String) -> SignedError { SignedError(status: .badRequest, detail: detail) }
    static func forbidden(_ detail: String) -> SignedError { SignedError(status: .forbidden, detail: detail) }
    static func conflict(_ detail: String) -> SignedError { SignedError(status: .conflict, detail: detail) }
    static let notFound = SignedError(status: .notFound, detail: "there is no such upload; it may have expired")
    static let noSuchCall = SignedError(status: .notFound, detail: "there is no such call")

    static let mediaType = SignedError(
        status: .unsupportedMediaType,
        detail: "the body must be application/json, and Content-Type say so"
    )

    static func methodNotAllowed(_ allow: String) -> SignedError {
        SignedError(status: .methodNotAllowed, detail: "use \(allow)", allow: allow)
    }

    static func tooLarge(_ detail: String) -> SignedError { SignedError(status: .contentTooLarge, detail: detail) }

    private init(status: HTTPResponse.Status, detail: String, failure: StorageFailure? = nil, allow: String? = nil) {
        self.status = status
        self.detail = detail
        self.failure = failure
        self.allow = allow
    }

    /// What is refused whatever the dialect.
    init(_ refusal: EarlyRefusal) { self.init(status: refusal.status, detail: refusal.words) }

    /// What the engine could not do.
    init(_ error: UploadError) {
        switch error {
        case .unknownUpload: self = .notFound
        case .finished: self = .conflict("the upload is complete")
        case .cancelled: self = .conflict("the upload was aborted")
        case .superseded: self = .conflict("the upload has changed meanwhile; ask for the list of parts")
        case .lengthMismatch(let declared, let received):
            self = .badRequest("\(declared) bytes are expected, \(received) came")
        case .longerThanDeclared(let declared): self = .tooLarge("the part has \(declared) bytes, more came")
        case .tooLarge(let maxBytes): self = .tooLarge("at most \(maxBytes) bytes are allowed")
        case .partMismatch(let number): self = .badRequest("part \(number) is missing or has another etag")
        case .noSuchPart(let number): self = .badRequest("the upload has no part \(number)")
        case .digestMismatch, .partTooSmall, .fileChanged, .tooManyRanges, .offsetMismatch, .beyondTotal:
            self = .badRequest("the part does not fit the upload")
        case .unclear(let message): self = .badRequest(message)
        case .fieldsTooLarge(let bytesMax): self = .tooLarge(UploadError.words(forFieldBytes: bytesMax))
        case .tooManyFields(let max): self = .tooLarge(UploadError.words(forFields: max))
        case .refused(let message): self.init(status: .forbidden, detail: message)
        case .tooManyUploads(let max):
            self.init(status: .forbidden, detail: "at most \(max) uploads at the same time; finish others first")
        case .tooManyRequests(let max):
            self.init(status: .tooManyRequests, detail: BusyMessage.requests(max: max))
        case .uploadBusy: self.init(status: .serviceUnavailable, detail: BusyMessage.upload)
        case .overloaded: self.init(status: .serviceUnavailable, detail: BusyMessage.overloaded)
        case .quotaExceeded(let maxBytes):
            self.init(status: .insufficientStorage, detail: "your quota of \(maxBytes) bytes is used up")
        case .pathTaken: self = .conflict("other files of this name are being added to the task; try again")
        case .pathBlocked, .namesExhausted: self = .conflict("the object key is taken by a folder or a link")
        case .noSpace(let failure):
            self.init(
                status: .insufficientStorage,
                detail: "no space is left; what is stored is safe, try again later",
                failure: failure
            )
        case .stagingUnavailable(let failure):
            self.init(
                status: .serviceUnavailable,
                detail: "the storage is not available; what is stored is safe, try again later",
                failure: failure
            )
        case .storage(let failure), .folderNotMade(let failure):
            self.init(
                status: .internalServerError,
                detail: "the server could not read or write; what is stored is safe, try again",
                failure: failure
            )
        }
    }

    /// The answer.
    func answer(type: String) -> Answer {
        Answer(
            status,
            .object([("detail", .string(detail))]),
            type: type,
            code: String(status.code),
            failure: failure,
            allow: allow
        )
    }
}
