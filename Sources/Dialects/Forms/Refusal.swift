package import HTTPTypes
package import Uploads

/// What a client is told of a failure, in HTTP's terms: for dialects that have no words of their own for it.
package struct Refusal: Error {
    package let status: HTTPResponse.Status
    package let message: String
    /// What failed below, for the log.
    package let failure: StorageFailure?

    private init(_ status: HTTPResponse.Status, _ message: String, failure: StorageFailure? = nil) {
        self.status = status
        self.message = message
        self.failure = failure
    }

    /// Why a request does not become an exchange.
    package init(_ failure: ServiceFailure) {
        let words = failure.words ?? ""
        switch failure {
        case .misconfigured: self.init(.internalServerError, words)
        case .contentCoding: self.init(.unsupportedMediaType, words)
        case .otherSite: self.init(.forbidden, words)
        case .refused(let error): self.init(error)
        }
    }

    /// What the engine could not do.
    package init(_ error: UploadError) {
        switch error {
        case .unknownUpload: self.init(.notFound, "there is no such upload; it may have expired")
        case .finished: self.init(.conflict, "the upload is complete")
        case .cancelled: self.init(.conflict, "the upload was aborted")
        case .superseded: self.init(.conflict, "the upload has changed meanwhile; ask for the list of parts")
        case .lengthMismatch(let declared, let received):
            self.init(.badRequest, "\(declared) bytes are expected, \(received) came")
        case .longerThanDeclared(let declared): self.init(.contentTooLarge, "the part has \(declared) bytes, more came")
        case .tooLarge(let maxBytes): self.init(.contentTooLarge, "at most \(maxBytes) bytes are allowed")
        case .partMismatch(let number): self.init(.badRequest, "part \(number) is missing or has another etag")
        case .noSuchPart(let number): self.init(.badRequest, "the upload has no part \(number)")
        case .digestMismatch, .partTooSmall, .fileChanged, .tooManyRanges, .offsetMismatch, .beyondTotal:
            self.init(.badRequest, "the part does not fit the upload")
        case .unclear(let message): self.init(.badRequest, message)
        case .fieldsTooLarge(let bytesMax): self.init(.contentTooLarge, UploadError.words(forFieldBytes: bytesMax))
        case .tooManyFields(let max): self.init(.contentTooLarge, UploadError.words(forFields: max))
        case .refused(let message): self.init(.forbidden, message)
        case .tooManyUploads(let max):
            self.init(.forbidden, "at most \(max) uploads at the same time; finish others first")
        case .tooManyRequests(let max):
            self.init(.tooManyRequests, BusyMessage.requests(max: max))
        case .uploadBusy: self.init(.serviceUnavailable, BusyMessage.upload)
        case .overloaded: self.init(.serviceUnavailable, BusyMessage.overloaded)
        case .quotaExceeded(let maxBytes):
            self.init(.insufficientStorage, "your quota of \(maxBytes) bytes is used up")
        case .pathTaken: self.init(.conflict, "other files of this name are being stored; try again")
        case .pathBlocked, .namesExhausted: self.init(.conflict, "the path is taken by a folder or a link")
        case .noSpace(let failure):
            self.init(
                .insufficientStorage,
                "no space is left; what is stored is safe, try again later",
                failure: failure
            )
        case .stagingUnavailable(let failure):
            self.init(
                .serviceUnavailable,
                "the storage is not available; what is stored is safe, try again later",
                failure: failure
            )
        case .storage(let failure), .folderNotMade(let failure):
            self.init(
                .internalServerError,
                "the server could not read or write; what is stored is safe, try again",
                failure: failure
            )
        }
    }
}
