import Foundation
import Testing

/// Requests of which the web server passes on something that cannot be understood, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct UnclearRequestTests {
    typealias Dialect = ContractDialect

    private func refusedStatus(_ dialect: Dialect) -> Int { dialect == .dcloud ? 422 : 400 }

    @Test("a user name with a NUL is refused, and is not the name before it", arguments: Dialect.allCases)
    func nul(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters])
        for name in ["alice\0", "\0", "alice\0bob"] {
            let credentials = Data("\(name):secret".utf8).base64EncodedString()
            let form = Array("a=b".utf8)
            let answer = try HTTPConnection(site.port).post(
                "/m",
                "application/x-www-form-urlencoded",
                form,
                ["Authorization: Basic \(credentials)", "X-Test-User: alice"]
            )
            #expect(answer.status == refusedStatus(dialect), "\(answer.body)")
            #expect(answer.body.contains("a NUL is not allowed in a user name"), "\(answer.body)")
        }
        let conversation = dialect.conversation(site, name: "a.bin")
        #expect(try conversation.begin().status == 200)
    }

    @Test(
        "a length that is no number is refused in the dialect's own way",
        arguments: Dialect.allCases,
        ["5x", "-5", "+5", " 5"]
    )
    func malformedLength(dialect: Dialect, length: String) throws {
        let parameters = dialect.parameters.merging(["CONTENT_LENGTH": length]) { $1 }
        let site = try Site(mounts: ["/m": parameters])
        let answer = try HTTPConnection(site.port).post("/m", "application/x-www-form-urlencoded", Array("a=b".utf8))
        #expect(answer.status == refusedStatus(dialect), "\(answer.body)")
        #expect(answer.body.contains("Content-Length is not a number of bytes"), "\(answer.body)")
        #expect(try !site.responderLog().contains("mount can not be served"))
    }

    @Test("a length of -1, which Caddy passes on for a body in chunks, is an unknown one", arguments: Dialect.allCases)
    func unknownLength(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters.merging(["CONTENT_LENGTH": "-1"]) { $1 }])
        let conversation = dialect.conversation(site, name: "a.bin")
        #expect(try conversation.begin().status == 200)
        for index in conversation.pieces.indices { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        let stored = site.files.appending(path: conversation.publishedPath)
        #expect(try Data(contentsOf: stored) == Dialect.content)
    }

    @Test(
        "a body in a Content-Encoding is refused, which is named; nothing of it is stored, and its upload goes on",
        arguments: Dialect.allCases
    )
    func encodedBody(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters])
        let conversation = dialect.conversation(site, name: "a.bin")
        #expect(try conversation.begin().status == 200)
        let piece = try conversation.request(0)
        for encoding in ["gzip", "br", "x-gzip, identity"] {
            let fields = piece.fields + ["Content-Encoding: \(encoding)"]
            let connection = try HTTPConnection(site.port)
            let answer = try connection.request(piece.method, piece.path, piece.contentType, piece.body, fields)
            #expect(answer.status == 415, "\(answer.body)")
            _ = try answer.json
            #expect(answer.body.contains("Content-Encoding \(encoding) is not understood"), "\(answer.body)")
            #expect(try conversation.acknowledged() ?? 0 == 0, "\(encoding)")
        }
        let plain = piece.fields + ["Content-Encoding: identity"]
        let connection = try HTTPConnection(site.port)
        #expect(try connection.request(piece.method, piece.path, piece.contentType, piece.body, plain).status == 200)
        for index in conversation.pieces.indices.dropFirst() { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        let stored = site.files.appending(path: conversation.publishedPath)
        #expect(try Data(contentsOf: stored) == Dialect.content)
    }

    @Test("a byte order mark before JSON is named in the refusal", arguments: [Dialect.parts, .signed])
    func byteOrderMark(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters])
        let path = dialect == .parts ? "/m/uploadComplete" : "/m/multipart/init"
        let answer = try HTTPConnection(site.port).post(
            path,
            "application/json",
            [0xEF, 0xBB, 0xBF] + Array("{}".utf8)
        )
        #expect(answer.status == 400, "\(answer.body)")
        #expect(answer.body.contains("byte order mark"), "\(answer.body)")
    }

    @Test("a client of HTTP/1.0, which names no server, uploads a file", arguments: Dialect.allCases)
    func oldClient(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters])
        let conversation = dialect.conversation(OldClient(site: site), name: "a.bin")
        let begun = try conversation.begin()
        #expect(begun.status == 200)
        if dialect == .signed {
            // Its parts go where it has come from.
            let url = try SignedClient.Upload(begun).url(1)
            #expect(url.hasPrefix("http://localhost:\(site.port)/m/multipart/part/"), "\(url)")
        }
        for index in conversation.pieces.indices { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        let stored = site.files.appending(path: conversation.publishedPath)
        #expect(try Data(contentsOf: stored) == Dialect.content)
    }

    /// A site whose mount takes the user's name from `Authorization: Basic`, and the port for it.
    private func siteOfUsers(_ parameters: [String: String]) throws -> (Site, port: UInt16) {
        let port = try Site.freePort()
        let lines = parameters.map { "fastcgi_param \($0) \($1);" }.joined(separator: " ")
        let site = try Site(servers: { _ in
            """
            server {
                listen 127.0.0.1:\(port); server_name localhost;
                location /m {
                    include fermata/fermata_params.conf;
                    fastcgi_split_path_info ^(/m)(.*)$;
                    fastcgi_param SCRIPT_NAME /m; fastcgi_param PATH_INFO $fastcgi_path_info;
                    \(lines)
                    fastcgi_pass fermata;
                }
            }
            """
        })
        return (site, port)
    }

    @Test("a user name in Latin-1 and the same in UTF-8 are two users", arguments: Dialect.allCases)
    func twoCharacterSets(dialect: Dialect) throws {
        let (site, port) = try siteOfUsers(dialect.parameters)
        let spellings = [[0xE9], Array("\u{E9}".utf8), Array("e\u{301}".utf8)]
        let users = spellings.map { User(files: site.files, port: port, name: $0) }
        let conversation = dialect.conversation(users[0], name: "a.bin")
        #expect(try conversation.begin().status == 200)
        #expect(try conversation.send(0).status == 200)
        for other in users.dropFirst() {
            #expect(try conversation.moved(to: other).acknowledged() == nil, "they are not of this user")
        }
        for index in conversation.pieces.indices.dropFirst() { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        let stored = site.files.appending(path: conversation.publishedPath)
        #expect(try Data(contentsOf: stored) == Dialect.content)
    }

    @Test("what is counted of a user whose name cannot be shown is set by the name as it is listed")
    func usageOfUnshownName() throws {
        let (site, port) = try siteOfUsers(["FERMATA_DIALECT": "dcloud", "FERMATA_QUOTA": "1000"])
        let user = User(files: site.files, port: port, name: [0xE9])
        let client = DCloudClient(site: user, path: "/m")
        #expect(try client.upload(.file([UInt8](repeating: 1, count: 900), fileName: "a")).status == 200)
        #expect(try client.upload(.file([UInt8](repeating: 1, count: 900), fileName: "b")).status == 507)
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        let usage = { (arguments: [String]) in
            try run(binary, ["usage"] + arguments + ["--state", site.directory.path + "/state"])
        }
        let listed = try usage(["list"]).output
        #expect(listed == "900\t/m\t\\u{0}E9\n")
        let name = try #require(listed.split(separator: "\t").last).trimmingCharacters(in: .newlines)
        #expect(try usage(["set", "--mount", "/m", "--principal", name, "0"]).status == 0)
        #expect(try usage(["list"]).output == "0\t/m\t\\u{0}E9\n")
        #expect(try client.upload(.file([UInt8](repeating: 1, count: 900), fileName: "b")).status == 200)
    }
}

/// Sends requests as HTTP/1.0 has them.
private struct OldClient: UploadServer {
    let site: Site

    var files: URL { site.files }
    var port: UInt16 { site.port }

    func request(
        _ method: String,
        _ path: String,
        _ contentType: String?,
        _ body: [UInt8],
        _ fields: [String]
    ) throws -> HTTPConnection.Answer {
        var lines = ["\(method) \(path) HTTP/1.0", "Content-Length: \(body.count)"] + fields
        if let contentType { lines.append("Content-Type: \(contentType)") }
        let connection = try HTTPConnection(port)
        try connection.send(Array((lines.joined(separator: "\r\n") + "\r\n\r\n").utf8) + body)
        return try connection.receive()
    }
}

/// Sends requests with the name of a user, in whatever character set.
private struct User: UploadServer {
    let files: URL
    let port: UInt16
    let name: [UInt8]

    func request(
        _ method: String,
        _ path: String,
        _ contentType: String?,
        _ body: [UInt8],
        _ fields: [String]
    ) throws -> HTTPConnection.Answer {
        let credentials = Data(name + Array(":secret".utf8)).base64EncodedString()
        let all = fields + ["Authorization: Basic \(credentials)"]
        return try HTTPConnection(port).request(method, path, contentType, body, all)
    }
}
