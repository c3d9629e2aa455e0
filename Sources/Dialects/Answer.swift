public import HTTPTypes
public import Uploads

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

    /// An answer without a body.
    package init(_ status: HTTPResponse.Status, fields: HTTPFields, code: String) {
        self.status = status
        self.fields = fields
        body = []
        self.code = code
        failure = nil
    }

    /// The same answer with another header field.
    package func with(_ value: String, for name: HTTPField.Name) -> Answer {
        var fields = fields
        fields[name] = value
        return Answer(self, fields: fields)
    }

    private init(_ other: Answer, fields: HTTPFields) {
        status = other.status
        self.fields = fields
        body = other.body
        code = other.code
        failure = other.failure
    }

    /// After how many seconds a client may ask again that is refused for the moment (RFC 9110 10.2.3).
    private static let retrySeconds = "5"
    /// The same when storage is not available: a disk takes a while to be mounted.
    private static let storageRetrySeconds = "30"

    /// An answer with a JSON body.
    ///
    /// - Parameters:
    ///   - type: the media type; as `text/html` it is escaped for a hidden frame.
    ///   - code: the dialect's own word for the outcome, for the log.
    ///   - allow: the methods that are allowed where another came.
    package init(
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
        if status == .serviceUnavailable || status == .tooManyRequests {
            fields[.retryAfter] = failure == nil ? Self.retrySeconds : Self.storageRetrySeconds
        }
        self.fields = fields
        body = json.encoded(asHTML: type.hasPrefix("text/html"))
        self.code = code
        self.failure = failure
    }
}

extension HTTPResponse.Status {
    /// 507 (RFC 4918 11.5), which swift-http-types does not name.
    static let insufficientStorage = HTTPResponse.Status(code: 507, reasonPhrase: "Insufficient Storage")
}
