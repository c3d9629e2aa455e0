import Foundation
import Testing

/// A web server's side of FastCGI, record by record (FastCGI 1.0, 3.3).
final class FastCGIClient {
    private let descriptor: Int32

    init(_ path: String) throws {
        descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        var timeout = timeval(tv_sec: 10, tv_usec: 0)
        setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, socklen_t(MemoryLayout<timeval>.size))
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0)
    }

    deinit { close(descriptor) }

    /// One record of request 1, padded to a multiple of 8 bytes as nginx does it.
    static func record(type: UInt8, _ content: [UInt8]) -> [UInt8] {
        let padding = [UInt8](repeating: 0, count: (8 - content.count % 8) % 8)
        let length = [UInt8(content.count >> 8), UInt8(content.count & 255), UInt8(padding.count), 0]
        return [1, type, 0, 1] + length + content + padding
    }

    /// True once the responder has closed the connection.
    var isClosed: Bool {
        var byte: UInt8 = 0
        return recv(descriptor, &byte, 1, 0) <= 0 && errno != EAGAIN
    }

    /// Sends one record.
    func send(type: UInt8, _ content: [UInt8]) {
        let bytes = Self.record(type: type, content)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Begins a request with these parameters.
    func begin(_ parameters: [String: String], keepsConnection: Bool = false) {
        send(type: 1, [0, 1, keepsConnection ? 1 : 0, 0, 0, 0, 0, 0])
        var pairs: [UInt8] = []
        for (name, value) in parameters {
            for length in [name.utf8.count, value.utf8.count] {
                pairs +=
                    length < 128
                    ? [UInt8(length)] : withUnsafeBytes(of: (UInt32(length) | 1 << 31).bigEndian, Array.init)
            }
            pairs += name.utf8
            pairs += value.utf8
        }
        var rest = pairs[...]
        while !rest.isEmpty {
            send(type: 4, Array(rest.prefix(60_000)))
            rest = rest.dropFirst(60_000)
        }
        send(type: 4, [])
    }

    /// Sends bytes of the body; none ends it.
    func body(_ bytes: [UInt8]) { send(type: 5, bytes) }

    /// Reads records up to the end of the request; what it got on standard output.
    func receive() throws -> String {
        var output: [UInt8] = []
        while true {
            let header = try read(8)
            let content = try read(Int(header[4]) << 8 | Int(header[5]))
            _ = try read(Int(header[6]))
            if header[1] == 6 { output += content }
            if header[1] == 3 { return String(decoding: output, as: UTF8.self) }
        }
    }

    private func read(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            var block = [UInt8](repeating: 0, count: count - bytes.count)
            let got = recv(descriptor, &block, block.count, 0)
            try #require(got > 0, "the responder has closed the connection")
            bytes += block[..<got]
        }
        return bytes
    }
}
