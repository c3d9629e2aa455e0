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
    /// The Content-Type field; `nil` when there is none.
    let contentType: String?
    /// The Content-Range field, by its own name or by that of nginx-upload-module; `nil` when there is none.
    let contentRange: String?
    /// How the body is encoded, other than as it is (RFC 9110 8.4); `nil` when it is not.
    public let contentEncoding: String?

    /// The head of a request.
    public init(_ request: HTTPRequest, pathInfo: String, query: String, contentLength: Int64?) {
        self.request = request
        self.pathInfo = pathInfo
        self.query = query
        self.contentLength = contentLength
        contentType = request.headerFields[.contentType]
        contentRange =
            request.headerFields[.contentRange]
            ?? ForeignChunk.extendedContentRange.flatMap { request.headerFields[$0] }
        contentEncoding = request.headerFields[.contentEncoding].flatMap {
            ["", "identity"].contains($0.trimmingWhiteSpace().lowercased()) ? nil : $0
        }
    }
}

/// How the body of a request is to be read.
public enum BodyPlan: Sendable {
    /// As multipart/form-data, part by part.
    case multipart(Boundary)
    /// As application/x-www-form-urlencoded, in one piece.
    case urlEncoded
    /// As a document of at most this many bytes, in one piece.
    case document(bytesMax: Int)
    /// As the bytes of a file.
    case file(Destination)
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
    /// As a document of more bytes than it may have.
    case tooLarge(bytesMax: Int)
}

/// One request in a dialect: where its bytes go, what is to be done at its end, and what to answer.
///
/// An exchange does nothing itself. Its methods are called in the order of the request: `partBegins` for each part, then
/// `fieldEnded` or `fileEnded`; `documentEnded` for a document; `bodyEnded` last.
public protocol Exchange {
    /// How to read the body.
    var body: BodyPlan { get }
    /// What the web server configured.
    var mount: Mount { get }
    /// The bounds of a form.
    var formLimits: MultipartLimits { get }
    /// Whose limits hold, when the request says for itself on whose behalf it is made; `nil` leaves it to the mount.
    var principal: String? { get }
    /// Decides on a part by its header.
    ///
    /// - Parameter sizeHint: how many bytes the part has if it is the last one of a form of declared length.
    mutating func partBegins(_ header: PartHeader, sizeHint: Int64?) -> PartPlan
    /// Takes a field.
    mutating func fieldEnded(_ field: FormField, raw: [UInt8])
    /// Takes what became of a file's bytes.
    mutating func fileEnded(_ result: Result<Receipt, UploadError>)
    /// Takes a document.
    mutating func documentEnded(_ bytes: [UInt8])
    /// Decides what is to be done, now that the whole request is known.
    mutating func bodyEnded(_ ending: BodyEnding) -> Step
}

/// What is to be done next.
public enum Step {
    /// Perform a command; its result decides on the next step.
    case perform(Command, then: (Result<Outcome, UploadError>) -> Step)
    /// Answer.
    case answer(Answer)
}

extension Step {
    /// Performs commands in their order up to the first that fails, and goes on with all results.
    static func perform(
        _ commands: [Command],
        then step: @escaping ([Result<Outcome, UploadError>]) -> Step
    ) -> Step {
        next(commands[...], [], step)
    }

    private static func next(
        _ commands: ArraySlice<Command>,
        _ results: [Result<Outcome, UploadError>],
        _ step: @escaping ([Result<Outcome, UploadError>]) -> Step
    ) -> Step {
        guard let command = commands.first, results.last?.isFailure != true else { return step(results) }
        return .perform(command) { next(commands.dropFirst(), results + [$0], step) }
    }

    /// Performs a command; a failure is answered.
    static func perform(
        _ command: Command,
        orFail fail: @escaping (UploadError) -> Answer,
        then step: @escaping (Outcome) -> Step
    ) -> Step {
        .perform(command) { result in
            switch result {
            case .success(let outcome): step(outcome)
            case .failure(let error): .answer(fail(error))
            }
        }
    }

    /// Performs a command that comes to a value; a failure is answered.
    ///
    /// So is an outcome of another kind: what an earlier look-up told may have changed since, so that no outcome is
    /// beyond belief.
    private static func perform<Value>(
        _ command: Command,
        orFail fail: @escaping (UploadError) -> Answer,
        taking value: @escaping (Outcome) -> Value?,
        then step: @escaping (Value) -> Step
    ) -> Step {
        .perform(command, orFail: fail) { outcome in
            guard let value = value(outcome) else { return .answer(fail(.superseded)) }
            return step(value)
        }
    }

    /// Asks for a session; a failure is answered.
    static func describe(
        _ key: SessionKey,
        orFail fail: @escaping (UploadError) -> Answer,
        then step: @escaping (SessionProgress?) -> Step
    ) -> Step {
        .perform(
            .describe(key),
            orFail: fail,
            taking: { if case .described(let progress) = $0 { .some(progress) } else { nil } },
            then: step
        )
    }

    /// Issues a number; a failure is answered.
    static func issueNumber(
        orFail fail: @escaping (UploadError) -> Answer,
        then step: @escaping (Int64) -> Step
    ) -> Step {
        .perform(
            .issueNumber,
            orFail: fail,
            taking: { if case .number(let number) = $0 { number } else { nil } },
            then: step
        )
    }

    /// Claims a field of a session; a failure is answered.
    static func claim(
        _ field: FormField,
        with others: [FormField],
        _ key: SessionKey,
        orFail fail: @escaping (UploadError) -> Answer,
        then step: @escaping (String?) -> Step
    ) -> Step {
        .perform(
            .claim(field, with: others, key),
            orFail: fail,
            taking: { if case .claimed(let value) = $0 { .some(value) } else { nil } },
            then: step
        )
    }

    /// How often an upload that others remove as soon as it has begun is begun again.
    private static let opensMax = 8

    /// Begins an upload of one file, or goes on with it; a failure is answered.
    static func open(
        _ upload: NewUpload,
        orFail fail: @escaping (UploadError) -> Answer,
        then step: @escaping (SessionProgress, FileProgress) -> Step
    ) -> Step {
        open(upload, orElse: { .answer(fail($0)) }, then: step)
    }

    /// The same with a step after a failure.
    static func open(
        _ upload: NewUpload,
        orElse fail: @escaping (UploadError) -> Step,
        triesLeft: Int = opensMax,
        then step: @escaping (SessionProgress, FileProgress) -> Step
    ) -> Step {
        .perform(.open(upload)) { result in
            switch result {
            case .success(.described(let session?)):
                if let file = session.file(upload.key.field) { return step(session, file) }
            case .success, .failure(.superseded): break
            case .failure(let error): return fail(error)
            }
            // It is not there although it has been made: whoever removed it did not mean what this request asks for.
            if triesLeft <= 1 { return fail(.superseded) }
            return open(upload, orElse: fail, triesLeft: triesLeft - 1, then: step)
        }
    }

    /// Looks at a path; a failure is answered.
    static func lookUp(
        _ path: RelativePath,
        orFail fail: @escaping (UploadError) -> Answer,
        then step: @escaping (PathEntry) -> Step
    ) -> Step {
        .perform(
            .lookUp(path),
            orFail: fail,
            taking: { if case .found(let entry) = $0 { entry } else { nil } },
            then: step
        )
    }

    /// Makes a file of parts and publishes it; a failure is answered.
    static func assemble(
        _ key: FileKey,
        _ claims: [PartClaim],
        _ rules: AssemblyRules,
        orFail fail: @escaping (UploadError) -> Answer,
        then answer: @escaping (PublishedFile) -> Answer
    ) -> Step {
        .perform(
            .assemble(key, claims, rules),
            orFail: fail,
            taking: { if case .published(let file) = $0 { file } else { nil } },
            then: { .answer(answer($0)) }
        )
    }
}

extension Result<Outcome, UploadError> {
    /// Whether it is an error.
    var isFailure: Bool {
        switch self {
        case .success: false
        case .failure: true
        }
    }
}

extension MultipartLimits {
    /// The bounds that a mount has for forms.
    init(_ mount: Mount) {
        self.init()
        partsMax = mount.formPartsMax
        fieldBytesMax = mount.fieldBytesMax
        allFieldBytesMax = mount.allFieldBytesMax
    }
}

/// What a dialect does not expect in its bodies is of no use to it.
extension Exchange {
    public var formLimits: MultipartLimits { MultipartLimits(mount) }

    public var principal: String? { nil }

    public mutating func partBegins(_ header: PartHeader, sizeHint: Int64?) -> PartPlan { .drain }

    public mutating func fieldEnded(_ field: FormField, raw: [UInt8]) {}

    public mutating func documentEnded(_ bytes: [UInt8]) {}
}
