import Foundation
import Testing

/// An HTTP/1.1 connection to a loopback port that sends exactly the bytes it is told to.
final class HTTPConnection {
    /// How long it waits for bytes, in seconds: as long as nginx does, as a disk may take minutes to sync some GiB.
    private static let timeoutSeconds = 300

    private let descriptor: Int32
    private var buffer: [UInt8] = []

    /// An answer.
    struct Answer: Sendable {
        let status: Int
        let fields: [String: String]
        let body: String

        /// The body as a JSON object.
        var json: [String: Any] {
            get throws {
                try #require(try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any])
            }
        }
    }

    /// An answer's body as a JSON array of objects.
    static func objects(_ value: Any?) throws -> [[String: Any]] {
        try #require(value as? [[String: Any]])
    }

    struct Failure: Error {
        let what: String
    }

    init(_ port: UInt16) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = inet_addr("127.0.0.1")
        var timeout = timeval(tv_sec: Self.timeoutSeconds, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else { throw Failure(what: "connect") }
    }

    deinit {
        close(descriptor)
    }

    /// Sends all bytes.
    func send(_ bytes: some ContiguousBytes) throws {
        try bytes.withUnsafeBytes { buffer in
            var done = 0
            while done < buffer.count {
                let count = Glibc.send(
                    descriptor,
                    buffer.baseAddress?.advanced(by: done),
                    buffer.count - done,
                    Int32(MSG_NOSIGNAL)
                )
                guard count > 0 else { throw Failure(what: "send") }
                done += count
            }
        }
    }

    /// Closes the side that sends, as a client does that has nothing more to say.
    func closeSending() throws {
        guard shutdown(descriptor, Int32(SHUT_WR)) == 0 else { throw Failure(what: "shutdown") }
    }

    /// Sends the head of a POST.
    func sendHead(
        _ method: String,
        _ path: String,
        _ contentType: String?,
        length: Int?,
        _ fields: [String] = []
    ) throws {
        var head = "\(method) \(path) HTTP/1.1\r\nHost: localhost\r\n"
        if let contentType { head += "Content-Type: \(contentType)\r\n" }
        head += length.map { "Content-Length: \($0)\r\n" } ?? "Transfer-Encoding: chunked\r\n"
        for field in fields { head += field + "\r\n" }
        try send(Array((head + "\r\n").utf8))
    }

    /// Posts a body and reads the answer.
    func post(_ path: String, _ contentType: String?, _ body: [UInt8], _ fields: [String] = []) throws -> Answer {
        try request("POST", path, contentType, body, fields)
    }

    /// Sends a request and reads the answer.
    func request(
        _ method: String,
        _ path: String,
        _ contentType: String? = nil,
        _ body: [UInt8] = [],
        _ fields: [String] = []
    ) throws -> Answer {
        try sendHead(method, path, contentType, length: body.count, fields)
        try send(body)
        return try receive()
    }

    /// Posts a body in chunks of a size.
    func postChunked(
        _ path: String,
        _ contentType: String,
        _ body: [UInt8],
        chunk: Int,
        _ fields: [String] = []
    ) throws -> Answer {
        try sendHead("POST", path, contentType, length: nil, fields)
        try sendChunks(body, chunk: chunk)
        return try receive()
    }

    /// Sends a body in chunks of a size.
    func sendChunks(_ body: [UInt8], chunk: Int) throws {
        var offset = 0
        while offset < body.count {
            let part = body[offset..<min(offset + chunk, body.count)]
            try send(Array((String(part.count, radix: 16) + "\r\n").utf8) + part + [13, 10])
            offset += chunk
        }
        try send(Array("0\r\n\r\n".utf8))
    }

    /// Reads an answer.
    func receive() throws -> Answer {
        while true {
            if let end = buffer.firstRange(of: Array("\r\n\r\n".utf8)) {
                let lines = String(decoding: buffer[..<end.lowerBound], as: UTF8.self)
                    .split(separator: "\r\n", omittingEmptySubsequences: false)
                var fields: [String: String] = [:]
                for line in lines.dropFirst() {
                    let colon = try #require(line.firstIndex(of: ":"))
                    fields[line[..<colon].lowercased()] = line[line.index(after: colon)...].trimmingCharacters(
                        in: .whitespaces
                    )
                }
                let status = try #require(lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) })
                buffer.removeFirst(end.upperBound)
                let body =
                    if fields["transfer-encoding"] == "chunked" {
                        try takeChunks()
                    } else {
                        try take(#require(fields["content-length"].flatMap { Int($0) }))
                    }
                return Answer(status: status, fields: fields, body: String(decoding: body, as: UTF8.self))
            }
            try fill()
        }
    }

    /// The next bytes of the connection.
    private func take(_ count: Int) throws -> [UInt8] {
        while buffer.count < count { try fill() }
        defer { buffer.removeFirst(count) }
        return Array(buffer[..<count])
    }

    /// A body in chunks, without trailers.
    private func takeChunks() throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            guard let end = buffer.firstRange(of: [13, 10]) else {
                try fill()
                continue
            }
            let digits = try take(end.upperBound).dropLast(2)
            let count = try #require(Int(String(decoding: digits, as: UTF8.self), radix: 16))
            body += try take(count)
            _ = try take(2)
            if count == 0 { return body }
        }
    }

    private func fill() throws {
        var block = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &block, block.count, 0)
        guard count > 0 else { throw Failure(what: "receive") }
        buffer += block[..<count]
    }
}
