import Foundation
import Testing

/// The protocol of signed part URLs (docs/dialects/signed.md 5) as a client has it.
struct SignedClient {
    var http: FormClient

    init(_ site: any UploadServer, path: String = "/tasks/upload", user: String? = nil) {
        http = FormClient(site: site, path: path, user: user)
    }

    /// What `init` answered.
    struct Upload {
        let task: String
        let id: String
        let key: String
        let parts: [[String: Any]]

        init(_ answer: HTTPConnection.Answer) throws {
            task = try #require(try answer.json["task_id"] as? String, "\(answer.body)")
            id = try #require(try answer.json["upload_id"] as? String)
            key = try #require(try answer.json["object_key"] as? String)
            parts = try HTTPConnection.objects(answer.json["parts"])
        }

        func url(_ number: Int) throws -> String {
            try #require(parts.first { $0["part_number"] as? Int == number }?["upload_url"] as? String)
        }

        /// The three members that name an upload.
        var members: String { #""task_id":"\#(task)","upload_id":"\#(id)","object_key":"\#(key)""# }
    }

    func begin(
        _ name: String = "model.zip",
        size: Int,
        kind: String = "master",
        more: String = ""
    ) throws -> HTTPConnection.Answer {
        try http.json(
            #"{"filename":"\#(name)","file_size":\#(size),"file_type":"\#(kind)"\#(more)}"#,
            at: "/multipart/init"
        )
    }

    /// PUTs bytes to a URL, which needs no user.
    func put(_ url: String, _ text: String) throws -> HTTPConnection.Answer {
        try put(url, Array(text.utf8))
    }

    func put(_ url: String, _ bytes: [UInt8], _ method: String = "PUT") throws -> HTTPConnection.Answer {
        let components = try #require(URLComponents(string: url))
        #expect(components.host == "localhost")
        let path = components.percentEncodedPath + "?" + (components.percentEncodedQuery ?? "")
        return try http.site.request(method, path, "application/octet-stream", bytes, [])
    }

    func list(_ upload: Upload) throws -> HTTPConnection.Answer {
        try http.json("{\(upload.members)}", at: "/multipart/list")
    }

    func complete(
        _ upload: Upload,
        _ parts: [(Int, String)],
        kind: String = "master"
    ) throws -> HTTPConnection.Answer {
        let list = parts.map { #"{"part_number":\#($0),"etag":"\#($1)"}"# }.joined(separator: ",")
        return try http.json(
            #"{\#(upload.members),"file_type":"\#(kind)","parts":[\#(list)]}"#,
            at: "/multipart/complete"
        )
    }

    func abort(_ upload: Upload) throws -> HTTPConnection.Answer {
        try http.json("{\(upload.members)}", at: "/multipart/abort")
    }

    func confirm(_ upload: Upload, more: String = "") throws -> HTTPConnection.Answer {
        try http.json(
            #"{"task_id":"\#(upload.task)","master_object_key":"\#(upload.key)"\#(more)}"#,
            at: "/confirm"
        )
    }
}

/// The D3 vectors of docs/dialects/signed.md 5.11, the table of 5.8 and the rows of 5.10, through nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct SignedTests {
    private let site: Site
    /// On a mount whose parts have four bytes.
    private let client: SignedClient
    /// On the shipped location, with all limits as documented.
    private let strict: SignedClient
    private let first = "eb62f6b9306db575c2d596b1279627a4"

    init() throws {
        let tiny = ["FERMATA_DIALECT": "signed", "FERMATA_CHUNK": "4", "FERMATA_MIN_PART": "1"]
        site = try Site(mounts: [
            "/tiny": tiny, "/users": tiny,
            "/brief": tiny.merging(["FERMATA_URL_EXPIRES": "1", "FERMATA_TYPES": "zip"]) { $1 },
            "/base": tiny.merging(["FERMATA_BASE_URL": "https://localhost/api/tiny"]) { $1 },
        ])
        client = SignedClient(site, path: "/tiny")
        strict = SignedClient(site)
    }

    private func upload(_ size: Int = 10) throws -> SignedClient.Upload {
        try SignedClient.Upload(client.begin(size: size))
    }

    /// An upload of `0123456789` with all of its parts.
    private func uploaded() throws -> (SignedClient.Upload, [(Int, String)]) {
        let upload = try upload()
        for (number, text) in texts { #expect(try client.put(upload.url(number), text).status == 200) }
        return (upload, texts.map { ($0, md5($1)) })
    }

    private let texts = [(1, "0123"), (2, "4567"), (3, "89")]

    // MARK: Vectors

    @Test("a whole conversation on the shipped location, byte for byte; the last part is short")
    func conversation() throws {
        let content = [UInt8](repeating: 7, count: 5_242_880 + 3)
        let begun = try strict.begin(size: content.count)
        let upload = try SignedClient.Upload(begun)
        #expect(upload.key == "tasks/\(upload.task)/master/model.zip")
        let part = { (number: Int, start: Int, end: Int) in
            let url = try upload.url(number)
            #expect(
                url.hasPrefix("http://localhost/tasks/upload/multipart/part/\(upload.task)/\(upload.id)/\(number)?")
            )
            return #"{"part_number":\#(number),"upload_url":"\#(url)","#
                + #""start_byte":\#(start),"end_byte":\#(end),"size":\#(end - start)}"#
        }
        let parts = [try part(1, 0, 5_242_880), try part(2, 5_242_880, content.count)].joined(separator: ",")
        #expect(
            begun.body
                == #"{"task_id":"\#(upload.task)","upload_id":"\#(upload.id)","object_key":"\#(upload.key)","#
                + #""total_chunks":2,"parts":[\#(parts)]}"#
        )
        let whole = md5(Array(content[..<5_242_880]))
        let rest = md5(Array(content[5_242_880...]))
        let last = try strict.put(upload.url(2), Array(content[5_242_880...]))
        #expect(last.status == 200)
        #expect(last.body.isEmpty)
        #expect(last.fields["etag"] == "\"\(rest)\"")
        let listed = try strict.list(upload)
        #expect(listed.body.hasPrefix(#"{"parts":[{"part_number":2,"etag":"\#(rest)"}],"missing":[{"part_number":1,"#))
        #expect(try strict.put(upload.url(1), Array(content[..<5_242_880])).fields["etag"] == "\"\(whole)\"")
        let answer = try strict.complete(upload, [(1, whole), (2, rest)])
        #expect(answer.body == #"{"object_key":"\#(upload.key)","message":"Upload completed"}"#)
        #expect(try Data(contentsOf: site.files.appending(path: upload.key)) == Data(content))
        #expect(
            try strict.confirm(upload).body
                == #"{"task_id":"\#(upload.task)","status":"QUEUED","message":"Task confirmed"}"#
        )
    }

    @Test("a part of another length is refused and commits nothing, not even over one that was there")
    func wrongLength() throws {
        let (upload, list) = try uploaded()
        for text in ["", "X", "XXX"] { try client.put(upload.url(1), text).expectDetail(400) }
        for text in ["XXXXX", "XXXXXXXXXXXXX"] { try client.put(upload.url(1), text).expectDetail(413) }
        #expect(try client.complete(upload, list).status == 200)
        #expect(try client.http.stored(upload.key) == "0123456789")
    }

    @Test("a repeated part replaces the one before")
    func repeatedPart() throws {
        let upload = try upload()
        for text in ["abcd", "wxyz", "0123"] { #expect(try client.put(upload.url(1), text).status == 200) }
        for (number, text) in texts.dropFirst() { _ = try client.put(upload.url(number), text) }
        #expect(try client.complete(upload, texts.map { ($0, md5($1)) }).status == 200)
        #expect(try client.http.stored(upload.key) == "0123456789")
    }

    @Test("a list that misses a part, repeats one or has another etag is refused, and can be repeated rightly")
    func wrongLists() throws {
        let (upload, list) = try uploaded()
        for wrong in [
            Array(list.dropLast()), Array(list.dropFirst()), list + [list[0]], list + [(4, first)],
            [(0, first)] + list, [list[0], list[1], (3, first)], [],
        ] {
            try client.complete(upload, wrong).expectDetail(400)
        }
        #expect(try client.complete(upload, list.reversed()).status == 200, "the server sorts")
    }

    @Test("a part that never came can not be listed")
    func missingPart() throws {
        let upload = try upload()
        for (number, text) in texts.dropLast() { _ = try client.put(upload.url(number), text) }
        try client.complete(upload, texts.map { ($0, md5($1)) }).expectDetail(400)
    }

    @Test("an expired URL is refused, and list has a new one; any change of a URL makes it invalid")
    func urls() throws {
        let brief = SignedClient(site, path: "/brief")
        let expiring = try SignedClient.Upload(brief.begin(size: 4))
        usleep(1_100_000)
        try brief.put(expiring.url(1), "0123").expectDetail(403)
        let missing = try HTTPConnection.objects(brief.list(expiring).json["missing"])
        let fresh = try #require(missing.first?["upload_url"] as? String)
        #expect(missing.first?["size"] as? Int == 4)
        #expect(try brief.put(fresh, "0123").status == 200)
        let upload = try upload()
        let other = try self.upload()
        let url = try upload.url(1)
        for wrong in [
            url.replacingOccurrences(of: "/1?", with: "/2?"),
            url.replacingOccurrences(of: "expires=", with: "expires=9"),
            url.replacingOccurrences(of: upload.id, with: other.id),
            url.replacingOccurrences(of: upload.task, with: other.task),
            url.replacingOccurrences(of: "/tiny/", with: "/users/"), String(url.dropLast()), url + "0",
            String(url.prefix { $0 != "?" }), url + "&principal=ann", url.replacingOccurrences(of: "/1?", with: "/x?"),
        ] {
            try client.put(wrong, "0123").expectDetail(403)
        }
        #expect(try client.put(url, [], "GET").fields["allow"] == "PUT")
        #expect(try client.put(url, "0123").status == 200)
    }

    @Test("abort takes the bytes away, can be repeated, and ends the upload")
    func abort() throws {
        let (upload, list) = try uploaded()
        for _ in 0..<2 { #expect(try client.abort(upload).body == #"{"message":"Upload aborted"}"#) }
        let staging = site.files.appending(path: ".fermata").path
        #expect(try FileManager.default.contentsOfDirectory(atPath: staging) == [".mark"])
        try client.complete(upload, list).expectDetail(409)
        try client.put(upload.url(1), "0123").expectDetail(409)
        try client.list(upload).expectDetail(404)
        try client.confirm(upload).expectDetail(409)
    }

    @Test(
        "what is complete can not be aborted, written to or completed otherwise; its list and its repeat still answer"
    )
    func afterCompletion() throws {
        let (upload, list) = try uploaded()
        #expect(try client.complete(upload, list).status == 200)
        try client.abort(upload).expectDetail(409)
        try client.put(upload.url(1), "0123").expectDetail(409)
        try client.complete(upload, [(1, first), (2, first), (3, first)]).expectDetail(409)
        #expect(try client.complete(upload, list).status == 200)
        #expect(try client.list(upload).body.hasSuffix(#""missing":[]}"#))
    }

    @Test("a task is confirmed when its objects are complete, again with the same content, never with other")
    func confirm() throws {
        let (upload, list) = try uploaded()
        try client.confirm(upload).expectDetail(409)
        _ = try client.complete(upload, list)
        let more = #","profile_name":"p<&>","thread_count":"8","priority":2,"x":1.50,"y":null,"z":true"#
        for _ in 0..<2 { #expect(try client.confirm(upload, more: more).json["status"] as? String == "QUEUED") }
        let stored = try client.http.stored("tasks/\(upload.task)/task.json")
        let metadata = try #require(try JSONSerialization.jsonObject(with: Data(stored.utf8)) as? [String: Any])
        #expect(metadata["profile_name"] as? String == "p<&>")
        #expect(metadata["thread_count"] as? String == "8")
        #expect(metadata["priority"] as? Int == 2)
        #expect(stored.contains(#""x":1.50"#), "numbers stay as they were written")
        try client.confirm(upload).expectDetail(409)
        #expect(try client.http.stored("tasks/\(upload.task)/task.json") == stored)
        site.killResponder()
        try site.restartResponder()
        #expect(try client.confirm(upload, more: more).status == 200)
        try client.confirm(upload, more: #","a":[1]"#).expectDetail(400)
    }

    @Test("a task may have a second file, and both are confirmed together")
    func include() throws {
        let (upload, list) = try uploaded()
        _ = try client.complete(upload, list)
        let second = try SignedClient.Upload(
            client.begin("lib.inc", size: 4, kind: "include", more: #","task_id":"\#(upload.task)""#)
        )
        #expect(second.key == "tasks/\(upload.task)/include/lib.inc")
        let more = #","include_object_key":"\#(second.key)""#
        try client.confirm(upload, more: more).expectDetail(409)
        _ = try client.put(second.url(1), "0123")
        #expect(try client.complete(second, [(1, first)], kind: "include").status == 200)
        #expect(try client.confirm(upload, more: more).status == 200)
        try client.begin(size: 4, more: #","task_id":"unknown""#).expectDetail(404)
    }

    // MARK: Errors (5.8)

    @Test("every row of the table of errors; detail is always a string")
    func errors() throws {
        let (upload, list) = try uploaded()
        let http = client.http
        for body in [
            "", "{", "[]", "1", "{}", #"{"filename":1,"file_size":1,"file_type":"master"}"#,
            #"{"filename":"a","file_size":-1,"file_type":"master"}"#,
            #"{"filename":"a","file_size":1.5,"file_type":"master"}"#,
            #"{"filename":"a","file_size":1,"file_type":"other"}"#, #"{"filename":"a","file_size":1}"#,
            #"{"filename":"a","file_size":1,"file_type":"master","chunk_size":"x"}"#,
        ] {
            try http.json(body, at: "/multipart/init").expectDetail(400)
        }
        try http.json(#"{"a":"\#(String(repeating: "x", count: 1 << 20))"}"#, at: "/multipart/init").expectDetail(413)
        for call in ["/multipart/list", "/multipart/complete", "/multipart/abort", "/confirm"] {
            try http.json("{}", at: call).expectDetail(400)
            try http.bare("GET", at: call).expectDetail(405)
        }
        for wrong in [
            upload.members.replacingOccurrences(of: upload.task, with: "x"),
            upload.members.replacingOccurrences(of: upload.id, with: "x"),
            upload.members.replacingOccurrences(of: "model.zip", with: "other.zip"),
        ] {
            try http.json("{\(wrong)}", at: "/multipart/list").expectDetail(404)
            let parts = list.map { #"{"part_number":\#($0),"etag":"\#($1)"}"# }.joined(separator: ",")
            try http.json(#"{\#(wrong),"file_type":"master","parts":[\#(parts)]}"#, at: "/multipart/complete")
                .expectDetail(404)
            #expect(try http.json("{\(wrong)}", at: "/multipart/abort").status == 200, "abort of the unknown is fine")
        }
        try client.complete(upload, list, kind: "include").expectDetail(404)
        try client.complete(upload, [(1, "x"), (2, "x"), (3, "x")]).expectDetail(400)
        try http.json(#"{"task_id":"x","master_object_key":"y"}"#, at: "/confirm").expectDetail(404)
        try http.json(#"{"task_id":"\#(upload.task)","master_object_key":"y"}"#, at: "/confirm").expectDetail(404)
        try http.json("{}", at: "/other").expectDetail(404)
        try SignedClient(site, path: "/brief").begin("x.exe", size: 1).expectDetail(403)
        #expect(try client.complete(upload, list).status == 200)
    }

    // MARK: Ambiguities (5.10)

    @Test("D3-1: end_byte is exclusive")
    func row1() throws {
        let parts = try upload().parts
        #expect(parts.map { $0["start_byte"] as? Int } == [0, 4, 8])
        #expect(parts.map { $0["end_byte"] as? Int } == [4, 8, 10])
        #expect(parts.map { $0["size"] as? Int } == [4, 4, 2])
    }

    @Test("D3-2: the ETag header is quoted and strong; requests may quote or weaken it", arguments: ["\\\"", "W/\\\""])
    func row2(quote: String) throws {
        let (upload, list) = try uploaded()
        #expect(try client.put(upload.url(1), "0123").fields["etag"] == "\"\(first)\"")
        #expect(try client.complete(upload, list.map { ($0, quote + $1 + "\\\"") }).status == 200)
    }

    @Test("D3-3: PUT succeeds with 200, and no other status")
    func row3() throws {
        #expect(try client.put(upload().url(1), "0123").status == 200)
    }

    @Test("D3-4: complete, abort and confirm answer as the published client expects")
    func row4() throws {
        let (upload, list) = try uploaded()
        #expect(Set(try client.complete(upload, list).json.keys) == ["object_key", "message"])
        #expect(Set(try client.confirm(upload).json.keys) == ["task_id", "status", "message"])
    }

    @Test("D3-5, D3-6: parts in any order, as objects or as pairs")
    func row5() throws {
        let (upload, list) = try uploaded()
        let pairs = list.reversed().map { #"[\#($0),"\#($1)"]"# }.joined(separator: ",")
        let body = #"{\#(upload.members),"file_type":"master","parts":[\#(pairs)]}"#
        #expect(try client.http.json(body, at: "/multipart/complete").status == 200)
    }

    @Test("D3-7: init tells all parts")
    func row7() throws {
        #expect(try upload(399).parts.count == 100)
        #expect(try upload(0).parts.count == 1)
    }

    @Test("D3-8: list has new URLs for what is missing, and they work")
    func row8() throws {
        let upload = try upload()
        _ = try client.put(upload.url(2), "4567")
        let missing = try HTTPConnection.objects(client.list(upload).json["missing"])
        #expect(missing.map { $0["part_number"] as? Int } == [1, 3])
        for (part, text) in zip(missing, ["0123", "89"]) {
            #expect(try client.put(#require(part["upload_url"] as? String), text).status == 200)
        }
        #expect(try client.complete(upload, texts.map { ($0, md5($1)) }).status == 200)
    }

    @Test("D3-9: 524288000 bytes are accepted, one more is not")
    func row9() throws {
        let largest = try strict.begin(size: 524_288_000)
        #expect(try largest.json["total_chunks"] as? Int == 100)
        #expect(try SignedClient.Upload(largest).parts.count == 100)
        try strict.begin(size: 524_288_001).expectDetail(400)
    }

    @Test("D3-10: only the last part may be shorter; the part size is clamped")
    func row10() throws {
        for (wanted, expected) in [(1, 5_242_880), (6_000_000, 6_000_000), (1 << 40, 104_857_600)] {
            let parts = try SignedClient.Upload(strict.begin(size: 200_000_000, more: #","chunk_size":\#(wanted)"#))
                .parts
            #expect(parts.dropLast().allSatisfy { $0["size"] as? Int == expected })
            #expect(parts.last?["end_byte"] as? Int == 200_000_000)
        }
        let most = try client.begin(size: 524_288_000, more: #","chunk_size":1"#)
        #expect(try most.json["total_chunks"] as? Int == 10_000)
    }

    @Test("D3-11: metadata is kept as it came")
    func row11() throws {
        let (upload, list) = try uploaded()
        _ = try client.complete(upload, list)
        _ = try client.confirm(upload, more: #","thread_count":"8","priority":"2""#)
        let stored = try client.http.stored("tasks/\(upload.task)/task.json")
        #expect(stored.contains(#""thread_count":"8","priority":"2""#))
    }

    @Test("D3-12: a file is master or include")
    func row12() throws {
        for kind in ["master", "include"] { #expect(try client.begin(size: 1, kind: kind).status == 200) }
        try client.begin(size: 1, kind: "Master").expectDetail(400)
    }

    @Test("D3-13: the object key is the server's, and must come back unchanged")
    func row13() throws {
        let (upload, _) = try uploaded()
        for key in [upload.key + "/", "/" + upload.key, upload.key.uppercased()] {
            let members = upload.members.replacingOccurrences(of: upload.key, with: key)
            try client.http.json("{\(members)}", at: "/multipart/list").expectDetail(404)
        }
        for name in ["../../x", "a/b\\\\c", ".", "", ".fermata"] where !name.isEmpty {
            let key = try SignedClient.Upload(client.begin(name, size: 1)).key
            #expect(key.split(separator: "/").count == 4, "\(key)")
            #expect(!key.contains(".."))
        }
    }

    @Test("D3-14: a resume needs nothing but the three identifiers")
    func row14() throws {
        let (upload, list) = try uploaded()
        site.killResponder()
        try site.restartResponder()
        #expect(try HTTPConnection.objects(client.list(upload).json["parts"]).count == 3)
        #expect(try client.complete(upload, list).status == 200)
    }

    @Test("D3-15: a URL's end is not the upload's")
    func row15() throws {
        let brief = SignedClient(site, path: "/brief")
        let upload = try SignedClient.Upload(brief.begin(size: 4))
        #expect(try brief.put(upload.url(1), "0123").status == 200)
        usleep(1_100_000)
        #expect(try brief.complete(upload, [(1, first)]).status == 200)
    }

    @Test("D3-16: an error is an object of one string")
    func row16() throws {
        try client.http.json("{", at: "/multipart/init").expectDetail(400)
    }

    @Test("D3-17: the list of an unknown upload is 404")
    func row17() throws {
        try client.http.json(#"{"task_id":"x","upload_id":"y","object_key":"z"}"#, at: "/multipart/list")
            .expectDetail(404)
    }

    // MARK: The key

    @Test("the key is made once, for its owner alone, and URLs outlive a restart")
    func key() throws {
        let file = site.directory.appending(path: "state/signing.key")
        let attributes = try FileManager.default.attributesOfItem(atPath: file.path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        #expect(try Data(contentsOf: file).count == 32)
        let upload = try upload()
        site.killResponder()
        try site.restartResponder()
        #expect(try client.put(upload.url(1), "0123").status == 200)
        let log = try site.responderLog()
        #expect(!log.contains("signature"))
    }

    @Test("part URLs begin with the mount's base URL")
    func baseURL() throws {
        let based = try SignedClient.Upload(SignedClient(site, path: "/base").begin(size: 1))
        #expect(try based.url(1).hasPrefix("https://localhost/api/tiny/multipart/part/"))
        #expect(try upload().url(1).hasPrefix("http://localhost/tiny/multipart/part/"))
    }
}
