import HTTPTypes
import Uploads

/// A refusal in the words of docs/dialects/offset.md 4.2-4.4, which clients compare literally:
/// `{"code":1,"message":"…"}`.
///
/// What these leave open stands in a member of its own, `detail`.
struct OffsetError: Error {
    let status: HTTPResponse.Status
    let message: String
    var detail = ""
    var failure: StorageFailure?
    var allow: String?

    static let invalidParameter = OffsetError(.badRequest, "param invalid")
    static let noStorageFolder = OffsetError(.badRequest, "Storage path is not exist or is not a dir")
    static let invalidRelativePath = OffsetError(.badRequest, "file_relative_path invalid")
    static let fileType = OffsetError(.badRequest, "Unsupported file type")
    static let fileSize = OffsetError(.badRequest, "Unsupported file size")
    static let requestTooLarge = OffsetError(.contentTooLarge, "Unsupported file size")
    static let unknownUpload = OffsetError(.badRequest, "Invalid upload ID")
    static let wrongOffset = OffsetError(.badRequest, "Invalid offset")
    /// A parameter that can not be used, and why.
    static func invalid(_ detail: String) -> OffsetError {
        var error = invalidParameter
        error.detail = detail
        return error
    }

    /// A parameter that is missing or can not be used, as the form may be of another protocol.
    static func invalid(_ chunk: ForeignChunk?) -> OffsetError {
        chunk.map { .invalid("\($0)") } ?? .invalidParameter
    }

    /// More than a limit on forms allows, which says nothing of the size of a file.
    private static func overLimit(_ detail: String) -> OffsetError {
        var error = OffsetError(.contentTooLarge, invalidParameter.message)
        error.detail = detail
        return error
    }

    static func isFolder(_ path: String) -> OffsetError { OffsetError(.badRequest, "full path \(path) is a dir") }

    static func folderNotMade(_ failure: StorageFailure?) -> OffsetError {
        OffsetError(.internalServerError, "failed to create folder", failure: failure)
    }

    static func methodNotAllowed(_ allow: String) -> OffsetError {
        OffsetError(.methodNotAllowed, "use \(allow)", allow: allow)
    }

    private init(
        _ status: HTTPResponse.Status,
        _ message: String,
        failure: StorageFailure? = nil,
        allow: String? = nil
    ) {
        self.status = status
        self.message = message
        self.failure = failure
        self.allow = allow
    }

    /// Why a request does not become an exchange.
    init(_ failure: ServiceFailure) {
        switch failure {
        case .misconfigured, .contentCoding, .otherSite:
            let refusal = Refusal(failure)
            self.init(refusal.status, refusal.message)
        case .refused(let error): self.init(error)
        }
    }

    /// A body that could not be read.
    init(_ failure: RequestForm.Failure) {
        switch failure {
        case .mediaType(let message): self.init(.unsupportedMediaType, message)
        case .malformed(let message): self = .invalid(message)
        case .cutOff: self = .invalid("the body was cut off")
        case .tooLarge(let message): self = .overLimit(message)
        }
    }

    /// What the engine could not do.
    init(_ error: UploadError) {
        switch error {
        case .unknownUpload, .finished, .cancelled, .superseded: self = .unknownUpload
        case .offsetMismatch, .fileChanged: self = .wrongOffset
        case .beyondTotal: self = .fileSize
        case .tooLarge: self = .requestTooLarge
        case .pathBlocked, .pathTaken: self = .invalidRelativePath
        case .lengthMismatch, .longerThanDeclared, .tooManyRanges, .digestMismatch, .partMismatch, .partTooSmall,
            .noSuchPart, .namesExhausted:
            self = .invalidParameter
        case .unclear(let message): self.init(.badRequest, message)
        case .fieldsTooLarge(let bytesMax): self = .overLimit(UploadError.words(forFieldBytes: bytesMax))
        case .tooManyFields(let max): self = .overLimit(UploadError.words(forFields: max))
        case .refused(let message): self.init(.forbidden, message)
        case .tooManyUploads(let max):
            self.init(.forbidden, "at most \(max) uploads at the same time; finish others first")
        case .tooManyRequests(let max): self.init(.tooManyRequests, BusyMessage.requests(max: max))
        case .uploadBusy: self.init(.serviceUnavailable, BusyMessage.upload)
        case .overloaded: self.init(.serviceUnavailable, BusyMessage.overloaded)
        case .quotaExceeded(let maxBytes):
            self.init(.insufficientStorage, "your quota of \(maxBytes) bytes is used up")
        case .folderNotMade(let failure): self = .folderNotMade(failure)
        case .noSpace(let failure): self.init(.insufficientStorage, "No space left", failure: failure)
        case .storage(let failure): self.init(.internalServerError, "failed to write file", failure: failure)
        case .stagingUnavailable(let failure):
            self.init(.serviceUnavailable, "the storage is not available; try again later", failure: failure)
        }
    }

    /// The answer, with the state that is left where that helps.
    func answer(_ mount: Mount, data: JSON? = nil) -> Answer {
        var members: [(String, JSON)] = [("code", .integer(1)), ("message", .string(message))]
        if !detail.isEmpty { members.append(("detail", .string(detail))) }
        if let data { members.append(("data", data)) }
        return Answer(
            status,
            .object(members),
            type: mount.answerType,
            code: message,
            failure: failure,
            allow: allow
        )
    }
}
