import HTTPTypes
public import Uploads

extension Dialect {
    /// What a request is answered that is refused before it is read.
    public func refusal(_ error: UploadError, of head: RequestHead, on mount: Mount) -> Answer {
        switch self {
        case .dcloud: DCloudError(error).answer(type: mount.answerType, files: nil)
        case .fileid, .parts:
            WordError(error, digestWord: "InvalidDigest", partStatus: .badRequest).answer(type: mount.answerType)
        case .offset: OffsetError(error).answer(mount)
        case .signed: SignedError(error).answer(type: mount.answerType)
        }
    }
}

/// What clients are told where they are to try again later.
enum BusyMessage {
    static func requests(max: Int) -> String {
        "at most \(max) requests at the same time; try again when others have ended"
    }

    static let upload = "another request is at work on this upload; what is stored is safe, try again later"
    static let overloaded = "too many requests are under way; what is stored is safe, try again later"
}
