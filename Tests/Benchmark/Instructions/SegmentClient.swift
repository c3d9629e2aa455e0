import Foundation

/// Uploads DCloud segments over FastCGI, as nginx would pass them on.
struct SegmentClient {
    private static let segmentBytes = 100 << 10
    private static let boundary = "----Segments"
    /// How much nginx puts into a record, in bytes.
    private static let recordBytes = 32 << 10
    /// For how long the responder is waited for, in seconds.
    private static let startSeconds = 60

    private let socket: String

    init(_ socket: String) { self.socket = socket }

    /// Uploads the first segments of a larger file.
    func upload(segments count: Int) throws {
        for index in 0..<count {
            let start = index * Self.segmentBytes
            let body = form(start..<start + Self.segmentBytes, total: (count + 1) * Self.segmentBytes)
            let answer = try request(body)
            guard answer.contains("Status: 200"), answer.contains("\"range\":\"0-\(start + Self.segmentBytes)\"") else {
                throw BenchmarkError("segment \(index): \(answer)")
            }
        }
    }

    private func form(_ range: Range<Int>, total: Int) -> [UInt8] {
        let head = """
            --\(Self.boundary)\r
            Content-Disposition: form-data; name="file"; filename="f"; range="\(range.lowerBound)-\(range.upperBound)/\(total)"\r
            Content-Type: application/octet-stream\r
            \r

            """
        let content = (0..<range.count).map { UInt8(truncatingIfNeeded: $0 &* 167) }
        return Array(head.utf8) + content + Array("\r\n--\(Self.boundary)--\r\n".utf8)
    }

    private var parameters: [(String, String)] {
        [
            ("GATEWAY_INTERFACE", "CGI/1.1"), ("SERVER_SOFTWARE", "nginx"), ("SERVER_PROTOCOL", "HTTP/1.1"),
            ("SERVER_NAME", "localhost"), ("SERVER_PORT", "8080"), ("REMOTE_ADDR", "127.0.0.1"),
            ("REQUEST_METHOD", "POST"), ("REQUEST_URI", "/FileUploader/"), ("QUERY_STRING", ""),
            ("CONTENT_TYPE", "multipart/form-data; boundary=\(Self.boundary)"), ("SCRIPT_NAME", "/FileUploader"),
            ("PATH_INFO", "/"), ("FERMATA_DIALECT", "dcloud"), ("HTTP_HOST", "localhost"),
            ("HTTP_USER_AGENT", "benchmark"), ("HTTP_ACCEPT", "*/*"),
        ]
    }

    // MARK: FastCGI 1.0

    private func request(_ body: [UInt8]) throws -> String {
        let connection = try connect()
        defer { close(connection) }
        var bytes = Self.record(type: 1, [0, 1, 0, 0, 0, 0, 0, 0])
        var pairs: [UInt8] = []
        for (name, value) in parameters + [("CONTENT_LENGTH", "\(body.count)")] {
            pairs += [UInt8(name.utf8.count), UInt8(value.utf8.count)] + name.utf8 + value.utf8
        }
        bytes += Self.record(type: 4, pairs[...]) + Self.record(type: 4, [])
        for start in stride(from: 0, to: body.count, by: Self.recordBytes) {
            bytes += Self.record(type: 5, body[start..<min(start + Self.recordBytes, body.count)])
        }
        bytes += Self.record(type: 5, [])
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { send(connection, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            guard count > 0 else { throw BenchmarkError("the responder is gone") }
            rest = rest.dropFirst(count)
        }
        var answer: [UInt8] = []
        var block = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = recv(connection, &block, block.count, 0)
            guard count > 0 else { return String(decoding: answer, as: UTF8.self) }
            answer += block[..<count]
        }
    }

    private static func record(type: UInt8, _ content: ArraySlice<UInt8>) -> [UInt8] {
        [1, type, 0, 1, UInt8(content.count >> 8), UInt8(content.count & 255), 0, 0] + content
    }

    private func connect() throws -> Int32 {
        for _ in 0..<Self.startSeconds * 100 {
            let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: socket.utf8) }
            let result = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
                }
            }
            if result == 0 { return descriptor }
            close(descriptor)
            usleep(10_000)
        }
        throw BenchmarkError("the responder does not listen")
    }
}
