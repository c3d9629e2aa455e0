import Digests
import HTTPTypes
import MultipartForm
import Uploads

@testable import Dialects

/// What exchanges know in tests.
let surroundings: RequestContext = {
    guard let key = SigningKey(bytes: Array(0..<32)) else { preconditionFailure("a key has 32 bytes") }
    return RequestContext(signingKey: key, now: 1_000_000)
}()

/// The dialects that are shipped, by name.
enum ShippedDialect: String, CaseIterable {
    case dcloud, fileid, parts, offset, signed

    var dialect: any Dialect {
        switch self {
        case .dcloud: DCloudDialect()
        case .fileid: FileIDDialect()
        case .parts: PartsDialect()
        case .offset: OffsetDialect()
        case .signed: SignedDialect()
        }
    }

    func configure(_ mount: inout Mount) { dialect.configure(&mount) }

    func exchange(for head: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange {
        dialect.exchange(for: head, on: mount, in: context)
    }
}

/// Follows the steps of an exchange to its answer, giving each command the next of some results.
func drive(
    _ first: Step,
    _ results: [Result<Outcome, UploadError>] = []
) -> (commands: [Command], answer: Answer?) {
    var (step, results, commands) = (first, results[...], [Command]())
    while true {
        switch step {
        case .answer(let answer): return (commands, answer)
        case .perform(let command, let then):
            commands.append(command)
            guard let result = results.popFirst() else { return (commands, nil) }
            step = then(result)
        }
    }
}

/// A request in a dialect.
func exchange(
    _ dialect: ShippedDialect,
    _ contentType: String?,
    method: HTTPRequest.Method = .post,
    path: String = "",
    query: String = "",
    length: Int64? = nil,
    on mount: Mount
) -> any Exchange {
    var request = HTTPRequest(method: method, scheme: "http", authority: "host", path: "/m" + path)
    request.headerFields[.contentType] = contentType
    let head = RequestHead(request, pathInfo: path, query: query, contentLength: length)
    return dialect.exchange(for: head, on: mount, in: surroundings)
}
