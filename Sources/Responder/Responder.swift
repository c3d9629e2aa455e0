import Dialects
public import Engine
public import FastCGI
import HTTPTypes
public import Logging
import MultipartForm
import Uploads

/// Answers requests: from the web server's parameters to the mount, from the body through parser, dialect and engine to
/// the answer, on the thread that calls it.
public struct Responder: Sendable {
    /// How much of a body is read for nothing, so that a client that is still sending sees the answer, in bytes; one that
    /// sends more finds its connection closed.
    public static let drainBytesMax: Int64 = 4 << 30

    private let engine: Engine
    private let settings: ResponderSettings
    private let logger: Logger
    private let buffers = BodyBufferPool()

    /// A responder on an engine.
    public init(_ engine: Engine, settings: ResponderSettings, logger: Logger) {
        self.engine = engine
        self.settings = settings
        self.logger = logger
    }

    /// Sees one request through.
    public func respond(to request: consuming Request) {
        let start = ContinuousClock.now
        let parameters: MountParameters
        let head: RequestHead
        do throws(MountError) {
            guard request.areParametersComplete else {
                throw MountError(description: "the request has too many or too large parameters")
            }
            parameters = try MountParameters(request, settings)
            head = try Self.head(request)
        } catch {
            logger.error("mount can not be served", metadata: ["reason": "\(error)"])
            var drained: Int64 = 0
            _ = Self.drain(&request, buffers.lend(), &drained)
            request.send(.internalServerError, Self.plainFields, body: Self.misconfiguredBody)
            return
        }
        var bytes: Int64 = 0
        let answer = Self.answer(
            &request,
            head,
            parameters,
            Intake(engine, for: parameters.mount),
            buffers,
            &bytes
        )
        let isHeard = request.send(answer.status, answer.fields, body: answer.body)
        log(parameters, head, answer, bytes: bytes, isHeard: isHeard, since: start)
    }

    private static let plainFields: HTTPFields = [
        .contentType: "application/json; charset=utf-8", .cacheControl: "no-store",
    ]
    /// Before the mount is known there is no dialect to answer in: members of all of them.
    private static let misconfiguredBody =
        Array(
            #"{"result":"ERROR","code":500,"message":"The upload service is not configured; see its log","#.utf8
        )
        + Array(#""error":"InternalError","detail":"The upload service is not configured; see its log"}"#.utf8)

    private static func head(_ request: borrowing Request) throws(MountError) -> RequestHead {
        guard let httpRequest = request.httpRequest else {
            throw MountError(description: "REQUEST_METHOD is not set: include fastcgi_params in the location")
        }
        let length: Int64?
        switch request.contentLength {
        case .known(let count): length = count
        case .unknown: length = nil
        case .malformed: throw MountError(description: "CONTENT_LENGTH is not a number")
        }
        return RequestHead(
            httpRequest,
            pathInfo: request.parameter("PATH_INFO") ?? "",
            query: request.parameter("QUERY_STRING") ?? "",
            contentLength: length
        )
    }

    // MARK: The body

    private static func answer(
        _ request: inout Request,
        _ head: RequestHead,
        _ parameters: MountParameters,
        _ intake: Intake,
        _ buffers: BodyBufferPool,
        _ bytes: inout Int64
    ) -> Answer {
        var exchange = parameters.dialect.exchange(for: head, on: parameters.mount)
        let buffer = buffers.lend()
        let ending: BodyEnding
        switch exchange.body {
        case .multipart(let boundary):
            var reader = FormReader(exchange, into: intake)
            ending = readForm(&request, boundary, &reader, buffer, &bytes)
            exchange = reader.exchange
        case .urlEncoded:
            ending = readFields(&request, &exchange, buffer, &bytes)
        case .drain:
            ending = drain(&request, buffer, &bytes) ? .whole : .cutOff
        }
        let outcomes = exchange.bodyEnded(ending).map { command in
            Result { () throws(UploadError) in try intake.perform(command) }
        }
        return exchange.answer(outcomes)
    }

    private static func readForm(
        _ request: inout Request,
        _ boundary: Boundary,
        _ reader: inout FormReader,
        _ buffer: borrowing BodyBuffer,
        _ bytes: inout Int64
    ) -> BodyEnding {
        var parser = MultipartParser(boundary: boundary)
        var failure: MultipartError?
        while true {
            let block = request.read(into: buffer)
            bytes += Int64(block.count)
            buffer.withBytes(block.count) { span in
                do throws(MultipartError) { try parser.parse(span, &reader) } catch { failure = error }
            }
            failure = failure ?? reader.failure
            if failure != nil {
                reader.bodyCutOff()
                let isWhole = block.isLast || drain(&request, buffer, &bytes)
                return failure.flatMap { isWhole ? .malformed($0) : nil } ?? .cutOff
            }
            switch block {
            case .bytes: continue
            case .last:
                do throws(MultipartError) { try parser.finish() } catch {
                    reader.bodyCutOff()
                    return .malformed(error)
                }
                return .whole
            case .cutOff:
                // All that the parser wants may have come, yet the web server says that there was more.
                reader.bodyCutOff()
                return .cutOff
            }
        }
    }

    private static func readFields(
        _ request: inout Request,
        _ exchange: inout any Exchange,
        _ buffer: borrowing BodyBuffer,
        _ bytes: inout Int64
    ) -> BodyEnding {
        let limits = MultipartLimits()
        var body: [UInt8] = []
        while true {
            let block = request.read(into: buffer)
            bytes += Int64(block.count)
            buffer.withBytes(block.count) { span in
                for index in span.indices { body.append(span[index]) }
            }
            guard body.count <= limits.allFieldBytesMax else {
                let isWhole = block.isLast || drain(&request, buffer, &bytes)
                return isWhole ? .malformed(.fieldsTooLarge(max: limits.allFieldBytesMax)) : .cutOff
            }
            switch block {
            case .bytes: continue
            case .cutOff: return .cutOff
            case .last: break
            }
            do throws(MultipartError) {
                for field in try FormURLEncoded.parse(body, limits: limits) {
                    exchange.fieldEnded(FormField(name: field.name, value: field.value), raw: field.rawValue)
                }
                return .whole
            } catch {
                return .malformed(error)
            }
        }
    }

    /// Reads the rest of a body for nothing; false when it was cut off.
    private static func drain(
        _ request: inout Request,
        _ buffer: borrowing BodyBuffer,
        _ bytes: inout Int64
    ) -> Bool {
        var drained: Int64 = 0
        while drained < drainBytesMax {
            let block = request.read(into: buffer)
            bytes += Int64(block.count)
            drained += Int64(block.count)
            switch block {
            case .bytes: continue
            case .last: return true
            case .cutOff: return false
            }
        }
        return true
    }

    // MARK: The log

    private func log(
        _ parameters: MountParameters,
        _ head: RequestHead,
        _ answer: Answer,
        bytes: Int64,
        isHeard: Bool,
        since start: ContinuousClock.Instant
    ) {
        let microseconds = Int((ContinuousClock.now - start) / .microseconds(1))
        var metadata: Logger.Metadata = [
            "mount": "\(parameters.mount.name)", "dialect": "\(parameters.dialect.rawValue)",
            "method": "\(head.request.method.rawValue)", "status": "\(answer.status.code)", "code": "\(answer.code)",
            "bytes": "\(bytes)", "us": "\(microseconds)", "heard": "\(isHeard)",
        ]
        if let failure = answer.failure {
            metadata["failure"] = "\(failure)"
            logger.error("request", metadata: metadata)
        } else {
            logger.info("request", metadata: metadata)
        }
    }
}

extension Request.Block {
    /// The number of bytes at the start of the buffer.
    fileprivate var count: Int {
        switch self {
        case .bytes(let count), .last(let count), .cutOff(let count): count
        }
    }

    /// True when nothing follows and the body is whole.
    fileprivate var isLast: Bool {
        if case .last = self { true } else { false }
    }
}
