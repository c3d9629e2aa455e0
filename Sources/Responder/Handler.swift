public import Dialects
public import Digests
public import Engine
import MultipartForm
public import Uploads

/// Handles requests wherever they come from: from the body through parser, dialect and engine to the answer, on the
/// thread that calls it.
public struct Handler: Sendable {
    /// How much of a body is read for nothing by default: 4 GiB.
    public static let defaultDrainBytesMax: Int64 = 4 << 30

    private let engine: Engine
    private let signingKey: SigningKey
    let drainBytesMax: Int64
    private let rateLimits = RateLimits()
    private let requestLimits = RequestLimits()

    /// A handler on an engine.
    ///
    /// - Parameters:
    ///   - signingKey: signs the URLs that authorise themselves.
    ///   - drainBytesMax: how much of a body that is refused is read, so that its client sees the answer.
    public init(_ engine: Engine, signingKey: SigningKey, drainBytesMax: Int64 = Self.defaultDrainBytesMax) {
        self.engine = engine
        self.signingKey = signingKey
        self.drainBytesMax = drainBytesMax
    }

    /// Sees one request through.
    public func answer(
        _ head: RequestHead,
        in dialect: any Dialect,
        on mount: Mount,
        body: consuming some Body & ~Copyable
    ) -> Answer {
        var reader = BodyReader(body, drainBytesMax: drainBytesMax)
        return answer(head, in: dialect, on: mount, &reader)
    }

    func answer<Source: Body & ~Copyable>(
        _ head: RequestHead,
        in dialect: any Dialect,
        on mount: Mount,
        _ body: inout BodyReader<Source>
    ) -> Answer {
        let context = RequestContext(signingKey: signingKey, now: engine.now())
        var exchange = dialect.exchange(for: head, on: mount, in: context)
        let mount = exchange.principal.map(mount.of) ?? mount
        guard requestLimits.enter(mount) else {
            // It must not hold a worker for as long as its client likes.
            body.readWhatIsThere()
            let failure = UploadError.tooManyRequests(max: mount.principalLimits.requestsMax ?? 0)
            return dialect.answer(to: .refused(failure), on: mount)
        }
        defer { requestLimits.leave(mount) }
        if let pacing = Pacing(rateLimits, on: mount) { body.keep(to: pacing) }
        if let failure = Self.failure(of: head, on: mount) {
            _ = body.drain()
            return dialect.answer(to: failure, on: mount)
        }
        let intake = Intake(engine, for: mount)
        let ending = read(&body, head, &exchange, intake)
        return perform(exchange.bodyEnded(ending), intake, on: mount)
    }

    /// Reads the body in the way that the dialect asks for.
    ///
    /// A function of its own, as is `perform`: as long as a slow client takes, the stack of its worker holds what this
    /// function and its callers need, and nothing of what comes before and after.
    @inline(never)
    private func read<Source: Body & ~Copyable>(
        _ body: inout BodyReader<Source>,
        _ head: RequestHead,
        _ exchange: inout any Exchange,
        _ intake: Intake
    ) -> BodyEnding {
        switch exchange.body {
        case .multipart(let boundary):
            let lastPartEnd = head.contentLength.map { $0 - Int64(boundary.closingCount) }
            var reader = FormReader(exchange, into: intake, lastPartEnd: lastPartEnd)
            let ending = body.readForm(boundary, &reader)
            exchange = reader.exchange
            return ending
        case .urlEncoded: return body.readFields(&exchange)
        case .document(let bytesMax): return body.readDocument(bytesMax: bytesMax, &exchange)
        case .file(let destination): return body.readFile(destination, &exchange, into: intake)
        case .drain: return body.drain() ? .whole : .cutOff
        }
    }

    /// Does what the dialect decides, step by step, until it answers.
    @inline(never)
    private func perform(_ first: Step, _ intake: Intake, on mount: Mount) -> Answer {
        var step = first
        var published: [PublishedFile] = []
        var fields: [FormField] = []
        while true {
            switch step {
            case .answer(let answer):
                if published.isEmpty { return answer }
                return Completion(published, fields: fields).redirecting(answer, on: mount)
            case .perform(let command, let then):
                let result = Result { () throws(UploadError) in try intake.perform(command) }
                if !mount.completionPath.isEmpty, case .success(let outcome) = result {
                    let files = Self.clientFiles(of: outcome, from: command)
                    if !files.isEmpty { fields = self.fields(of: command, intake) }
                    published += files
                }
                step = then(result)
            }
        }
    }

    /// Why a request is not for its dialect to look at.
    private static func failure(of head: RequestHead, on mount: Mount) -> ServiceFailure? {
        if SameSite.refuses(head.request, on: mount) { return .otherSite }
        return head.contentEncoding.map { .contentCoding($0) }
    }

    /// The client's files that a command has published, in order; none of those that the server makes.
    private static func clientFiles(of outcome: Outcome, from command: Command) -> [PublishedFile] {
        switch (outcome, command) {
        case (.publishedForm(let files, _), _): files
        case (.published, .publishContent): []
        case (.published(let file), _): [file]
        case (.done, _), (.described, _), (.outlined, _), (.claimed, _), (.number, _), (.received, _), (.found, _): []
        }
    }

    /// The data fields that came with the files which a command publishes.
    private func fields(of command: Command, _ intake: Intake) -> [FormField] {
        let session: SessionKey
        switch command {
        case .publishForm(let form):
            guard let stored = form.stored.first else { return form.fields }
            session = stored.session
        case .publish(let key), .assemble(let key, _, _): session = key.session
        case .describe, .outline, .issueNumber, .open, .store, .claim, .remove, .cancel, .adopt, .commitPart, .append,
            .publishContent, .lookUp, .makeFolder:
            return []
        }
        guard case .described(let progress?) = try? intake.perform(.describe(session)) else { return [] }
        return progress.fields
    }
}
