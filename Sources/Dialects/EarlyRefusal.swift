import HTTPTypes
public import Uploads

/// Why a request is refused before its dialect looks at it.
public enum EarlyRefusal: Error, Hashable, Sendable {
    /// The body is encoded in a way that nobody here decodes (RFC 9110 8.4).
    case contentEncoding(String)
    /// A page of another site sent it.
    case otherSite

    /// What to tell the client.
    var words: String {
        switch self {
        case .contentEncoding(let name): "Content-Encoding \(name) is not understood; send the body as it is"
        case .otherSite: "pages of other sites may not upload here (FERMATA_SAME_SITE, FERMATA_CORS)"
        }
    }

    var status: HTTPResponse.Status {
        switch self {
        case .contentEncoding: .unsupportedMediaType
        case .otherSite: .forbidden
        }
    }
}

extension Dialect {
    /// Refuses a request in the words of the dialect.
    public func answer(_ refusal: EarlyRefusal, on mount: Mount) -> Answer {
        switch self {
        case .dcloud: DCloudError(refusal).answer(type: mount.answerType, files: nil)
        case .fileid, .parts: WordError(refusal).answer(type: mount.answerType)
        case .offset: OffsetError(refusal).answer(mount)
        case .signed: SignedError(refusal).answer(type: mount.answerType)
        }
    }
}
