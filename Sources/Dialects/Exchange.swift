public import HTTPTypes
public import MultipartForm
public import Uploads

/// What a dialect is asked: the head of a request, as the web server passed it on.
public struct RequestHead: Sendable {
    /// Method, path and header fields.
    public let request: HTTPRequest
    /// What follows the mount in the path (`PATH_INFO`).
    public let pathInfo: String
    /// What follows `?` in the URL, undecoded.
    public let query: String
    /// The length of the body in bytes; `nil` when it is not known before its end.
    public let contentLength: Int64?

    /// The head of a request.
    public init(_ request: HTTPRequest, pathInfo: String, query: String, contentLength: Int64?) {
        self.request = request
        self.pathInfo = pathInfo
        self.query = query
        self.contentLength = contentLength
    }

    /// The Content-Type field; `nil` when there is none.
    var contentType: String? { request.headerFields[.contentType] }
}

/// How the body of a request is to be read.
public enum BodyPlan: Sendable {
    /// As multipart/form-data, part by part.
    case multipart(Boundary)
    /// As application/x-www-form-urlencoded, in one piece.
    case urlEncoded
    /// To its end, for nothing.
    case drain
}

/// What is to be done with a part.
public enum PartPlan: Hashable, Sendable {
    /// Its bytes are those of a file.
    case file(Destination)
    /// Its bytes are the value of a field.
    case field
    /// Its bytes are of no use.
    case drain
}

/// How the body of a request ended.
public enum BodyEnding: Hashable, Sendable {
    /// Whole and well-formed.
    case whole
    /// Before its end: the client is gone.
    case cutOff
    /// In a form that can not be read.
    case malformed(MultipartError)
}

/// One request in a dialect: where its bytes go, what is to be done at its end, and what to answer.
///
/// An exchange does nothing itself. Its methods are called in the order of the request: `partBegins` for each part, then
/// `fieldEnded` or `fileEnded`; `bodyEnded` once; `answer` last, with the outcome of each command up to the first that
/// failed, and that failure.
public protocol Exchange {
    /// How to read the body.
    var body: BodyPlan { get }
    /// Decides on a part by its header.
    mutating func partBegins(_ header: PartHeader) -> PartPlan
    /// Takes a field.
    mutating func fieldEnded(_ field: FormField, raw: [UInt8])
    /// Takes what became of a file's bytes.
    mutating func fileEnded(_ result: Result<Receipt, UploadError>)
    /// Decides what is to be done, now that the whole request is known.
    mutating func bodyEnded(_ ending: BodyEnding) -> [Command]
    /// The answer.
    func answer(_ outcomes: [Result<Outcome, UploadError>]) -> Answer
}

/// What the client is told.
public struct Answer: Sendable {
    /// The status.
    public let status: HTTPResponse.Status
    /// The header fields, without those that the sender adds (Content-Length).
    public let fields: HTTPFields
    /// The body.
    public let body: [UInt8]
    /// The dialect's own word for the outcome, for the log.
    public let code: String
    /// What failed below, for the log; never part of the body.
    public let failure: StorageFailure?

    init(
        _ status: HTTPResponse.Status,
        _ json: JSON,
        type: String,
        code: String,
        failure: StorageFailure? = nil,
        allow: String? = nil
    ) {
        self.status = status
        var fields: HTTPFields = [.contentType: type, .cacheControl: "no-store"]
        fields[.allow] = allow
        self.fields = fields
        body = json.encoded
        self.code = code
        self.failure = failure
    }
}

/// The dialects, by the name that `FERMATA_DIALECT` gives them.
public enum Dialect: String, CaseIterable, Sendable {
    /// The DCloud 5+ runtime's Uploader (dialects.md 1).
    case dcloud

    /// Begins to answer a request.
    public func exchange(for request: RequestHead, on mount: Mount) -> any Exchange {
        switch self {
        case .dcloud: DCloudExchange(request, on: mount)
        }
    }
}
