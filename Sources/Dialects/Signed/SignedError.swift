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

    /// Why a request does not become an exchange.
    init(_ failure: ServiceFailure) { self.init(Refusal(failure)) }

    /// What the engine could not do.
    init(_ error: UploadError) { self.init(Refusal(error)) }

    private init(_ refusal: Refusal) {
        self.init(status: refusal.status, detail: refusal.message, failure: refusal.failure)
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
