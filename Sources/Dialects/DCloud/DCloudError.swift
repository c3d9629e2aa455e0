import HTTPTypes
import MultipartForm
import Uploads

/// A refusal in the words of docs/dialects/dcloud.md 1.5. Its status is never 400, of which the vendor's client loses
/// the body.
struct DCloudError: Error {
    let code: Int64
    let status: HTTPResponse.Status
    let message: String
    var failure: StorageFailure?
    var allow: String?

    private init(
        _ code: Int64,
        _ status: HTTPResponse.Status,
        _ text: String,
        detail: String = "",
        failure: StorageFailure? = nil,
        allow: String? = nil
    ) {
        self.code = code
        self.status = status
        message = detail.isEmpty ? text : text + ": " + detail
        self.failure = failure
        self.allow = allow
    }

    static func tooLarge(_ detail: String) -> DCloudError {
        DCloudError(4001, .contentTooLarge, "File exceeded upload_max_filesize", detail: detail)
    }

    static func overFormLimit(_ detail: String) -> DCloudError {
        DCloudError(4002, .contentTooLarge, "File exceeded max_file_size", detail: detail)
    }

    static func partial(_ detail: String) -> DCloudError {
        DCloudError(4003, .unprocessableContent, "File only partially uploaded", detail: detail)
    }

    static func conflict(_ detail: String) -> DCloudError {
        DCloudError(4003, .conflict, "File only partially uploaded", detail: detail)
    }

    static func noFile(_ detail: String = "") -> DCloudError {
        DCloudError(4004, .unprocessableContent, "No file uploaded", detail: detail)
    }

    static let wrongMediaType = DCloudError(
        4004,
        .unsupportedMediaType,
        "No file uploaded",
        detail: "the body must be multipart/form-data or application/x-www-form-urlencoded"
    )

    static let mislabelled = DCloudError(
        4004,
        .unsupportedMediaType,
        "No file uploaded",
        detail: "\(MultipartError.otherMedia)"
    )

    static let wrongMethod = DCloudError(
        4004,
        .methodNotAllowed,
        "No file uploaded",
        detail: "use POST",
        allow: "POST"
    )

    static func refused(_ detail: String) -> DCloudError {
        DCloudError(4008, .forbidden, stopped, detail: detail)
    }

    private static let stopped = "File upload stopped by extension"

    /// More than a limit on forms allows, which says nothing of the size of a file.
    static func overLimit(_ detail: String) -> DCloudError {
        DCloudError(4008, .contentTooLarge, stopped, detail: detail)
    }

    /// What the engine could not do.
    init(_ error: UploadError) {
        switch error {
        case .tooLarge(let maxBytes): self = .tooLarge("at most \(maxBytes) bytes")
        case .lengthMismatch(let declared, let received):
            self = .partial("the range has \(declared) bytes, the part \(received)")
        case .longerThanDeclared(let declared): self = .partial("the range has \(declared) bytes, the part more")
        case .fileChanged: self = .conflict("total or file name changed; start again at 0")
        case .superseded: self = .conflict("the file was restarted or removed meanwhile; start again at 0")
        case .tooManyRanges(let max): self = .conflict("at most \(max) disjoint ranges; fill the gaps first")
        case .namesExhausted: self = .refused("too many files of this name")
        case .cancelled, .finished, .unknownUpload: self = .conflict("the upload is gone; start again at 0")
        case .digestMismatch, .partMismatch, .partTooSmall, .noSuchPart, .offsetMismatch, .beyondTotal:
            self = .partial("\(error)")
        case .unclear(let message): self = .partial(message)
        case .fieldsTooLarge(let bytesMax): self = .overLimit(UploadError.words(forFieldBytes: bytesMax))
        case .tooManyFields(let max): self = .overLimit(UploadError.words(forFields: max))
        case .refused(let message): self = .refused(message)
        case .tooManyRequests(let max):
            self = DCloudError(4008, .tooManyRequests, Self.stopped, detail: BusyMessage.requests(max: max))
        case .uploadBusy: self = DCloudError(4008, .serviceUnavailable, Self.stopped, detail: BusyMessage.upload)
        case .overloaded: self = DCloudError(4008, .serviceUnavailable, Self.stopped, detail: BusyMessage.overloaded)
        case .tooManyUploads(let max): self = .refused("at most \(max) uploads at the same time; finish others first")
        case .quotaExceeded(let maxBytes):
            self = DCloudError(
                4007,
                .insufficientStorage,
                "Upload failed: Cannot write to disk",
                detail: "your quota of \(maxBytes) bytes is used up"
            )
        case .pathBlocked: self = .refused("the name is taken by a folder")
        case .pathTaken: self = .refused("the name is taken by another file of the upload")
        case .folderNotMade(let failure):
            self = DCloudError(4007, .internalServerError, "Upload failed: Cannot write to disk", failure: failure)
        case .stagingUnavailable(let failure):
            self = DCloudError(
                4006,
                .serviceUnavailable,
                "Cannot upload file: No temp directory specified",
                failure: failure
            )
        case .noSpace(let failure):
            self = DCloudError(
                4007,
                .insufficientStorage,
                "Upload failed: Cannot write to disk",
                detail: "no space left",
                failure: failure
            )
        case .storage(let failure):
            self = DCloudError(4007, .internalServerError, "Upload failed: Cannot write to disk", failure: failure)
        }
    }

    /// A body that could not be read.
    init(_ error: MultipartError) {
        self = error.isLimit ? .overLimit("\(error)") : .partial("\(error)")
    }

    /// Why a request does not become an exchange.
    init(_ failure: ServiceFailure) {
        let words = failure.words ?? ""
        switch failure {
        case .misconfigured: self.init(500, .internalServerError, words)
        case .contentCoding: self.init(4004, .unsupportedMediaType, "No file uploaded", detail: words)
        case .otherSite: self = .refused(words)
        case .refused(let error): self.init(error)
        }
    }

    /// The same for a query, which has no status but 200 and 503 (docs/dialects/dcloud.md 1.3).
    var asQueryFailure: DCloudError {
        DCloudError(code, .serviceUnavailable, message, failure: failure)
    }

    /// The answer.
    ///
    /// - Parameters:
    ///   - files: what is now known of the files, if anything.
    ///   - published: files that are stored for all that.
    func answer(type: String, files: JSON?, published: [(String, JSON)] = []) -> Answer {
        var members: [(String, JSON)] = [
            ("result", .string("ERROR")), ("code", .integer(code)), ("message", .string(message)),
        ]
        if let files { members.append(("file", files)) }
        if !published.isEmpty { members.append(("files", .object(published))) }
        return Answer(status, .object(members), type: type, code: String(code), failure: failure, allow: allow)
    }
}
