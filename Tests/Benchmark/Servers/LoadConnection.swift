import Foundation

/// An HTTP/1.1 connection that is kept, which sends bodies straight from memory.
final class LoadConnection {
    /// How long it waits for bytes, in seconds.
    private static let timeoutSeconds = 120

    private let descriptor: Int32
    private let content: Content
    private var received: [UInt8] = []
    /// How long each request that carried bytes took, in seconds.
    private(set) var seconds: [Double] = []

    struct Answer {
        let status: Int
        /// By names in lower case.
        let fields: [String: String]
        let body: String

        /// What a JSON body says.
        func member<Value>(_ name: String, as type: Value.Type = Value.self) throws -> Value {
            let object = try JSONSerialization.jsonObject(with: Data(body.utf8)) as? [String: Any]
            guard let value = object?[name] as? Value else { throw BenchmarkError("no \(name) in \(status) \(body)") }
            return value
        }
    }

    init(_ port: UInt16, _ content: Content) throws {
        self.content = content
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
        guard result == 0 else { throw BenchmarkError("nginx can not be reached") }
    }

    deinit { close(descriptor) }

    /// Sends a request that carries no file bytes; any answer of 2xx is a success.
    func call(_ method: String, _ target: String, _ contentType: String, _ body: String) throws -> Answer {
        try send(head(method, target, ["Content-Type: \(contentType)"], length: body.utf8.count) + body)
        return try receive()
    }

    /// Sends a request whose body holds a part between a prefix and a suffix.
    func upload(
        _ method: String,
        _ target: String,
        _ fields: [String],
        _ part: Workload.Part,
        prefix: String = "",
        suffix: String = ""
    ) throws -> Answer {
        let start = ContinuousClock.now
        let length = prefix.utf8.count + part.count + suffix.utf8.count
        try send(head(method, target, fields, length: length) + prefix, isMore: true)
        var rest = part.count
        var offset = off_t(part.start % Content.blockBytes)
        while rest > 0 {
            if offset == Content.blockBytes { offset = 0 }
            let sent = sendfile(descriptor, content.descriptor, &offset, min(rest, Content.blockBytes - Int(offset)))
            guard sent > 0 else { throw BenchmarkError("sendfile fails") }
            rest -= sent
        }
        if !suffix.isEmpty { try send(suffix) }
        let answer = try receive()
        seconds.append((ContinuousClock.now - start) / .seconds(1))
        return answer
    }

    private func head(_ method: String, _ target: String, _ fields: [String], length: Int) -> String {
        "\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n" + fields.map { $0 + "\r\n" }.joined()
            + "Content-Length: \(length)\r\n\r\n"
    }

    private func send(_ text: String, isMore: Bool = false) throws {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let flags = Int32(MSG_NOSIGNAL) | (isMore ? Int32(MSG_MORE) : 0)
            let count = bytes.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, flags) }
            guard count > 0 else { throw BenchmarkError("send fails") }
            bytes = bytes.dropFirst(count)
        }
    }

    private func receive() throws -> Answer {
        let end = Array("\r\n\r\n".utf8)
        while true {
            if let range = received.firstRange(of: end) {
                let lines = String(decoding: received[..<range.lowerBound], as: UTF8.self).split(separator: "\r\n")
                var fields: [String: String] = [:]
                for line in lines.dropFirst() {
                    let (name, value) = (line.prefix { $0 != ":" }, line.drop { $0 != ":" }.dropFirst())
                    fields[name.lowercased()] = value.trimmingCharacters(in: .whitespaces)
                }
                let status = lines.first?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
                let isChunked = fields["transfer-encoding"] == "chunked"
                let bodyEnd: Int
                if isChunked {
                    guard let last = received[range.upperBound...].firstRange(of: Array("0\r\n\r\n".utf8)) else {
                        try fill()
                        continue
                    }
                    bodyEnd = last.upperBound
                } else {
                    bodyEnd = range.upperBound + (fields["content-length"].flatMap { Int($0) } ?? 0)
                }
                while received.count < bodyEnd { try fill() }
                let body = String(decoding: received[range.upperBound..<bodyEnd], as: UTF8.self)
                received.removeFirst(bodyEnd)
                guard (200..<300).contains(status) else { throw BenchmarkError("\(status) \(body)") }
                return Answer(status: status, fields: fields, body: body)
            }
            try fill()
        }
    }

    private func fill() throws {
        var block = [UInt8](repeating: 0, count: 64 << 10)
        let count = recv(descriptor, &block, block.count, 0)
        guard count > 0 else { throw BenchmarkError("the connection is broken") }
        received += block[..<count]
    }
}
