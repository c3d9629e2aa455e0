/// Where the responder listens. TCP only on a loopback address: FastCGI has no authentication of its own.
public enum ListenAddress: Hashable, Sendable {
    /// A unix socket of this path.
    case unix(path: String)
    /// A TCP port of a loopback address.
    case loopback(host: String, port: UInt16)
    /// A socket that another process has opened; 0 when a web server or spawn-fcgi starts the responder.
    case descriptor(CInt)

    /// Why a text is no address to listen on.
    public struct Invalid: Error, CustomStringConvertible {
        /// What to do instead.
        public let description: String
    }

    /// Reads `unix:/path` or `/path`, `127.0.0.1:9000`, `[::1]:9000` or `localhost:9000`, `fd:0`.
    public init(parsing text: String) throws(Invalid) {
        if text.hasPrefix("fd:") {
            guard let number = CInt(text.dropFirst(3)), number >= 0 else {
                throw Invalid(description: "'\(text)' is not of the form fd:NUMBER")
            }
            self = .descriptor(number)
            return
        }
        let path = text.hasPrefix("unix:") ? String(text.dropFirst(5)) : text
        if path.hasPrefix("/") {
            guard path.utf8.count <= Self.pathBytesMax else {
                throw Invalid(description: "the path of a unix socket may have at most \(Self.pathBytesMax) bytes")
            }
            self = .unix(path: path)
            return
        }
        guard let colon = text.lastIndex(of: ":"), let port = UInt16(text[text.index(after: colon)...]), port > 0 else {
            throw Invalid(description: "'\(text)' is not of the form unix:/PATH, 127.0.0.1:PORT or fd:NUMBER")
        }
        switch text[..<colon] {
        case "127.0.0.1", "localhost": self = .loopback(host: "127.0.0.1", port: port)
        case "[::1]": self = .loopback(host: "::1", port: port)
        case let host:
            throw Invalid(description: "'\(host)' is not a loopback address: use 127.0.0.1, [::1] or a unix socket")
        }
    }

    /// The longest path of a unix socket in bytes: sun_path without its NUL (unix(7)).
    public static let pathBytesMax = 107
}

extension ListenAddress: CustomStringConvertible {
    /// The address as it is read.
    public var description: String {
        switch self {
        case .unix(let path): "unix:\(path)"
        case .loopback(let host, let port): host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)"
        case .descriptor(let number): "fd:\(number)"
        }
    }
}
