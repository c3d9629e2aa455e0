import Foundation
import Testing

/// What the shipped configuration of nginx does to requests, and which requests a location may make of the responder.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct FrontEndTests {
    @Test("a client that closes its side after its body hears the answer; a cut upload keeps its prefix all the same")
    func halfClosed() throws {
        let site = try Site()
        let client = DCloudClient(site: site, boundary: "b")
        for number in 0..<10 {
            let body = client.body([.file([UInt8](repeating: 7, count: 2 << 20), fileName: "half\(number).bin")])
            let connection = try HTTPConnection(site.port)
            try connection.sendHead("POST", "/FileUploader/", client.contentType, length: body.count)
            try connection.send(body)
            try connection.closeSending()
            #expect(try connection.receive().status == 200)
        }
        let body = client.body([.file([UInt8](repeating: 7, count: 1 << 20), range: "0-1048576/2097152")])
        do {
            let connection = try HTTPConnection(site.port)
            try connection.sendHead("POST", "/FileUploader/", client.contentType, length: body.count)
            try connection.send(Array(body[..<900_000]))
            usleep(100_000)
            try connection.closeSending()
            usleep(100_000)
        }
        usleep(100_000)
        #expect(try client.wanted() > 700_000)
    }

    @Test(
        "a path beside a mount's own is answered in the protocol",
        arguments: [
            "/ehealth-base/multipart/upload/", "/v1/multipart/parallel", "/tasks/upload", "/FileUploader", "/upload",
            "/ehealth-base/multipart/upload/more", "/v1/multipart/parallel/", "/tasks/upload/",
            "/tasks/upload/multipart/part",
        ]
    )
    func neighbours(path: String) throws {
        let site = try Site()
        for method in ["GET", "POST"] {
            let answer = try HTTPConnection(site.port).request(method, path)
            #expect(answer.status >= 400, "\(path)")
            #expect(answer.fields["content-type"]?.hasPrefix("application/json") == true, "\(path): \(answer.body)")
            _ = try answer.json
        }
    }

    @Test(
        "the URL of a part leads to where the client has asked, or, if it does not say, to the server's own name and port"
    )
    func partURLs() throws {
        let site = try Site()
        let document = Array(#"{"filename":"a.bin","file_size":10,"file_type":"master"}"#.utf8)
        for (version, host, expected) in [
            ("1.1", "Host: example.org:8443\r\n", "http://example.org:8443/tasks/upload/"),
            ("1.0", "", "http://localhost:\(site.port)/tasks/upload/"),
        ] {
            let connection = try HTTPConnection(site.port)
            let head = """
                POST /tasks/upload/multipart/init HTTP/\(version)\r\n\(host)Content-Type: application/json\r\n\
                Content-Length: \(document.count)\r\n\r\n
                """
            try connection.send(Array(head.utf8) + document)
            let answer = try connection.receive()
            #expect(answer.body.contains(expected), "\(answer.body)")
        }
    }

    @Test("the status pages are for this machine's own requests: not for what a proxy forwards, nor under another name")
    func status() throws {
        let site = try Site()
        for path in ["/fermata/", "/fermata/metrics", "/fermata/healthz"] {
            #expect(try HTTPConnection(site.port).request("GET", path).status == 200)
            for field in [
                "X-Forwarded-For: 10.0.0.1", "Forwarded: for=10.0.0.1", "X-Real-IP: 10.0.0.1", "Via: 1.1 proxy",
            ] {
                #expect(try HTTPConnection(site.port).request("GET", path, nil, [], [field]).status == 403, "\(field)")
            }
            let connection = try HTTPConnection(site.port)
            try connection.send(Array("GET \(path) HTTP/1.1\r\nHost: rebound.example\r\n\r\n".utf8))
            #expect(try connection.receive().status == 403)
        }
    }

    @Test(
        "two servers with one path and different roots do not share uploads; one root under two names does not, either"
    )
    func virtualHosts() throws {
        let port = try Site.freePort()
        let site = try Site(
            arguments: ["--allow-root", "DIR"],
            prepare: { directory in
                for name in ["one", "two"] {
                    try FileManager.default.createDirectory(
                        at: directory.appending(path: name),
                        withIntermediateDirectories: false
                    )
                }
            },
            servers: { directory in
                ["one", "two"].map { name in
                    """
                    server {
                        listen 127.0.0.1:\(port); server_name \(name).example;
                        location /o {
                            include fermata/fermata_params.conf;
                            fastcgi_param SCRIPT_NAME /o; fastcgi_param PATH_INFO "";
                            fastcgi_param FERMATA_DIALECT dcloud;
                            fastcgi_param FERMATA_ROOT \(directory.path)/\(name);
                            fastcgi_pass fermata;
                        }
                        location /named {
                            include fermata/fermata_params.conf;
                            fastcgi_param SCRIPT_NAME /named; fastcgi_param PATH_INFO "";
                            fastcgi_param FERMATA_DIALECT dcloud; fastcgi_param FERMATA_MOUNT shared;
                            fastcgi_param FERMATA_ROOT \(directory.path)/\(name);
                            fastcgi_pass fermata;
                        }
                    }
                    """
                }.joined(separator: "\n")
            }
        )
        for path in ["/o", "/named"] {
            let client = DCloudClient(site: site, path: path, boundary: "b")
            func send(_ server: String, _ range: String, _ text: String) throws -> HTTPConnection.Answer {
                let body = client.body([.file(Array(text.utf8), range: range)])
                let connection = try HTTPConnection(port)
                let head = """
                    POST \(path) HTTP/1.1\r\nHost: \(server).example\r\nContent-Type: \(client.contentType)\r\n\
                    Content-Length: \(body.count)\r\n\r\n
                    """
                try connection.send(Array(head.utf8) + body)
                return try connection.receive()
            }
            #expect(try send("one", "0-4/10", "aaaa").body.contains("0-4"))
            #expect(try send("two", "0-4/10", "bbbb").body.contains("0-4"))
            #expect(try send("one", "4-10/10", "AAAAAA").status == 200)
            #expect(try send("two", "4-10/10", "BBBBBB").status == 200)
        }
        for (name, text) in [("one", "aaaaAAAAAA"), ("two", "bbbbBBBBBB")] {
            for file in ["ten.bin", "ten[1].bin"] {
                let content = try String(contentsOf: site.directory.appending(path: "\(name)/\(file)"), encoding: .utf8)
                #expect(content == text)
            }
        }
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        let list = try run(binary, ["list", "--all", "--json", "--state", site.directory.path + "/state"]).output
        #expect(list.contains(#""mount":"/o""#) && list.contains(#""server":"one.example:\#(port)""#), "\(list)")
    }

    @Test("who reaches the socket runs no program that was not allowed, and a slip in a parameter's name is told")
    func parameters() throws {
        let site = try Site(
            mounts: [
                "/hook": ["FERMATA_HOOK": "/bin/sh"], "/veto": ["FERMATA_VETO": "/bin/sh"],
                "/slip": ["FERMATA_MAXFILE": "10m"], "/time": ["FERMATA_TOMBSTONE": "9223372036854775807"],
                "/state": ["FERMATA_ROOT": "DIR/state"],
            ],
            arguments: ["--allow-root", "DIR/state"]
        )
        for (path, words) in [
            ("/hook", "--allow-program /bin/sh"), ("/veto", "--allow-program /bin/sh"),
            ("/slip", "did you mean FERMATA_MAX_FILE?"), ("/time", "3650d"), ("/state", "holds the ledger"),
        ] {
            let answer = try DCloudClient(site: site, path: path).upload(.file([1, 2, 3]))
            #expect(answer.status == 500, "\(path)")
            _ = try answer.json
            #expect(try site.responderLog().contains(words), "\(path)")
        }
        #expect(try DCloudClient(site: site).upload(.file([1, 2, 3])).status == 200, "the process goes on")
    }

    @Test(
        "a root that goes away answers 503 in every dialect, and the other mounts serve",
        arguments: ContractDialect.allCases
    )
    func unmounted(dialect: ContractDialect) throws {
        let parameters = dialect.parameters.merging(["FERMATA_ROOT": "DIR/disk"]) { $1 }
        let site = try Site(
            mounts: ["/m": parameters, "/other": dialect.parameters],
            arguments: ["--allow-root", "DIR/disk"],
            prepare: { directory in
                try FileManager.default.createDirectory(
                    at: directory.appending(path: "disk"),
                    withIntermediateDirectories: false
                )
            }
        )
        let (disk, away) = (site.directory.path + "/disk", site.directory.path + "/away")
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        #expect(try conversation.send(0).status == 200)
        for isRestarted in [false, true] {
            try FileManager.default.moveItem(atPath: disk, toPath: away)
            try FileManager.default.createDirectory(atPath: disk, withIntermediateDirectories: false)
            if isRestarted {
                site.killResponder()
                try site.restartResponder()
                #expect(try site.responderLog().contains("root is not available"))
            }
            let refused = try conversation.send(1)
            #expect(refused.status == 503 && refused.fields["retry-after"] != nil, "\(refused.status) \(refused.body)")
            _ = try refused.json
            #expect(try conversation.finish().status == 503)
            let other = dialect.conversation(site, path: "/other", name: "other\(isRestarted).bin")
            _ = try other.begin()
            for index in other.pieces.indices { #expect(try other.send(index).status == 200) }
            #expect(try other.finish().status == 200)
            #expect(try FileManager.default.contentsOfDirectory(atPath: disk).isEmpty)
            try FileManager.default.removeItem(atPath: disk)
            try FileManager.default.moveItem(atPath: away, toPath: disk)
        }
        for index in conversation.pieces.indices.dropFirst() { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        let content = FileManager.default.contents(atPath: disk + "/" + conversation.publishedPath)
        #expect(content == ContractDialect.content)
    }
}
