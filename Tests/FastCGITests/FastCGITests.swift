import Foundation
import HTTPTypes
import Testing
import Threading

@testable import FastCGI

extension HTTPField.Name {
    fileprivate static let xUploadID = HTTPField.Name(parsed: "x-upload-id") ?? .contentType
}

/// What the handler saw of a request.
struct Seen: Equatable {
    var request: HTTPRequest?
    var length: Request.ContentLength
    var user: String?
    var body: [UInt8] = []
    var isCutOff = false
    var areParametersComplete = true
    var holdsNUL = false
}

/// Workers on a socket of their own. There is one for all tests, as libfcgi's request to stop is for the whole process.
final class Server: Sendable {
    static let shared = Result { try Server() }
    static let workers = 4

    let path: String
    let seen = Locked<[String: Seen]>([:])
    private let pool = Locked<WorkerPool?>(nil)

    private init() throws {
        path = "/tmp/fermata-fastcgi-\(getpid()).sock"
        let listener = try Listener.open(.unix(path: path), access: Listener.Access(mode: 0o600))
        let buffers = BodyBufferPool()
        let missingBuffers = BodyBufferPool(blockBytes: 1 << 60)
        let answer: @Sendable (consuming Request) -> Void = { [self] request in
            var request = request
            var seen = Seen(
                request: request.httpRequest(withFields: [.contentType, .xUploadID].map { Request.ClientField($0) }),
                length: request.contentLength,
                user: request.parameter("REMOTE_USER"),
                areParametersComplete: request.areParametersComplete,
                holdsNUL: request.holdsNUL
            )
            reading: while request.parameter("TEST_UNREAD") == nil {
                var ends = false
                let append = { (span: Span<UInt8>) in
                    for index in span.indices { seen.body.append(span[index]) }
                }
                let hasMemory = request.parameter("TEST_NO_MEMORY") == nil
                switch request.readBody(hasMemory ? buffers : missingBuffers, append) {
                case .more, .later: break
                case .last: ends = true
                case .cutOff: (ends, seen.isCutOff) = (true, true)
                }
                if let id = request.parameter("TEST_BLOCKS") {
                    let body = seen
                    self.seen.withLock { $0["\(id) \(body.body.count)"] = body }
                }
                if ends { break reading }
            }
            let id = request.parameter("TEST_ID") ?? ""
            let result = seen
            self.seen.withLock { $0[id] = result }
            if request.parameter("TEST_SLOW") != nil { usleep(400_000) }
            if request.parameter("TEST_SILENT") != nil { return }
            request.send(.ok, [.contentType: "text/plain"], body: Array("hello".utf8))
        }
        let refuse: @Sendable (consuming Request) -> Void = { request in
            request.send(.serviceUnavailable, [:], body: [])
        }
        let handlers = WorkerPool.Handlers(answer: answer, refuse: refuse, urgentParameter: "TEST_URGENT")
        let workers = try WorkerPool(on: listener, workers: Self.workers, handlers)
        pool.withLock { $0 = workers }
        keepOpen(listener)
    }

    func stop(seconds: Int) throws -> Bool {
        try #require(pool.withLock { $0 }).stop(withinSeconds: seconds) { false }
    }

    /// What the handler saw, as soon as it has.
    func seen(_ id: String) throws -> Seen {
        for _ in 0..<400 {
            if let seen = seen.withLock({ $0[id] }) { return seen }
            usleep(10_000)
        }
        throw POSIXError(.ETIMEDOUT)
    }
}

/// Holds a listener to the end of the process; its socket goes then.
private func keepOpen(_ listener: consuming Listener) {
    final class Box {
        let listener: Listener
        init(_ listener: consuming Listener) { self.listener = listener }
    }
    _ = Unmanaged.passRetained(Box(listener))
    atexit { unlink("/tmp/fermata-fastcgi-\(getpid()).sock") }
}

@Suite(.serialized, .timeLimit(.minutes(5)))
struct FastCGITests {
    private let server: Server
    private let id = UUID().uuidString

    init() throws { server = try Server.shared.get() }

    private func parameters(_ more: [String: String] = [:]) -> [String: String] {
        ["REQUEST_METHOD": "POST", "TEST_ID": id].merging(more) { $1 }
    }

    @Test(
        "a parameter that holds a NUL is noticed, wherever it is, and the rest of the connection is not affected",
        arguments: ["alice\0", "\0", "alice\0bob", String(repeating: "a", count: 70_000) + "\0"]
    )
    func nul(user: String) throws {
        let client = try FastCGIClient(server.path)
        client.begin(parameters(["REMOTE_USER": user]), keepsConnection: true)
        client.body(Array("01".utf8))
        client.body([])
        #expect(try client.receive().hasSuffix("hello"))
        let seen = try server.seen(id)
        #expect(seen.holdsNUL)
        #expect(seen.body == Array("01".utf8) && !seen.isCutOff)
        client.begin(parameters(["TEST_ID": id + "2", "REMOTE_USER": "alice"]), keepsConnection: true)
        client.body([])
        #expect(try client.receive().hasSuffix("hello"))
        #expect(try !server.seen(id + "2").holdsNUL)
    }

    @Test("the lengths of parameters, whose bytes are 0, are no NUL", arguments: [0, 3, 127, 128, 256, 65_536])
    func noNUL(count: Int) throws {
        let client = try FastCGIClient(server.path)
        let long = String(repeating: "x", count: count)
        client.begin(parameters(["ABC": long, "LONG_NAME" + long.prefix(300): "", "REMOTE_USER": "alice"]))
        client.body([])
        _ = try client.receive()
        #expect(try !server.seen(id).holdsNUL)
    }

    @Test("an answer is a CGI response with its length")
    func answer() throws {
        let client = try FastCGIClient(server.path)
        client.begin(parameters(["REMOTE_USER": "ann", "HTTP_REMOTE_USER": "mallory"]))
        client.body([])
        #expect(try client.receive() == "Status: 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello")
        #expect(try server.seen(id).user == "ann", "header fields of the client are no parameters of the server")
    }

    @Test("parameters are an HTTP request: method, path, query and header fields")
    func httpRequest() throws {
        let client = try FastCGIClient(server.path)
        client.begin(
            parameters([
                "SCRIPT_NAME": "/up", "PATH_INFO": "/a b", "QUERY_STRING": "x=1", "HTTP_HOST": "h", "HTTPS": "on",
                "HTTP_X_UPLOAD_ID": "7", "HTTP_COOKIE": "not asked for", "CONTENT_TYPE": "text/plain",
                "HTTP_": "no name",
            ])
        )
        client.body([])
        _ = try client.receive()
        let request = try #require(try server.seen(id).request)
        #expect(request.method == .post)
        #expect(request.path == "/up/a b?x=1")
        #expect(request.scheme == "https")
        #expect(request.headerFields[.contentType] == "text/plain")
        #expect(request.headerFields[.xUploadID] == "7")
        #expect(request.headerFields.count == 2)
    }

    @Test(
        "an empty or absent CONTENT_LENGTH means to read to the end",
        arguments: [
            (nil, .unknown), ("", .unknown), ("-1", .unknown), ("5", .known(5)), ("-5", .malformed), ("5x", .malformed),
        ]
            as [(String?, Request.ContentLength)]
    )
    func contentLength(text: String?, expected: Request.ContentLength) throws {
        let client = try FastCGIClient(server.path)
        client.begin(parameters(text.map { ["CONTENT_LENGTH": $0] } ?? [:]))
        client.body(Array("01".utf8))
        client.body(Array("234".utf8))
        client.body([])
        _ = try client.receive()
        let seen = try server.seen(id)
        #expect(seen.length == expected)
        #expect(seen.body == Array("01234".utf8))
        #expect(!seen.isCutOff)
    }

    @Test("a connection that breaks is no end, with and without a length", arguments: ["10", "", nil])
    func cutOff(length: String?) throws {
        do {
            let client = try FastCGIClient(server.path)
            client.begin(parameters(length.map { ["CONTENT_LENGTH": $0] } ?? [:]))
            client.body(Array("0123".utf8))
        }
        let seen = try server.seen(id)
        #expect(seen.isCutOff)
        #expect(seen.body == Array("0123".utf8), "what came is handed on")
    }

    @Test("a body of another length than announced is cut off", arguments: ["4", "6"])
    func wrongLength(length: String) throws {
        let client = try FastCGIClient(server.path)
        client.begin(parameters(["CONTENT_LENGTH": length]))
        client.body(Array("01234".utf8))
        client.body([])
        _ = try client.receive()
        #expect(try server.seen(id).isCutOff)
    }

    @Test("a body larger than the buffer, in records of every size", arguments: [1000, 65_535])
    func large(recordBytes: Int) throws {
        let body = (0..<700_000).map { UInt8(truncatingIfNeeded: $0 &* 7 >> 2) }
        let client = try FastCGIClient(server.path)
        client.begin(parameters())
        var rest = body[...]
        while !rest.isEmpty {
            client.body(Array(rest.prefix(recordBytes)))
            rest = rest.dropFirst(recordBytes)
        }
        client.body([])
        _ = try client.receive()
        #expect(try server.seen(id).body == body)
    }

    @Test("without memory for a buffer a body is read all the same")
    func noMemory() throws {
        let body = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 9) }
        let client = try FastCGIClient(server.path)
        client.begin(parameters(["CONTENT_LENGTH": "\(body.count)", "TEST_NO_MEMORY": "1"]))
        for start in stride(from: 0, to: body.count, by: 60_000) {
            client.body(Array(body[start..<min(start + 60_000, body.count)]))
        }
        client.body([])
        #expect(try client.receive().hasSuffix("hello"))
        #expect(try server.seen(id).body == body)
    }

    @Test("bytes are handed on while the client pauses, wherever it does", arguments: [1, 4000, 8160, 9000, 200_000])
    func pauses(count: Int) throws {
        let client = try FastCGIClient(server.path)
        client.begin(parameters(["TEST_BLOCKS": id]))
        for sent in 1...3 {
            var rest = count
            while rest > 0 {
                client.body([UInt8](repeating: UInt8(sent), count: min(rest, 60_000)))
                rest -= min(rest, 60_000)
            }
            #expect(try server.seen("\(id) \(sent * count)").body.last == UInt8(sent))
        }
        client.body([])
        _ = try client.receive()
        #expect(try server.seen(id).body.count == 3 * count)
    }

    @Test("a connection can carry one request after the other")
    func keptConnection() throws {
        let client = try FastCGIClient(server.path)
        for number in 0..<3 {
            client.begin(parameters(["TEST_ID": "\(id)\(number)"]), keepsConnection: true)
            client.body([UInt8(number)])
            client.body([])
            #expect(try client.receive().hasSuffix("hello"))
            #expect(try server.seen("\(id)\(number)").body == [UInt8(number)])
        }
    }

    @Test("what is left of a body is never taken for another request")
    func unreadBody() throws {
        let client = try FastCGIClient(server.path)
        // What the connection was used for before makes no difference.
        client.begin(parameters([:]), keepsConnection: true)
        client.body([])
        #expect(try client.receive().hasSuffix("hello"))
        client.begin(parameters(["TEST_ID": id, "TEST_UNREAD": "1"]), keepsConnection: true)
        // Records of a request of its own, sent as the bytes of a body.
        let forged = FastCGIClient.record(type: 1, [0, 1, 1, 0, 0, 0, 0, 0]) + FastCGIClient.record(type: 4, [])
        client.body(Array(repeatElement(forged, count: 1000).joined()))
        client.body([])
        _ = try? client.receive()
        #expect(client.isClosed)
    }

    @Test("SIGUSR1, to which libfcgi would stop accepting, changes nothing")
    func userSignal() throws {
        kill(getpid(), SIGUSR1)
        usleep(50_000)
        let client = try FastCGIClient(server.path)
        client.begin(parameters([:]))
        client.body([])
        #expect(try client.receive().hasSuffix("hello"))
    }

    @Test("too many or too large parameters are noticed")
    func parameterLimits() throws {
        for more in [
            Dictionary(uniqueKeysWithValues: (0..<600).map { ("P\($0)", "x") }),
            ["LARGE": String(repeating: "x", count: 300_000)],
        ] {
            let client = try FastCGIClient(server.path)
            client.begin(parameters(more))
            client.body([])
            _ = try client.receive()
        }
        #expect(try server.seen("").areParametersComplete == false)
    }

    @Test("with every worker held an urgent request is answered, others wait for a worker and lose nothing")
    func reserve() throws {
        var slow: [FastCGIClient] = []
        for number in 0..<Server.workers {
            let client = try FastCGIClient(server.path)
            client.begin(parameters(["TEST_ID": "\(id)slow\(number)", "TEST_BLOCKS": "\(id)\(number)"]))
            client.body([1])
            _ = try server.seen("\(id)\(number) 1")
            slow.append(client)
        }
        var waiting: [FastCGIClient] = []
        for number in 0..<40 {
            let client = try FastCGIClient(server.path)
            client.begin(parameters(["TEST_ID": "\(id)waiting\(number)", "HTTP_TEST_URGENT": "on"]))
            client.body([UInt8(number)])
            client.body([])
            waiting.append(client)
        }
        // More of them than there are threads in reserve, one after the other.
        for number in 0..<20 {
            let client = try FastCGIClient(server.path)
            client.begin(parameters(["TEST_ID": "\(id)urgent\(number)", "TEST_URGENT": "on"]))
            client.body([])
            let start = ContinuousClock.now
            #expect(try client.receive().hasSuffix("hello"))
            #expect(ContinuousClock.now - start < .seconds(5))
        }
        #expect(server.seen.withLock { $0["\(id)waiting0"] } == nil)
        for client in slow { client.body([]) }
        for (number, client) in waiting.enumerated() {
            #expect(try client.receive().hasSuffix("hello"))
            #expect(try server.seen("\(id)waiting\(number)").body == [UInt8(number)])
        }
        for client in slow { #expect(try client.receive().hasSuffix("hello")) }
    }

    @Test("a connection that says nothing, or breaks off within its parameters, keeps nobody waiting")
    func silent() throws {
        let silent = try (0..<3).map { _ in try FastCGIClient(server.path) }
        let broken = try FastCGIClient(server.path)
        broken.send(type: 1, [0, 1, 0, 0, 0, 0, 0, 0])
        let start = ContinuousClock.now
        let client = try FastCGIClient(server.path)
        client.begin(parameters())
        client.body([])
        #expect(try client.receive().hasSuffix("hello"))
        #expect(ContinuousClock.now - start < .seconds(1))
        #expect(silent.allSatisfy { $0.isClosed })
    }

    @Test("a stop finishes the request that runs, and only that")
    func stop() throws {
        let client = try FastCGIClient(server.path)
        client.begin(parameters(["TEST_SLOW": "1"]))
        client.body([])
        _ = try server.seen(id)
        #expect(try server.stop(seconds: 5))
        #expect(try client.receive().hasSuffix("hello"))
    }
}

@Suite struct ListenerTests {
    private let path = "/tmp/fermata-listener-\(UUID().uuidString.prefix(8)).sock"

    @Test(
        "addresses",
        arguments: [
            ("unix:/a/b", .unix(path: "/a/b")), ("/a", .unix(path: "/a")), ("fd:0", .descriptor(0)),
            ("127.0.0.1:9000", .loopback(host: "127.0.0.1", port: 9000)),
            ("localhost:1", .loopback(host: "127.0.0.1", port: 1)), ("[::1]:9000", .loopback(host: "::1", port: 9000)),
        ] as [(String, ListenAddress)]
    )
    func addresses(text: String, expected: ListenAddress) throws {
        #expect(try ListenAddress(parsing: text) == expected)
    }

    @Test(
        "addresses that are refused",
        arguments: [
            "", "x", "0.0.0.0:9000", "10.0.0.1:80", "[::]:80", "127.0.0.1:0", "127.0.0.1:70000", "fd:x", "fd:-1",
        ]
    )
    func refused(text: String) {
        #expect(throws: ListenAddress.Invalid.self) { try ListenAddress(parsing: text) }
    }

    @Test("a socket has its mode, and goes with its listener")
    func mode() throws {
        do {
            let listener = try Listener.open(.unix(path: path), access: Listener.Access(mode: 0o640))
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o640)
            _ = listener.descriptor
        }
        #expect(!FileManager.default.fileExists(atPath: path))
    }

    @Test("a socket in use is left alone, a dead one is replaced, another file is not")
    func inUse() throws {
        let first = try Listener.open(.unix(path: path), access: Listener.Access())
        #expect(throws: Listener.Failure.self) { _ = try Listener.open(.unix(path: path), access: Listener.Access()) }
        _ = first.descriptor
        _ = consume first
        let dead = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let bound = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(dead, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(bound == 0)
        close(dead)
        _ = try Listener.open(.unix(path: path), access: Listener.Access())
        try Data().write(to: URL(fileURLWithPath: path))
        #expect(throws: Listener.Failure.self) { _ = try Listener.open(.unix(path: path), access: Listener.Access()) }
        try FileManager.default.removeItem(atPath: path)
    }

    @Test("a descriptor that is no listening socket is refused")
    func noSocket() throws {
        let file = open("/dev/null", O_RDONLY)
        defer { close(file) }
        #expect(throws: Listener.Failure.self) { _ = try Listener.open(.descriptor(file), access: Listener.Access()) }
    }
}
