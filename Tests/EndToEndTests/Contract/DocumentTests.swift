import Engine
import Foundation
import Ledger
import Testing

/// What vetoes, hooks and manifests are told, in every dialect.
@Suite(.timeLimit(.minutes(5)))
struct DocumentTests {
    typealias Dialect = ContractDialect

    /// A server whose programs keep what they are told, and what they found where the document says that the file is.
    private func server(_ dialect: Dialect) throws -> InProcessServer {
        let server = try InProcessServer(
            dialect,
            ["FERMATA_VETO": "DIR/veto", "FERMATA_HOOK": "DIR/hook", "FERMATA_MANIFEST": "on"]
        )
        let directory = server.directory.path
        for (name, status) in [("veto", 0), ("hook", 0)] {
            let script = """
                #!/bin/sh
                n=$(ls \(directory) | grep -c '^\(name)-document')
                cat > \(directory)/\(name)-document-$n
                path=$(sed 's/.*"path":"\\([^"]*\\)".*/\\1/' \(directory)/\(name)-document-$n)
                cat "$path" > \(directory)/\(name)-bytes-$n
                exit \(status)
                """
            try script.write(toFile: directory + "/" + name, atomically: true, encoding: .utf8)
            let mode: [FileAttributeKey: Any] = [.posixPermissions: 0o755]
            try FileManager.default.setAttributes(mode, ofItemAtPath: directory + "/" + name)
        }
        return server
    }

    private func json(_ url: URL) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(contentsOf: url)) as? [String: Any])
    }

    private func send(_ conversation: any Conversation) throws {
        _ = try conversation.begin()
        for index in conversation.pieces.indices { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
    }

    @Test(
        "a veto, a hook and a manifest tell the file's size and name, and where exactly its bytes are",
        arguments: Dialect.allCases
    )
    func documents(dialect: Dialect) throws {
        let server = try server(dialect)
        let conversation = dialect.conversation(server)
        try send(conversation)
        while try server.engine.deliverNext() != nil {}
        let directory = server.directory
        let manifest = server.files.appending(path: conversation.publishedPath + ".json")
        let urls = ["veto-document-0", "hook-document-0"].map { directory.appending(path: $0) } + [manifest]
        for (index, url) in urls.enumerated() {
            let document = try json(url)
            #expect(document["event"] as? String == (index == 0 ? "whole" : "published"))
            #expect(document["size"] as? Int == Dialect.content.count, "\(dialect), \(url.lastPathComponent)")
            #expect(document["name"] as? String == conversation.publishedPath)
            #expect(document["mount"] as? String == "/m")
            #expect((document["fileName"] as? String)?.hasSuffix("f.bin") == true)
            #expect((document["key"] as? String)?.count == 32)
        }
        for name in ["veto-bytes-0", "hook-bytes-0"] {
            #expect(try Data(contentsOf: directory.appending(path: name)) == Dialect.content, "\(dialect), \(name)")
        }
        #expect(!FileManager.default.fileExists(atPath: directory.path + "/veto-document-1"), "it is asked once")
    }

    @Test("each of several files has documents of its own, with all fields of the form")
    func several() throws {
        let server = try server(.dcloud)
        let client = DCloudClient(site: server, path: "/m", user: "ann")
        let answer = try client.upload(
            .field("note", "a \"b\""),
            .file(Array("one".utf8), name: "f", fileName: "a.txt", type: "text/plain"),
            .file(Array("three".utf8), name: "g", fileName: "a.txt", type: "image/png")
        )
        #expect(answer.status == 200)
        while try server.engine.deliverNext() != nil {}
        let expected = [("f", "text/plain", "one", "a.txt"), ("g", "image/png", "three", "a[1].txt")]
        for (index, (field, type, bytes, name)) in expected.enumerated() {
            for program in ["veto", "hook"] {
                let document = try json(server.directory.appending(path: "\(program)-document-\(index)"))
                #expect(document["field"] as? String == field)
                #expect(document["type"] as? String == type)
                #expect(document["size"] as? Int == bytes.utf8.count)
                #expect(document["principal"] as? String == "ann")
                #expect(document["fields"] as? [String: String] == ["note": "a \"b\""])
                #expect(document["name"] as? String == (program == "veto" ? "a.txt" : name))
                let found = try Data(contentsOf: server.directory.appending(path: "\(program)-bytes-\(index)"))
                #expect(found == Data(bytes.utf8))
            }
            #expect(try json(server.files.appending(path: name + ".json"))["name"] as? String == name)
        }
    }

    @Test("where a client's file has the name of a manifest, the other file gets another name; both stay as they are")
    func manifestNames() throws {
        let server = try InProcessServer(.dcloud, ["FERMATA_MANIFEST": "on"])
        let client = DCloudClient(site: server, path: "/m")
        func upload(_ name: String, _ text: String) throws -> String {
            let answer = try client.upload(.file(Array(text.utf8), fileName: name))
            return try #require(try answer.published()["name"] as? String)
        }
        #expect(try upload("a.json", "client") == "a.json")
        #expect(try upload("a", "one") == "a[1]")
        #expect(try upload("a[1].json", "forged") == "a[1][1].json")
        #expect(try upload("b", "two") == "b")
        #expect(try upload("b.json", "forged") == "b[1].json")
        for (name, text) in ["a.json": "client", "a[1]": "one", "a[1][1].json": "forged", "b[1].json": "forged"] {
            #expect(try String(contentsOf: server.files.appending(path: name), encoding: .utf8) == text)
            #expect(try json(server.files.appending(path: name + ".json"))["name"] as? String == name)
        }
        #expect(try json(server.files.appending(path: "b.json"))["name"] as? String == "b")
    }

    @Test("where files are replaced, the name of a manifest is refused", arguments: [Dialect.parts, .offset, .signed])
    func refusedNames(dialect: Dialect) throws {
        let server = try InProcessServer(dialect, ["FERMATA_MANIFEST": "on"])
        let refused = try dialect.conversation(server, name: "f.bin.json").begin()
        #expect(refused.status == 403, "\(refused.body)")
        #expect(refused.body.contains("manifest"))
        let first = dialect.conversation(server)
        try send(first)
        try send(dialect.conversation(server))
        #expect(
            try json(server.files.appending(path: first.publishedPath + ".json"))["size"] as? Int
                == Dialect.content.count
        )
    }

    @Test(
        "a manifest that can not be written is given up, or written later; the file is stored and its client told so",
        arguments: Dialect.allCases
    )
    func noManifest(dialect: Dialect) throws {
        let server = try InProcessServer(dialect, ["FERMATA_MANIFEST": "on", "FERMATA_HOOK": "/bin/true"])
        let conversation = dialect.conversation(server)
        _ = try conversation.begin()
        let manifest = server.files.appending(path: conversation.publishedPath + ".json")
        try FileManager.default.createDirectory(at: manifest, withIntermediateDirectories: true)
        for index in conversation.pieces.indices { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        #expect(try server.engine.deliverNext()?.event.program == "/bin/true")
        #expect(try server.engine.deliverNext() == nil)
    }

    @Test("a name without room for its manifest is shortened where numbers are added, and keeps its extension")
    func longName() throws {
        let server = try InProcessServer(.dcloud, ["FERMATA_MANIFEST": "on"])
        let name = String(repeating: "n", count: 249) + ".bin"
        let answer = try DCloudClient(site: server, path: "/m").upload(.file([1], fileName: name))
        let stored = try #require(try answer.published()["name"] as? String)
        #expect(stored == String(repeating: "n", count: 246) + ".bin")
        #expect(try json(server.files.appending(path: stored + ".json"))["name"] as? String == stored)
    }

    @Test(
        "a name without room for its manifest has none where clients choose the path",
        arguments: [Dialect.parts, .offset]
    )
    func longPath(dialect: Dialect) throws {
        let server = try InProcessServer(dialect, ["FERMATA_MANIFEST": "on", "FERMATA_HOOK": "/bin/true"])
        let conversation = dialect.conversation(server, name: String(repeating: "n", count: 255))
        try send(conversation)
        #expect(try Data(contentsOf: server.files.appending(path: conversation.publishedPath)) == Dialect.content)
        #expect(try server.engine.deliverNext()?.failure == nil)
    }

    @Test("no file of a form is stored where one is refused, and all are where none is")
    func allOrNone() throws {
        let server = try InProcessServer(.dcloud, ["FERMATA_VETO": "DIR/veto"])
        let script = "#!/bin/sh\ngrep -q '\"field\":\"bad\"' && { echo no; exit 1; }; exit 0\n"
        let path = server.directory.path + "/veto"
        try script.write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        let client = DCloudClient(site: server, path: "/m")
        let good = DCloudClient.Part.file(Array("one".utf8), name: "good", fileName: "a")
        let whole = DCloudClient.Part.file(Array("0123".utf8), range: "0-4/4", name: "whole", fileName: "w")
        let bad = DCloudClient.Part.file(Array("two".utf8), name: "bad", fileName: "b")
        let refused = try client.upload(good, whole, bad)
        #expect(refused.status == 403, "\(refused.body)")
        #expect(try FileManager.default.contentsOfDirectory(atPath: server.files.path) == [".fermata"])
        let stored = try client.upload(whole, good)
        #expect(stored.status == 200, "\(stored.body)")
        #expect(try server.staged().isEmpty)
        let names = try FileManager.default.contentsOfDirectory(atPath: server.files.path).sorted()
        #expect(names == [".fermata", "a", "w"])
    }

    @Test("the site's answer takes the place of those that tell of a client's own files, not of a confirmation")
    func redirected() throws {
        let server = try InProcessServer(.signed, ["FERMATA_ON_COMPLETE": "/done"])
        let conversation = Dialect.signed.conversation(server)
        try send(conversation)
        #expect(try conversation.finish().fields["x-accel-redirect"]?.contains("name=tasks") == true)
        let task = try #require(conversation.publishedPath.split(separator: "/").dropFirst().first)
        let body = #"{"task_id":"\#(task)","master_object_key":"\#(conversation.publishedPath)"}"#
        let answer = try server.request(
            "POST",
            "/m/confirm",
            "application/json",
            Array(body.utf8),
            ["X-Test-User: ann"]
        )
        #expect(answer.status == 200, "\(answer.body)")
        #expect(answer.fields["x-accel-redirect"] == nil)
    }

    @Test("the site is told of all files of a form, within a header that a web server takes")
    func bounded() throws {
        let server = try InProcessServer(.dcloud, ["FERMATA_ON_COMPLETE": "/done"])
        let client = DCloudClient(site: server, path: "/m")
        func field(_ parts: [DCloudClient.Part]) throws -> String {
            let answer = try server.request("POST", "/m", client.contentType, client.body(parts), [])
            return try #require(answer.fields["x-accel-redirect"], "\(answer.body)")
        }
        let two = try field([
            .file([1], name: "f", fileName: "a"), .file([1, 2], name: "g", fileName: "b"), .field("n", "x"),
        ])
        #expect(two.hasPrefix("/done?files=2&"))
        for pair in ["name=a", "size=1", "name.1=b", "size.1=2", "field.1=g", "field.n=x"] {
            #expect(two.split(whereSeparator: { "?&".contains($0) }).contains(Substring(pair)), "\(two)")
        }
        #expect(!two.contains("left_out"))
        let note = String(repeating: "\u{6CE8}", count: 417)
        let noted = try field([.file([1], fileName: "c"), .field("note", note)])
        #expect(noted.contains("&left_out_count=1&left_out=field.note"), "\(noted)")
        let long = String(repeating: "\u{6587}", count: 80)
        let many = try field((0..<100).map { .file([1], name: "f\($0)", fileName: "\(long)\($0)") })
        #expect(many.hasPrefix("/done?files=100&"))
        for field in [two, noted, many] { #expect(field.utf8.count <= 3072) }
    }
}
