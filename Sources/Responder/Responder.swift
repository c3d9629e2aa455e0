import Dialects
public import Digests
public import Engine
public import FastCGI
import HTTPTypes
public import Logging
public import Metrics
public import Mounts
import Uploads

/// Answers requests: from the web server's parameters to the mount, from the body through parser, dialect and engine to
/// the answer, on the thread that calls it.
public struct Responder: Sendable {
    private let handler: Handler
    private let mounts: MountCache
    private let dialects: DialectRegistry
    private let logger: Logger
    private let accessLog: AccessLog
    private let buffers = BodyBufferPool()
    private let meters: Meters
    private let statusPages: StatusPages

    /// A responder on an engine.
    ///
    /// - Parameters:
    ///   - signingKey: signs the URLs that authorise themselves.
    ///   - policy: what mounts may be.
    ///   - meters: counts requests, by the dialects of the policy in their order.
    ///   - logger: is told of mounts that can not be served.
    ///   - accessLog: is told of every other request.
    public init(
        _ engine: Engine,
        policy: MountPolicy,
        signingKey: SigningKey,
        meters: Meters,
        logger: Logger,
        accessLog: AccessLog
    ) {
        self.meters = meters
        statusPages = StatusPages(
            engine: engine,
            meters: meters,
            defaultRoot: policy.defaultRoot,
            allowedRoots: policy.allowedRoots
        )
        handler = Handler(engine, signingKey: signingKey)
        mounts = MountCache(policy)
        dialects = policy.dialects
        self.logger = logger
        self.accessLog = accessLog
    }

    /// Sees one request through.
    public func respond(to request: consuming Request) {
        let start = ContinuousClock.now
        if request.parameter(Self.urgentParameter) == "on" { return answerStatus(request) }
        let fault = Self.fault(of: request)
        let location: Location
        let head: RequestHead
        do throws(MountError) {
            guard request.areParametersComplete else {
                throw MountError(description: "the request has too many or too large parameters")
            }
            location = try mounts.location(of: request, at: start)
            head = try Self.head(request, location)
        } catch {
            return answerMisconfigured(request, error)
        }
        var body = BodyReader(RequestBody(request, buffers), drainBytesMax: handler.drainBytesMax)
        let dialect = location.parameters.dialect
        let crossOrigin = CrossOrigin(head.request, dialect.crossOrigin, on: location.parameters.mount)
        let answer: Answer
        if let fault {
            _ = body.drain()
            answer = crossOrigin.extending(dialect.answer(to: .refused(fault), on: location.parameters.mount))
        } else {
            answer = crossOrigin.extending(
                crossOrigin.preflight ?? handler.answer(head, in: dialect, on: location.parameters.mount, &body)
            )
        }
        let count = body.count
        finish(body.release(), bytes: count, head, on: location.parameters, answer, since: start)
    }

    /// Answers a request of a mount that the web server's configuration does not describe rightly.
    @inline(never)
    private func answerMisconfigured(_ request: consuming Request, _ error: MountError) {
        logger.error("mount can not be served", metadata: ["reason": "\(error)"])
        var body = BodyReader(RequestBody(request, buffers), drainBytesMax: handler.drainBytesMax)
        _ = body.drain()
        guard let dialect = error.dialect else {
            _ = body.release().send(.internalServerError, Self.plainFields, body: Self.misconfiguredBody)
            return
        }
        let answer = dialect.answer(to: .misconfigured, on: dialect.mount(name: "", root: ""))
        _ = body.release().send(answer.status, answer.fields, body: answer.body)
    }

    /// Answers, counts and logs a request whose body has been read.
    ///
    /// A function of its own, so that the stack of a worker that waits for a slow client holds nothing of it.
    @inline(never)
    private func finish(
        _ body: consuming RequestBody,
        bytes count: Int64,
        _ head: RequestHead,
        on parameters: MountParameters,
        _ answer: Answer,
        since start: ContinuousClock.Instant
    ) {
        // Before the client hears of it, so that what it knows of is counted.
        self.count(parameters.dialect, answer, bytes: count, since: start)
        let isHeard = body.send(answer.status, answer.fields, body: answer.body)
        accessLog.record(
            head,
            on: parameters,
            answer,
            bytes: count,
            microseconds: Self.microseconds(since: start),
            isHeard: isHeard
        )
    }

    /// Refuses a request for which there is no worker, in the words of its dialect, without waiting for its client.
    public func refuse(_ request: consuming Request) {
        let start = ContinuousClock.now
        let answer: Answer
        let known: (RequestHead, MountParameters)?
        do throws(MountError) {
            let location = try mounts.location(of: request, at: start)
            let head = try Self.head(request, location)
            let (dialect, mount) = (location.parameters.dialect, location.parameters.mount)
            let crossOrigin = CrossOrigin(head.request, dialect.crossOrigin, on: mount)
            answer = crossOrigin.extending(dialect.answer(to: .refused(.overloaded), on: mount))
            known = (head, location.parameters)
        } catch {
            // Why it cannot be served is logged when there is time for it.
            answer = Answer(.serviceUnavailable, fields: Self.plainFields, code: "503")
            known = nil
        }
        var body = BodyReader(RequestBody(request, buffers), drainBytesMax: handler.drainBytesMax)
        body.readWhatIsThere()
        let count = body.count
        guard let (head, parameters) = known else {
            _ = body.release().send(answer.status, answer.fields, body: answer.body)
            return
        }
        finish(body.release(), bytes: count, head, on: parameters, answer, since: start)
    }

    /// The parameter of requests that are answered although all workers are taken.
    public static let urgentParameter = MountParameters.statusName

    /// Answers who looks after the service.
    private func answerStatus(_ request: consuming Request) {
        let method = request.parameter("REQUEST_METHOD") ?? ""
        let path = request.parameter("PATH_INFO") ?? ""
        let (status, fields, text) = statusPages.answer(method, path)
        var body = BodyReader(RequestBody(request, buffers), drainBytesMax: handler.drainBytesMax)
        // A client that sends a body slowly must not hold what is in reserve for others.
        body.readWhatIsThere()
        _ = body.release().send(status, fields, body: method == "HEAD" ? [] : Array(text.utf8))
    }

    private static let plainFields: HTTPFields = [
        .contentType: "application/json; charset=utf-8", .cacheControl: "no-store",
    ]
    /// What is answered where a location does not say which dialect it speaks.
    private static let misconfiguredBody = Array(
        #"{"code":500,"message":"The upload service is not configured; see its log"}"#.utf8
    )

    /// Why a request is refused whatever it asks for; `nil` when it is not.
    private static func fault(of request: borrowing Request) -> UploadError? {
        if request.holdsNUL {
            return .unclear(message: "a NUL is not allowed in a user name, nor anywhere else in a header")
        }
        return switch request.contentLength {
        case .known, .unknown: nil
        case .malformed: .unclear(message: "Content-Length is not a number of bytes")
        }
    }

    private static func head(_ request: borrowing Request, _ location: Location) throws(MountError) -> RequestHead {
        guard let httpRequest = request.httpRequest(withFields: location.fields) else {
            throw MountError(description: "REQUEST_METHOD is not set: include fastcgi_params in the location")
        }
        let length: Int64?
        switch request.contentLength {
        case .known(let count): length = count
        case .unknown, .malformed: length = nil
        }
        return RequestHead(
            httpRequest,
            pathInfo: request.parameter("PATH_INFO") ?? "",
            query: request.parameter("QUERY_STRING") ?? "",
            contentLength: length
        )
    }

    private func count(_ dialect: any Dialect, _ answer: Answer, bytes: Int64, since start: ContinuousClock.Instant) {
        guard let number = dialects.dialects.firstIndex(where: { $0.name == dialect.name }) else { return }
        meters.countRequest(
            protocol: number,
            status: answer.status.code,
            bytes: bytes,
            microseconds: Self.microseconds(since: start)
        )
    }

    private static func microseconds(since start: ContinuousClock.Instant) -> Int {
        Int((ContinuousClock.now - start) / .microseconds(1))
    }
}
