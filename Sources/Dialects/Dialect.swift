public import HTTPTypes
public import Uploads

/// An upload protocol, as the clients of a site speak it already.
///
/// Each implementation has a folder of its own beside this file and one line in `DialectRegistry`; nothing else names it.
public protocol Dialect: Sendable {
    /// What `FERMATA_DIALECT` calls it, also in the ledger, in logs and in metrics: lower case letters and digits.
    var name: String { get }
    /// What it is, in a line for administrators.
    var summary: String { get }
    /// The settings that mean something to this dialect, beside those of every mount.
    var settings: [Setting] { get }
    /// The header fields that its exchanges look at.
    var headerFields: [HTTPField.Name] { get }
    /// What pages of other origins need of it.
    var crossOrigin: CrossOriginNeeds { get }
    /// Whether its clients send bodies to the very URL of the mount, which no web server may answer with a redirect.
    var receivesAtMountURL: Bool { get }
    /// Whether its answers have URLs in them that lead back to the mount.
    var makesURLs: Bool { get }

    /// Gives a mount the limits that the dialect's document names, to be changed by the web server's parameters.
    func configure(_ mount: inout Mount)

    /// Begins to answer a request.
    func exchange(for request: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange

    /// What a request is told that never becomes an exchange.
    func answer(to failure: ServiceFailure, on mount: Mount) -> Answer
}

extension Dialect {
    public var headerFields: [HTTPField.Name] { [.contentType] }

    public var makesURLs: Bool { false }

    public func configure(_ mount: inout Mount) {}

    /// A mount that speaks this dialect, with its limits.
    public func mount(name: String, principal: String = "", root: String) -> Mount {
        var mount = Mount(name: name, principal: principal, root: root)
        mount.dialect = self.name
        configure(&mount)
        return mount
    }
}

/// What a browser is to be told of a dialect, for pages of other origins (Fetch 3.2, "CORS protocol").
public struct CrossOriginNeeds: Sendable {
    /// The methods that its clients use.
    public let methods: [HTTPRequest.Method]
    /// The header fields of answers that its clients read, beside those that any page may.
    public let exposedFields: [HTTPField.Name]

    public init(methods: [HTTPRequest.Method], exposedFields: [HTTPField.Name] = []) {
        self.methods = methods
        self.exposedFields = exposedFields
    }
}

/// Why a request is answered without being looked at by its dialect.
public enum ServiceFailure: Error, Hashable, Sendable {
    /// The web server's parameters do not make a mount; the log says why.
    case misconfigured
    /// The body has a content coding that nobody here decodes (RFC 9110 8.4).
    case contentCoding(String)
    /// A page of another site sent it, which the mount forbids.
    case otherSite
    /// The service cannot take it now, or it cannot be what it seems to be: `overloaded`, `tooManyRequests`, `unclear`.
    case refused(UploadError)
}

extension ServiceFailure {
    /// What to tell the client; `nil` where the error has words of its own in each dialect.
    var words: String? {
        switch self {
        case .misconfigured: "The upload service is not configured; see its log"
        case .contentCoding(let name): "Content-Encoding \(name) is not understood; send the body as it is"
        case .otherSite: "pages of other sites may not upload here (FERMATA_SAME_SITE, FERMATA_CORS)"
        case .refused: nil
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
