import Foundation
import Testing

/// What the site's own code gets of finished files, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct HandOffTests {
    typealias Dialect = ContractDialect

    private func script(_ lines: String, _ name: String, in directory: URL) throws {
        let path = directory.appending(path: name).path
        try "#!/bin/sh\n\(lines.replacingOccurrences(of: "DIR", with: directory.path))\n"
            .write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    private func send(_ conversation: any Conversation) throws -> HTTPConnection.Answer {
        _ = try conversation.begin()
        for index in conversation.pieces.indices { _ = try conversation.send(index) }
        return try conversation.finish()
    }

    private func told(_ site: Site) throws -> [[String: Any]] {
        let folder = site.directory.appending(path: "told").path
        return try FileManager.default.contentsOfDirectory(atPath: folder).map { name in
            let data = try #require(FileManager.default.contents(atPath: folder + "/" + name))
            return try #require(try JSONSerialization.jsonObject(with: data) as? [String: Any])
        }
    }

    @Test("a hook is told once, whatever is repeated and whenever the responder is killed", arguments: Dialect.allCases)
    func hook(dialect: Dialect) throws {
        let parameters = dialect.parameters.merging(["FERMATA_HOOK": "DIR/hook", "FERMATA_MANIFEST": "on"]) { $1 }
        let site = try Site(mounts: ["/m": parameters], arguments: ["--allow-program", "DIR/hook"]) { directory in
            try FileManager.default.createDirectory(
                at: directory.appending(path: "told"),
                withIntermediateDirectories: false
            )
            try script(
                """
                test -e DIR/works || { echo not yet; exit 1; }
                new=$(mktemp DIR/new.XXXXXX) && cat > "$new" && mv "$new" DIR/told/
                """,
                "hook",
                in: directory
            )
        }
        let conversation = dialect.conversation(site)
        #expect(try send(conversation).status == 200)
        // It is tried while it fails, and by the next process after a kill.
        usleep(1_500_000)
        site.killResponder()
        try site.restartResponder()
        #expect(try conversation.finish().status == 200)
        try Data().write(to: site.directory.appending(path: "works"))
        for _ in 0..<100 where try told(site).isEmpty { usleep(100_000) }
        usleep(1_500_000)
        let documents = try told(site)
        #expect(documents.count == 1)
        let document = try #require(documents.first)
        #expect(document["path"] as? String == site.files.path + "/" + conversation.publishedPath)
        #expect(document["size"] as? Int == Dialect.content.count)
        #expect(document["mount"] as? String == "/m")
        let manifest = try Data(contentsOf: site.files.appending(path: conversation.publishedPath + ".json"))
        #expect(try JSONSerialization.jsonObject(with: manifest) as? [String: Any] != nil)
        #expect(try site.responderLog().contains("not yet"))
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        let list = try run(binary, ["events", "list", "--state", site.directory.path + "/state"])
        #expect(list.output.contains("\tdelivered\t"), "\(list.output)")
    }

    @Test("a veto refuses in the dialect's own way, and other uploads go on meanwhile", arguments: Dialect.allCases)
    func veto(dialect: Dialect) throws {
        let parameters = dialect.parameters.merging(["FERMATA_VETO": "DIR/veto"]) { $1 }
        let mounts = ["/m": parameters, "/free": dialect.parameters]
        let site = try Site(mounts: mounts, arguments: ["--allow-program", "DIR/veto"]) { directory in
            let wait = "for i in $(seq 100); do test -e DIR/go && break; sleep 0.1; done"
            try script("\(wait); echo 'a \"virus\" was found'; exit 1", "veto", in: directory)
        }
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        for index in conversation.pieces.dropLast().indices { _ = try conversation.send(index) }
        let port = site.port
        let last = try conversation.request(conversation.pieces.count - 1)
        // The dialects that complete by a call of their own do so here.
        if [.fileid, .parts, .signed].contains(dialect) { _ = try last.send(port) }
        let ended = DispatchGroup()
        nonisolated(unsafe) let refusedUpload = conversation
        nonisolated(unsafe) var answer: HTTPConnection.Answer?
        ended.enter()
        Thread {
            answer = try? refusedUpload.finish()
            ended.leave()
        }.start()
        // The program waits for a file that comes after the other upload.
        #expect(try send(dialect.conversation(site, path: "/free", name: "other.bin")).status == 200)
        try Data().write(to: site.directory.appending(path: "go"))
        ended.wait()
        let refused = try #require(answer)
        #expect(refused.status != 200)
        #expect(refused.body.contains(#"a \"virus\" was found"#), "\(refused.body)")
        let path = site.files.appending(path: conversation.publishedPath).path
        #expect(!FileManager.default.fileExists(atPath: path))
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.files.path + "/.fermata") == [".mark"])
    }

    @Test("the site makes the answer itself, in the same request", arguments: Dialect.allCases)
    func onComplete(dialect: Dialect) throws {
        let parameters = dialect.parameters.merging(["FERMATA_ON_COMPLETE": "/done"]) { $1 }
        let site = try Site(
            mounts: ["/m": parameters],
            servers: { directory in
                // A location of the shipped server can not be added here: the mounts' own file has it.
                let file = directory.appending(path: "fermata/locations/test.conf")
                let done = """
                    location = /done {
                        internal;
                        default_type text/plain;
                        return 200 "size=$arg_size name=$arg_name mount=$arg_mount principal=$arg_principal";
                    }

                    """
                let text = try String(contentsOf: file, encoding: .utf8)
                try (text + done).write(to: file, atomically: true, encoding: .utf8)
                return ""
            }
        )
        let conversation = dialect.conversation(site)
        let answer = try send(conversation)
        #expect(answer.status == 200)
        #expect(answer.body.hasPrefix("size=\(Dialect.content.count) name="), "\(answer.body)")
        #expect(answer.body.contains("mount=%2Fm principal="), "\(answer.body)")
        #expect(try conversation.finish().body == answer.body, "a repeat gets the same answer")
        #expect(try HTTPConnection(site.port).request("GET", "/done").status == 404)
    }

    @Test("a page of another origin reads the site's answer, however long the client's fields are")
    func crossOrigin() throws {
        let parameters = ["FERMATA_ON_COMPLETE": "/uploaded", "FERMATA_CORS": "https://a.example"]
        let site = try Site(
            mounts: ["/m": parameters],
            servers: { directory in
                // The shipped location, with an answer in the place of PHP's.
                let example = directory.appending(path: "fermata/examples/on-complete.conf")
                let text = try String(contentsOf: example, encoding: .utf8)
                let start = try #require(text.range(of: "location = /uploaded"))
                let location = text[start.lowerBound...]
                    .replacingOccurrences(of: "include       fastcgi_params;", with: "")
                    .replacingOccurrences(of: "fastcgi_param SCRIPT_FILENAME /srv/site/uploaded.php;", with: "")
                    .replacingOccurrences(
                        of: "fastcgi_pass  unix:/run/php/php-fpm.sock;",
                        with: "default_type text/plain; return 200 \"files=$arg_files out=$arg_left_out\";"
                    )
                let file = directory.appending(path: "fermata/locations/test.conf")
                try (try String(contentsOf: file, encoding: .utf8) + location)
                    .write(to: file, atomically: true, encoding: .utf8)
                return ""
            }
        )
        let client = DCloudClient(site: site, path: "/m")
        let note = String(repeating: "\u{6CE8}", count: 417)
        let body = client.body([.file([1], fileName: "a"), .field("note", note), .file([2], fileName: "b")])
        for (origin, allowed) in [("https://a.example", "https://a.example"), ("https://b.example", nil)] {
            let answer = try HTTPConnection(site.port)
                .request("POST", "/m", client.contentType, body, ["Origin: \(origin)"])
            #expect(answer.status == 200)
            #expect(answer.body == "files=2 out=field.note")
            #expect(answer.fields["access-control-allow-origin"] == allowed)
            #expect(answer.fields["access-control-allow-credentials"] == allowed.map { _ in "true" })
            #expect(answer.fields["vary"] == "Origin")
        }
    }
}
