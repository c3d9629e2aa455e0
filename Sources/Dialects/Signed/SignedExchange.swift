import Digests
import HTTPTypes
import MultipartForm
import Uploads

/// One request in the protocol of signed part URLs (docs/dialects/signed.md 5): a JSON call, or the bytes of a part.
///
/// A task is a session, and each of its uploads a file of it; so they are found by mount, principal and task.
struct SignedExchange: Exchange {
    private enum Request {
        case call(Call)
        case part(PartURL)
        case refused(SignedError)
    }

    private enum Call: String {
        case initiate = "multipart/init"
        case list = "multipart/list"
        case complete = "multipart/complete"
        case abort = "multipart/abort"
        case confirm = "confirm"
    }

    let mount: Mount
    let context: RequestContext
    /// The URL of the mount, without a slash at its end.
    let baseURL: String
    private let request: Request
    private var document: Result<JSON, SignedError> = .failure(.badRequest("the body must be a JSON object"))
    private var stored: Result<Receipt, UploadError>?

    init(_ head: RequestHead, on mount: Mount, in context: RequestContext) {
        self.mount = mount
        self.context = context
        baseURL = mount.baseURL.isEmpty ? head.mountURL : mount.baseURL
        let components = head.pathInfo.split(separator: "/").map(String.init)
        let method = head.request.method
        if components.starts(with: PartURL.pathPrefix) {
            do throws(PartURL.Failure) {
                let url = try PartURL(components: components, query: head.query, on: mount, in: context)
                request = method == .put ? .part(url) : .refused(.methodNotAllowed("PUT"))
            } catch {
                switch error {
                case .invalid: request = .refused(.forbidden("the URL of the part is not valid"))
                case .expired: request = .refused(.forbidden("the URL of the part has expired; ask for the list"))
                }
            }
        } else if let call = Call(rawValue: components.joined(separator: "/")) {
            // A page of any site may have its visitors send other types, with their cookies (Fetch 2.2.2, "simple").
            request =
                method != .post
                ? .refused(.methodNotAllowed("POST"))
                : head.contentType.map { MediaType(parsing: $0) } == .json ? .call(call) : .refused(.mediaType)
        } else {
            request = .refused(.noSuchCall)
        }
    }

    // MARK: The body

    var body: BodyPlan {
        switch request {
        case .call: .document(bytesMax: JSONReader.bytesMax)
        case .part(let url):
            .file(
                // Its size was declared, so nothing else limits it.
                .part(PartDestination(key(url), number: url.number, bytesMax: .max, sizeHint: nil))
            )
        case .refused: .drain
        }
    }

    /// A part belongs to whom its URL names, whoever sends it.
    var principal: String? {
        switch request {
        case .part(let url): url.principal
        case .call, .refused: nil
        }
    }

    mutating func fileEnded(_ result: Result<Receipt, UploadError>) { stored = result }

    mutating func documentEnded(_ bytes: [UInt8]) {
        do throws(JSONReader.Failure) {
            let json = try JSONReader.read(bytes)
            if case .object = json { document = .success(json) }
        } catch {
            document = .failure(.badRequest("the body is not JSON: \(error)"))
        }
    }

    private func key(_ url: PartURL) -> FileKey {
        FileKey(SessionKey(on: mount.of(url.principal), id: url.taskID), field: url.uploadID)
    }

    // MARK: The end of the request

    mutating func bodyEnded(_ ending: BodyEnding) -> Step {
        if case .tooLarge(let bytesMax) = ending { document = .failure(.tooLarge("at most \(bytesMax) bytes of JSON")) }
        switch request {
        case .refused(let error): return refuse(error)
        case .part(let url):
            guard ending == .whole else { return refuse(.badRequest("the body was cut off")) }
            return storePart(url)
        case .call(let call):
            switch document {
            case .failure(let error): return refuse(error)
            case .success(let json): return perform(call, CallArguments(json))
            }
        }
    }

    private func perform(_ call: Call, _ arguments: CallArguments) -> Step {
        do throws(SignedError) {
            switch call {
            case .initiate: return try initiate(arguments)
            case .list: return try list(arguments)
            case .complete: return try complete(arguments)
            case .abort: return try abort(arguments)
            case .confirm: return try confirm(arguments)
            }
        } catch {
            return refuse(error)
        }
    }

    func refuse(_ error: SignedError) -> Step { .answer(error.answer(type: mount.answerType)) }

    func refusal(_ error: UploadError) -> Answer { SignedError(error).answer(type: mount.answerType) }

    func answer(_ members: [(String, JSON)]) -> Step {
        .answer(Answer(.ok, .object(members), type: mount.answerType, code: "OK"))
    }

    // MARK: PUT part (docs/dialects/signed.md 5.3)

    private func storePart(_ url: PartURL) -> Step {
        switch stored {
        case .failure(let error): return .answer(refusal(error))
        case .success(.held(let held, _, let digest?)):
            return .perform(.commitPart(held, key(url), number: url.number, expected: nil), orFail: refusal) { _ in
                .answer(Answer(.ok, fields: [.eTag: "\"\(digest)\"", .cacheControl: "no-store"], code: "OK"))
            }
        // The bytes of a part are held, with their digest, until here.
        case .success, nil: return .answer(refusal(.superseded))
        }
    }
}

extension RequestHead {
    /// The URL of the mount as the client sees it, when nothing stands between it and the web server.
    fileprivate var mountURL: String {
        let scheme = request.scheme ?? "http"
        let path = (request.path ?? "").prefix { $0 != "?" }
        let mount = path.hasSuffix(pathInfo) ? path.dropLast(pathInfo.count) : path
        return "\(scheme)://\(request.authority ?? "localhost")\(mount)"
    }
}
