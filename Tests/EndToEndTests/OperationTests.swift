import Foundation
import Synchronization
import Testing

/// What an administrator and the clients of a site meet besides the protocol: signals, real clients, file names, full
/// disks, authentication.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct OperationTests {
    @Test("it listens on a unix socket, on loopback TCP, and on an inherited socket")
    func listening() throws {
        for listening in [Site.Listening.unix(), .tcp(try Site.freePort()), .inherited] {
            let site = try Site(listening: listening)
            let client = DCloudClient(site: site)
            _ = try client.segment("0-4/10", "0123")
            #expect(try client.segment("4-10/10", "456789").published()["size"] as? Int == 10)
            kill(site.responder.processIdentifier, SIGTERM)
            site.responder.waitUntilExit()
            #expect(site.responder.terminationStatus == 0)
        }
    }

    @Test("the ledger is for the responder's user alone")
    func ledgerMode() throws {
        let site = try Site()
        for name in ["ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite-shm"] {
            let path = site.directory.path + "/state/" + name
            let attributes = try FileManager.default.attributesOfItem(atPath: path)
            #expect(attributes[.posixPermissions] as? Int == 0o600)
        }
    }

    @Test("under umask 077 finished files are private, and stay as they are when a late client goes on")
    func strictUmask() throws {
        let site = try Site(umask: "077")
        let client = DCloudClient(site: site)
        let late = client.body([.file(Array("XXXXXXXX".utf8), range: "0-8/10")])
        let connection = try HTTPConnection(site.port)
        try connection.sendHead("POST", client.path, client.contentType, length: late.count)
        try connection.send(late.dropLast(32))
        usleep(200_000)
        _ = try client.segment("0-8/10", "01234567")
        _ = try client.segment("8-10/10", "89").published()
        try connection.send(late.suffix(32))
        _ = try connection.receive()
        let file = site.files.appending(path: "ten.bin").path
        #expect(FileManager.default.contents(atPath: file) == Data("0123456789".utf8))
        let attributes = try FileManager.default.attributesOfItem(atPath: file)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    // MARK: Signals

    @Test("restarts under the load of 200 uploads lose no request: the socket stays open, the old process finishes")
    func restartUnderLoad() throws {
        let site = try Site(arguments: ["--drain-seconds", "60"], listening: .inherited, connections: 1024)
        let (port, segments, bytes) = (site.port, 12, 20_000)
        let bodies = (0..<200).map { number in
            let client = DCloudClient(site: site, boundary: "----Restart\(number)")
            return (0..<segments).map { segment in
                let start = segment * bytes
                let content = [UInt8](repeating: UInt8(segment), count: bytes)
                let range = "\(start)-\(start + bytes)/\(segments * bytes)"
                return client.body([.file(content, range: range, fileName: "r\(number).bin")])
            }
        }
        let failures = Mutex<[String]>([])
        let done = Mutex(0)
        nonisolated(unsafe) let shared = site
        let restarts = Thread {
            for _ in 0..<3 {
                usleep(700_000)
                do {
                    let status = try shared.replaceResponder()
                    if status != 0 { failures.withLock { $0.append("exit status \(status)") } }
                } catch {
                    failures.withLock { $0.append("\(error)") }
                }
            }
            done.withLock { $0 += 1 }
        }
        restarts.start()
        concurrently(bodies.count) { number in
            do {
                let connection = try HTTPConnection(port)
                for body in bodies[number] {
                    let type = "multipart/form-data; boundary=----Restart\(number)"
                    try connection.sendHead("POST", "/FileUploader/", type, length: body.count)
                    try connection.send(Array(body[..<10_000]))
                    usleep(200_000)
                    try connection.send(Array(body[10_000...]))
                    let answer = try connection.receive()
                    if answer.status != 200 { failures.withLock { $0.append("\(answer.status) \(answer.body)") } }
                }
            } catch {
                failures.withLock { $0.append("\(error)") }
            }
        }
        for _ in 0..<600 where done.withLock({ $0 == 0 }) { usleep(100_000) }
        #expect(failures.withLock { $0 } == [])
        let expected = Data((0..<segments).flatMap { [UInt8](repeating: UInt8($0), count: bytes) })
        for number in bodies.indices {
            #expect(FileManager.default.contents(atPath: site.files.path + "/r\(number).bin") == expected)
        }
    }

    @Test("SIGTERM and SIGINT finish the upload that runs, then exit 0", arguments: [SIGTERM, SIGINT])
    func orderlyStop(signal: Int32) throws {
        let site = try Site()
        let client = DCloudClient(site: site)
        let body = client.body([.file(Array("0123456789".utf8), range: "0-10/10")])
        let connection = try HTTPConnection(site.port)
        try connection.sendHead("POST", client.path, client.contentType, length: body.count)
        try connection.send(body.dropLast(30))
        usleep(200_000)
        kill(site.responder.processIdentifier, signal)
        usleep(300_000)
        #expect(site.responder.isRunning)
        try connection.send(body.suffix(30))
        #expect(try connection.receive().published()["size"] as? Int == 10)
        site.responder.waitUntilExit()
        #expect(site.responder.terminationStatus == 0)
        #expect(!FileManager.default.fileExists(atPath: site.directory.appending(path: "f.sock").path))
    }

    @Test("a second signal ends it at once")
    func secondSignal() throws {
        let site = try Site()
        let client = DCloudClient(site: site)
        let connection = try HTTPConnection(site.port)
        try connection.sendHead("POST", client.path, client.contentType, length: 1000)
        try connection.send(Array("--\(client.boundary)\r\n".utf8))
        usleep(200_000)
        kill(site.responder.processIdentifier, SIGTERM)
        usleep(200_000)
        #expect(site.responder.isRunning)
        kill(site.responder.processIdentifier, SIGTERM)
        let start = ContinuousClock.now
        site.responder.waitUntilExit()
        #expect(ContinuousClock.now - start < .seconds(5), "it would wait for 30 seconds")
        #expect(site.responder.terminationStatus == 1)
    }

    @Test("while the responder is down nginx answers in JSON, and with 503")
    func down() throws {
        let site = try Site()
        site.killResponder()
        let answer = try DCloudClient(site: site).upload(.file([1]))
        #expect(answer.status == 503)
        #expect(try answer.json["result"] as? String == "ERROR")
    }

    @Test("several files of one client's name at once get names of their own")
    func sameNames() throws {
        let site = try Site()
        nonisolated(unsafe) let shared = site
        concurrently(8) { number in
            let client = DCloudClient(site: shared, boundary: "b\(number)")
            do { _ = try client.upload(.file([UInt8(number)], fileName: "image.jpg")) } catch { Issue.record(error) }
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: site.files.path).filter { $0 != ".fermata" }
        let expected = ["image.jpg"] + (1..<8).map { "image[\($0)].jpg" }
        #expect(Set(names) == Set(expected))
        let contents = try names.map { try Data(contentsOf: site.files.appending(path: $0)) }
        #expect(Set(contents) == Set((0..<8).map { Data([$0]) }))
    }

    // MARK: Real clients

    @Test("curl uploads a form, also in chunks")
    func curl() throws {
        let site = try Site()
        let source = site.directory.appending(path: "source")
        try Data((0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 13 >> 4) }).write(to: source)
        for (number, more) in [[], ["-H", "Transfer-Encoding: chunked"]].enumerated() {
            let result = try run(
                "curl",
                ["-sS", "-F", "uid=7", "-F", "doc=@\(source.path);filename=c\(number).bin", "-F", "last=x"] + more
                    + ["http://127.0.0.1:\(site.port)/FileUploader"]
            )
            #expect(result.output.contains(#""strings":{"uid":"7","last":"x"}"#), "\(result.output)")
            #expect(try run("cmp", [source.path, site.files.path + "/c\(number).bin"]).status == 0)
        }
    }

    @Test("curl is killed in the middle; what it sent is kept, and the rest completes the file")
    func curlKilled() throws {
        let site = try Site()
        let client = DCloudClient(site: site)
        let content = (0..<4_000_000).map { UInt8(truncatingIfNeeded: $0 &* 29 >> 5) }
        let body = site.directory.appending(path: "body")
        try Data(client.body([.file(content, range: "0-4000000/4000000")])).write(to: body)
        let curl = Process()
        curl.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        curl.arguments = [
            "curl", "-sS", "--limit-rate", "1m", "-H", "Content-Type: \(client.contentType)", "--data-binary",
            "@\(body.path)", "http://127.0.0.1:\(site.port)/FileUploader/",
        ]
        curl.standardError = FileHandle.nullDevice
        try curl.run()
        usleep(1_500_000)
        kill(curl.processIdentifier, SIGKILL)
        curl.waitUntilExit()
        var wanted = 0
        for _ in 0..<100 where wanted == 0 {
            usleep(50_000)
            wanted = try client.wanted()
        }
        #expect(wanted > 500_000)
        #expect(wanted < 4_000_000)
        let rest = DCloudClient.Part.file(Array(content[wanted...]), range: "\(wanted)-4000000/4000000")
        _ = try client.upload(rest)
        #expect(try Data(contentsOf: site.files.appending(path: "ten.bin")) == Data(content))
    }

    // MARK: Names

    @Test(
        "no name leaves the root, hits the staging folder or is followed as a link",
        arguments: [
            ("../../../etc/fermata", "fermata"), (#"..\\..\\x"#, "x"), (#"C:\\fakepath\\x.jpg"#, "x.jpg"),
            ("/etc/x", "x"),
            (".fermata", "fermata"), ("link", "link[1]"), ("a%22b.txt", "a\"b.txt"), ("日本.txt", "日本.txt"),
            ("..", nil), (".", nil), ("a%0D%0Ab", nil), ("dir/", nil),
        ] as [(String, String?)]
    )
    func names(fileName: String, expected: String?) throws {
        let site = try Site { directory in
            let files = directory.appending(path: "state/files")
            try FileManager.default.createDirectory(at: files, withIntermediateDirectories: true)
            try FileManager.default.createSymbolicLink(
                atPath: files.appending(path: "link").path,
                withDestinationPath: directory.path + "/outside"
            )
        }
        var client = DCloudClient(site: site)
        for part in [DCloudClient.Part.file([1], fileName: fileName), .file([1], range: "0-1/1", fileName: fileName)] {
            let name = try #require(try client.upload(part).published()["name"] as? String)
            let file = site.files.appending(path: name)
            #expect(try Data(contentsOf: file) == Data([1]))
            if let expected {
                #expect(name == expected)
            } else {
                #expect(name.hasPrefix("upload-"))
            }
            try FileManager.default.removeItem(at: file)
            client.boundary += "x"
        }
        #expect(!FileManager.default.fileExists(atPath: site.directory.appending(path: "outside").path))
        #expect(!FileManager.default.fileExists(atPath: "/etc/fermata"))
        let attributes = try FileManager.default.attributesOfItem(atPath: site.files.path + "/.fermata")
        #expect(attributes[.posixPermissions] as? Int == 0o700)
    }

    // MARK: Full disk

    @Test(
        "4007: a full file system is 507, what was committed stays, and uploads go on when there is space again",
        .enabled(if: geteuid() == 0, "only root can mount a small file system")
    )
    func fullDisk() throws {
        var folder = ""
        let site = try Site(mounts: ["/tiny": ["FERMATA_ROOT": "DIR/tiny"]], arguments: ["--allow-root", "DIR/tiny"]) {
            folder = $0.path + "/tiny"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try #require(run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).status == 0)
        }
        var client = DCloudClient(site: site)
        client.path = "/tiny"
        _ = try client.segment("0-4/10", "0123")
        let filler = folder + "/filler"
        try run("sh", ["-c", "head -c 2m /dev/zero > \(filler)"])
        try client.upload(.file([UInt8](repeating: 1, count: 100_000))).expectError(507, 4007)
        var other = client
        other.boundary = "other"
        try other.upload(.file([1], range: "0-1/500000")).expectError(507, 4007)
        #expect(try client.wanted() == 4)
        try FileManager.default.removeItem(atPath: filler)
        #expect(try client.segment("4-10/10", "456789").published()["size"] as? Int == 10)
        #expect(try client.upload(.file([UInt8](repeating: 1, count: 100_000))).status == 200)
        try other.segment("0-4/5000000", "0123").expectError(507, 4007)
        #expect(try other.wanted() == 0, "an upload that can not fit is refused before its bytes count")
    }

    // MARK: Upkeep

    @Test("sweep and check work beside a responder, say what they do, and exit as documented")
    func upkeep() throws {
        let site = try Site(mounts: ["/brief": ["FERMATA_EXPIRES": "1"]])
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        let state = "--state=" + site.directory.path + "/state"
        #expect(try run(binary, ["check", state]) == (0, "nothing is wrong\n"))
        var client = DCloudClient(site: site)
        _ = try client.segment("0-4/10", "0123")
        let staged = site.files.appending(path: ".fermata")
        let name = try #require(
            try FileManager.default.contentsOfDirectory(atPath: staged.path).first { $0 != ".mark" }
        )
        try Data("0X23".utf8).write(to: staged.appending(path: name))
        let dry = try run(binary, ["check", "--repair", "--dry-run", state])
        #expect(dry.status == 1)
        #expect(dry.output.contains("bytes 0-4 are not those that were committed: a repair would ask"))
        #expect(try client.wanted() == 4)
        #expect(try run(binary, ["check", "--repair", state]).status == 0)
        #expect(try client.wanted() == 0)
        client.path = "/brief"
        _ = try client.segment("0-4/10", "0123", fileName: "brief.bin")
        sleep(2)
        #expect(
            try run(binary, ["sweep", "--dry-run", state]).output.contains("would remove expired upload of brief.bin")
        )
        #expect(try run(binary, ["sweep", state]).output.contains("1 expired, 0 in use"))
        #expect(try run(binary, ["sweep", state]).output.contains("0 expired, 0 in use"))
        #expect(try run(binary, ["check", "--state=" + site.directory.path]).status != 0, "there is no ledger")
    }

    // MARK: Authentication

    @Test("an expression that names the principal may be a token: only its hash is kept")
    func hashedPrincipal() throws {
        let site = try Site(mounts: ["/users": [:]])
        let client = DCloudClient(site: site, path: "/users", user: "very-secret-token")
        #expect(try client.segment("0-4/10", "0123").status == 200)
        #expect(try client.wanted() == 4)
        let state = site.directory.appending(path: "state")
        for name in try FileManager.default.contentsOfDirectory(atPath: state.path) where name.hasPrefix("ledger") {
            let content = try Data(contentsOf: state.appending(path: name))
            #expect(content.firstRange(of: Data("very-secret-token".utf8)) == nil, "\(name)")
        }
        #expect(!(try site.responderLog()).contains("very-secret-token"))
    }

    @Test("the examples for TLS, passwords and the site's own login make users into principals")
    func authentication() throws {
        let ports = try (tls: Site.freePort(), login: Site.freePort(), application: Site.freePort())
        let site = try Site(servers: { directory in
            let path = directory.path
            try run(
                "openssl",
                [
                    "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost", "-keyout", path + "/key",
                    "-out", path + "/pem",
                ]
            )
            let hash = try run("openssl", ["passwd", "-apr1", "secret"]).output
            try "ann:\(hash)bob:\(hash)".write(toFile: path + "/htpasswd", atomically: true, encoding: .utf8)
            var text = ""
            for name in ["basic-auth", "auth-request"] {
                text += try String(contentsOfFile: path + "/fermata/examples/\(name).conf", encoding: .utf8)
            }
            for (shipped, own) in [
                "127.0.0.1:8443": "127.0.0.1:\(ports.tls)", "127.0.0.1:8081": "127.0.0.1:\(ports.login)",
                "127.0.0.1:8000": "127.0.0.1:\(ports.application)", "/etc/ssl/uploads.example.pem": path + "/pem",
                "/etc/ssl/uploads.example.key": path + "/key", "/etc/nginx/uploads.htpasswd": path + "/htpasswd",
            ] { text = text.replacingOccurrences(of: shipped, with: own) }
            // The site's application: whoever shows a cookie is its value.
            return text + """
                server {
                    listen 127.0.0.1:\(ports.application);
                    location / {
                        if ($cookie_user = "") { return 401; }
                        add_header X-User $cookie_user;
                        return 204;
                    }
                }
                """
        })
        let ways: [(String, (String) -> [String])] = [
            ("https://127.0.0.1:\(ports.tls)/FileUploader", { ["-k", "-u", "\($0):secret"] }),
            ("http://127.0.0.1:\(ports.login)/FileUploader", { ["-b", "user=\($0)"] }),
        ]
        for (url, credentials) in ways {
            let boundary = "b\(url.utf8.count)"
            let client = DCloudClient(site: site, boundary: boundary)
            let body = site.directory.appending(path: "body")
            try Data(client.body([.file(Array("0123".utf8), range: "0-4/10")])).write(to: body)
            let upload = ["-sS", "-H", "Content-Type: \(client.contentType)", "--data-binary", "@\(body.path)", url]
            #expect(try run("curl", ["-k", "-o", "/dev/null", "-w", "%{http_code}"] + upload).output == "401")
            #expect(try run("curl", credentials("ann") + upload).output.contains(#""range":"0-4""#))
            let query = ["-sS", "-d", "server=uploader&action=query&boundary=\(boundary)", url]
            #expect(try run("curl", credentials("ann") + query).output.contains(#""range":"0-4""#))
            #expect(try run("curl", credentials("bob") + query).output.contains(#""file":[]"#))
        }
    }

    // MARK: Command line

    @Test("wrong options are refused with words that say what to do")
    func options() throws {
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        for (arguments, words) in [
            (["--state", "/tmp/x", "--listen", "0.0.0.0:9000"], "loopback"),
            (["--state", "/tmp/x", "--workers", "0"], "between 1 and"), (["--listen", "/tmp/x.sock"], "--state"),
            (["--state", "/dev/null/x", "--listen", "/tmp/x.sock"], "can not be made"),
            (["--state", "/tmp/x", "--socket-mode", "9"], "octal"),
            (["--state", "/tmp/x", "--socket-owner", "no-such-user"], "there is no user"),
        ] {
            let result = try run("sh", ["-c", #""$0" "$@" 2>&1"#, binary] + arguments)
            #expect(result.status != 0)
            #expect(result.output.contains(words), "\(result.output)")
        }
        #expect(try run(binary, ["--version"]).status == 0)
        #expect(try run(binary, ["serve", "--help"]).output.contains("--allow-root"))
    }
}
