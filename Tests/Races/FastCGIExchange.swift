import Foundation

/// A request as a web server passes it on, record by record (FastCGI 1.0, 3.3).
struct WebRequest {
    var method = "POST"
    /// Behind the mount, with its slash; may be empty.
    var path = ""
    var query = ""
    var contentType: String?
    var body: [UInt8] = []
    /// What a location says of its mount.
    var mount: [String: String] = [:]

    /// Where mounts are.
    static let mountPath = "/m"

    private var parameters: [String: String] {
        var parameters = mount
        parameters["GATEWAY_INTERFACE"] = "CGI/1.1"
        parameters["SERVER_PROTOCOL"] = "HTTP/1.1"
        parameters["SERVER_NAME"] = "localhost"
        parameters["SERVER_PORT"] = "80"
        parameters["HTTP_HOST"] = "localhost"
        parameters["REMOTE_ADDR"] = "127.0.0.1"
        parameters["REQUEST_METHOD"] = method
        parameters["REQUEST_URI"] = Self.mountPath + path + (query.isEmpty ? "" : "?" + query)
        parameters["QUERY_STRING"] = query
        parameters["SCRIPT_NAME"] = Self.mountPath
        parameters["PATH_INFO"] = path
        parameters["CONTENT_TYPE"] = contentType ?? ""
        parameters["CONTENT_LENGTH"] = String(body.count)
        return parameters
    }

    /// All of its records but those of the body, and those.
    var records: (head: [UInt8], body: [UInt8]) {
        var pairs: [UInt8] = []
        for (name, value) in parameters.sorted(by: { $0.key < $1.key }) {
            for length in [name.utf8.count, value.utf8.count] {
                pairs +=
                    length < 128
                    ? [UInt8(length)] : withUnsafeBytes(of: (UInt32(length) | 1 << 31).bigEndian, Array.init)
            }
            pairs += name.utf8
            pairs += value.utf8
        }
        let head =
            Self.record(type: 1, [0, 1, 0, 0, 0, 0, 0, 0]) + Self.record(type: 4, pairs) + Self.record(type: 4, [])
        var records: [UInt8] = []
        var rest = body[...]
        while !rest.isEmpty {
            records += Self.record(type: 5, Array(rest.prefix(16_384)))
            rest = rest.dropFirst(16_384)
        }
        return (head, records + Self.record(type: 5, []))
    }

    private static func record(type: UInt8, _ content: [UInt8]) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: (8 - content.count % 8) % 8)
        return [1, type, 0, 1, UInt8(content.count >> 8), UInt8(content.count & 255), UInt8(padding.count), 0]
            + content + padding
    }
}

/// How a request is sent.
enum Manner {
    case atOnce
    /// With a pause, in microseconds, behind so many of its bytes.
    case slow(after: Int, UInt32)
    /// The client goes after so many bytes, and a pause.
    case cut(after: Int, UInt32)
}

/// What came of a request.
enum Reply: CustomStringConvertible {
    case answer(status: Int, fields: [String: String], body: String)
    /// The client went.
    case cut
    /// The connection ended without an answer.
    case broken(String)

    var status: Int? {
        if case .answer(let status, _, _) = self { status } else { nil }
    }

    /// In short.
    var description: String {
        switch self {
        case .answer(let status, _, let body): "\(status) \(body.prefix(160))"
        case .cut: "cut"
        case .broken(let how): how
        }
    }

    /// The answer's body as a JSON object; empty when it is none.
    var json: [String: Any] {
        guard case .answer(_, _, let body) = self else { return [:] }
        return (try? JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]) ?? [:]
    }

    /// For how long a responder may go on with a request whose client is gone, in nanoseconds.
    private static let afterCut = 5_000_000_000

    /// When a request was over that was on its way during a period: a responder that was killed does nothing more.
    func end(_ period: Period) -> Int {
        switch self {
        case .answer, .broken: period.ended
        case .cut: period.ended + Self.afterCut
        }
    }
}

/// One request on one connection to a unix socket.
final class FastCGIExchange {
    /// How long an answer may take, in seconds.
    private static let timeoutSeconds = 60

    private let descriptor: Int32

    /// Connects; `nil` when nobody listens.
    init?(_ path: String) {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        var timeout = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else { return nil }
    }

    deinit { close(descriptor) }

    /// Sends a request and waits for its answer.
    func send(_ request: WebRequest, _ manner: Manner) -> Reply {
        let (head, body) = request.records
        let stream = head + body
        switch manner {
        case .atOnce:
            send(stream[...])
        case .slow(let count, let pause):
            send(stream.prefix(head.count + count))
            usleep(pause)
            send(stream.dropFirst(head.count + count))
        case .cut(let count, let pause):
            send(stream.prefix(head.count + count))
            usleep(pause)
            return .cut
        }
        return receive()
    }

    private func send(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            // An answer may be there all the same.
            guard count > 0 else { return }
            rest = rest.dropFirst(count)
        }
    }

    private func receive() -> Reply {
        var output: [UInt8] = []
        while true {
            guard let header = read(8), let content = read(Int(header[4]) << 8 | Int(header[5])),
                read(Int(header[6])) != nil
            else {
                return .broken(errno == EAGAIN ? "no answer in \(Self.timeoutSeconds) s" : "closed without an answer")
            }
            if header[1] == 6 { output += content }
            if header[1] == 3 { return Self.answer(output) }
        }
    }

    private static func answer(_ output: [UInt8]) -> Reply {
        guard let end = output.firstRange(of: Array("\r\n\r\n".utf8)) else {
            return .broken("an answer without a head: \(String(decoding: output, as: UTF8.self))")
        }
        var fields: [String: String] = [:]
        for line in output[..<end.lowerBound].split(separator: 10) {
            let line = String(decoding: line, as: UTF8.self)
            guard let colon = line.firstIndex(of: ":") else { continue }
            fields[line[..<colon].lowercased()] =
                line[line.index(after: colon)...].trimmingCharacters(in: .whitespacesAndNewlines)
        }
        let status = fields["status"].flatMap { Int($0.prefix(3)) } ?? 200
        return .answer(status: status, fields: fields, body: String(decoding: output[end.upperBound...], as: UTF8.self))
    }

    private func read(_ count: Int) -> [UInt8]? {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var block = [UInt8](repeating: 0, count: count - bytes.count)
            errno = 0
            let got = recv(descriptor, &block, block.count, 0)
            guard got > 0 else { return nil }
            bytes += block[..<got]
        }
        return bytes
    }
}
