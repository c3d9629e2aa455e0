import Foundation
import Testing

/// The protocol of parallel parts (docs/dialects/parts.md 3) as a client has it.
struct PartsClient {
    var http: FormClient

    init(_ site: any UploadServer, path: String = "/v1/multipart/parallel", user: String? = nil) {
        http = FormClient(site: site, path: path, user: user)
    }

    func begin(_ resourceKey: String, md5: String? = nil) throws -> HTTPConnection.Answer {
        let digest = md5.map { #","md5":"\#($0)""# } ?? ""
        return try http.json(#"{"resourceKey":"\#(resourceKey)"\#(digest)}"#, at: "/uploadInit")
    }

    func id(_ resourceKey: String = "a/b.zip", md5: String? = nil) throws -> String {
        let answer = try begin(resourceKey, md5: md5)
        return try #require(try answer.json["uploadId"] as? String, "\(answer.body)")
    }

    @discardableResult
    func part(_ id: String, _ number: Int, _ text: String, md5 digest: String? = nil) throws -> HTTPConnection.Answer {
        try http.form(
            [
                .field("partNumber", "\(number)"), .field("uploadId", id), .field("md5", digest ?? md5(text)),
                .file(Array(text.utf8), name: "content"),
            ],
            at: "/upload"
        )
    }

    func complete(_ id: String, _ parts: [(Int, String)]) throws -> HTTPConnection.Answer {
        let list = parts.map { #"{"partNumber":"\#($0)","md5":"\#($1)"}"# }.joined(separator: ",")
        return try http.json(#"{"completeMultipartUpload":[\#(list)],"uploadId":"\#(id)"}"#, at: "/uploadComplete")
    }

    func list(_ id: String) throws -> HTTPConnection.Answer {
        try http.json(#"{"uploadId":"\#(id)"}"#, at: "/listParts")
    }
}

/// The D1 vectors of docs/dialects/parts.md 3.10, the table of 3.6 and the rows of 3.9, through nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PartsTests {
    private let site: Site
    /// On a mount whose parts may be small.
    private let client: PartsClient
    /// On the shipped location, with all limits as documented.
    private let strict: PartsClient
    private let first = "eb62f6b9306db575c2d596b1279627a4"
    private let second = "e35cf7b66449df565f93c607d5a81d09"

    init() throws {
        let small = ["FERMATA_DIALECT": "parts", "FERMATA_MIN_PART": "1"]
        site = try Site(mounts: [
            "/tiny": small, "/users": small,
            "/options": [
                "FERMATA_DIALECT": "parts", "FERMATA_MIN_PART": "1", "FERMATA_REQUIRE_MD5": "off",
                "FERMATA_REQUIRE_ORDER": "on", "FERMATA_WRAP_LISTS": "on", "FERMATA_CANCEL": "on",
                "FERMATA_TYPES": "zip", "FERMATA_MAX_PART": "10", "FERMATA_MAX_FILE": "15",
            ],
        ])
        client = PartsClient(site, path: "/tiny")
        strict = PartsClient(site)
    }

    private func uploaded(_ key: String = "a/b.zip") throws -> String {
        let id = try client.id(key)
        try client.part(id, 1, "0123")
        try client.part(id, 2, "456789")
        return id
    }

    private var list: [(Int, String)] { [(1, first), (2, second)] }

    // MARK: Vectors

    @Test("a whole conversation, byte for byte")
    func conversation() throws {
        let begun = try client.begin("a/b.zip")
        let id = try #require(try begun.json["uploadId"] as? String)
        #expect(begun.body == #"{"uploadId":"\#(id)","isExist":false}"#)
        #expect(id.wholeMatch(of: /[0-9A-F]{32}/) != nil)
        #expect(try client.list(id).body == "[]")
        #expect(try client.part(id, 1, "0123").body == #"{"md5":"\#(first)"}"#)
        #expect(try client.part(id, 2, "456789").body == #"{"md5":"\#(second)"}"#)
        #expect(
            try client.list(id).body
                == #"[{"partNumber":1,"md5":"\#(first)"},{"partNumber":2,"md5":"\#(second)"}]"#
        )
        #expect(
            try client.complete(id, list).body == #"{"uploadId":"\#(id)","resourceKey":"a/b.zip","size":10}"#
        )
        #expect(try client.http.stored("a/b.zip") == "0123456789")
    }

    @Test("parts of 102399 bytes are too small, but for the last one listed")
    func leastSize() throws {
        let id = try strict.id()
        let small = String(repeating: "x", count: 102_399)
        try strict.part(id, 1, small)
        try strict.part(id, 2, small + "x")
        try strict.complete(id, [(1, md5(small)), (2, md5(small + "x"))]).expectWord(400, "EntityTooSmall")
        try strict.part(id, 3, small)
        #expect(try strict.complete(id, [(2, md5(small + "x")), (3, md5(small))]).json["size"] as? Int == 204_799)
        #expect(try strict.http.stored("a/b.zip") == small + "x" + small)
    }

    @Test("an upper-case md5 and one in Base64 are echoed as they came")
    func spellings() throws {
        let id = try client.id()
        for spelling in [first.uppercased(), "62L2uTBttXXC1ZaxJ5YnpA==", "\\\"\(first)\\\""] {
            let sent = spelling.replacingOccurrences(of: "\\\"", with: "\"")
            #expect(try client.part(id, 1, "0123", md5: sent).body == #"{"md5":"\#(spelling)"}"#)
        }
        #expect(try client.list(id).body == #"[{"partNumber":1,"md5":"\#(first)"}]"#)
        #expect(try client.complete(id, [(1, "62L2uTBttXXC1ZaxJ5YnpA==")]).status == 200)
    }

    @Test("an object that is there is replaced at completion, not before; it goes on being readable")
    func overwrite() throws {
        _ = try client.complete(uploaded(), list)
        let begun = try client.begin("a/b.zip")
        let id = try #require(try begun.json["uploadId"] as? String)
        #expect(try begun.json["isExist"] as? Bool == true)
        try client.part(id, 1, "new")
        #expect(try client.http.stored("a/b.zip") == "0123456789")
        #expect(try client.complete(id, [(1, md5("new"))]).status == 200)
        #expect(try client.http.stored("a/b.zip") == "new")
    }

    @Test("two uploads of one key do not disturb each other; the last to complete stays")
    func twoUploads() throws {
        let (one, other) = (try uploaded(), try client.id())
        try client.part(other, 1, "other")
        #expect(try client.complete(one, list).status == 200)
        #expect(try client.list(other).body == #"[{"partNumber":1,"md5":"\#(md5("other"))"}]"#)
        #expect(try client.complete(other, [(1, md5("other"))]).status == 200)
        #expect(try client.http.stored("a/b.zip") == "other")
    }

    @Test("after completion the uploadId is gone for all but the identical call")
    func afterCompletion() throws {
        let id = try uploaded()
        let answer = try client.complete(id, list)
        try client.part(id, 3, "x").expectWord(404, "NoSuchUpload")
        try client.list(id).expectWord(404, "NoSuchUpload")
        try client.complete(id, [(1, first)]).expectWord(404, "NoSuchUpload")
        #expect(try client.complete(id, list.reversed()).body == answer.body)
    }

    @Test("a client that has left after its complete call finds the object")
    func clientGone() throws {
        let id = try uploaded("gone.zip")
        let body = #"{"completeMultipartUpload":[{"partNumber":1,"md5":"\#(first)"}],"uploadId":"\#(id)"}"#
        do {
            let connection = try HTTPConnection(site.port)
            try connection.sendHead("POST", "/tiny/uploadComplete", "application/json", length: body.utf8.count)
            try connection.send(Array(body.utf8))
        }
        for _ in 0..<100 where !client.http.exists("gone.zip") { usleep(20_000) }
        #expect(try client.http.stored("gone.zip") == "0123")
    }

    @Test("a re-upload that is cut off or fails its digest leaves the committed part readable")
    func failedReupload() throws {
        let id = try uploaded()
        try client.part(id, 1, "XXXX", md5: first).expectWord(400, "InvalidDigest")
        try client.http.brokenForm(
            [
                .field("partNumber", "2"), .field("uploadId", id), .field("md5", md5("XXXXXXXXXX")),
                .file(Array("XXXXXXXXXX".utf8), name: "content"),
            ],
            at: "/upload",
            droppingLast: 28
        )
        #expect(try client.complete(id, list).status == 200)
        #expect(try client.http.stored("a/b.zip") == "0123456789")
    }

    @Test("fields after the file and in the URL, forms and chunks")
    func formats() throws {
        let http = client.http
        let begun = try http.urlEncoded("resourceKey=c%2Fd.zip", at: "/uploadInit")
        let id = try #require(try begun.json["uploadId"] as? String)
        let content = FormClient.Part.file(Array("0123".utf8), name: "content")
        #expect(
            try http.form(
                [content, .field("md5", first), .field("uploadId", id), .field("partNumber", "1")],
                at: "/upload"
            )
            .status == 200
        )
        #expect(
            try http.chunkedForm(
                [.file(Array("456789".utf8), name: "content")],
                at: "/upload?partNumber=2&uploadId=\(id)&md5=\(second)"
            ).status == 200
        )
        #expect(try http.bare("GET", at: "/listParts?uploadId=\(id)").body == client.list(id).body)
        #expect(try http.urlEncoded("uploadId=\(id)", at: "/listParts").body == client.list(id).body)
        let list = #"[{"partNumber":1,"md5":"\#(first)"},{"partNumber":2,"md5":"\#(second)"}]"#
        #expect(
            try http.form([.field("uploadId", id), .field("completeMultipartUpload", list)], at: "/uploadComplete")
                .json["size"] as? Int == 10
        )
        #expect(try http.stored("c/d.zip") == "0123456789")
    }

    // MARK: Errors (3.6)

    @Test("every row of the table of errors")
    func errors() throws {
        let id = try client.id()
        for key in ["", "../x", "a/../b", ".fermata/x", "a/.fermata", "a\\u0000", "folder/", "/"] {
            try client.begin(key).expectWord(400, "InvalidArgument")
        }
        try client.http.json("{}", at: "/uploadInit").expectWord(400, "InvalidArgument")
        try client.http.json("[]", at: "/uploadInit").expectWord(400, "InvalidArgument")
        try client.http.json("{", at: "/uploadInit").expectWord(400, "InvalidArgument")
        try client.http.json("", at: "/uploadInit").expectWord(400, "InvalidArgument")
        let deep = String(repeating: "[", count: 20) + String(repeating: "]", count: 20)
        try client.http.json(#"{"resourceKey":\#(deep)}"#, at: "/uploadInit").expectWord(400, "InvalidArgument")
        let long = #"{"resourceKey":"\#(String(repeating: "x", count: 1 << 20))"}"#
        try client.http.json(long, at: "/uploadInit").expectWord(413, "EntityTooLarge")
        try client.part(id, 10_001, "x").expectWord(400, "InvalidArgument")
        try client.part(id, 1, "x", md5: "x").expectWord(400, "InvalidArgument")
        try client.part(id, 1, "x", md5: "").expectWord(400, "InvalidArgument")
        try client.part(id, 1, "x", md5: first).expectWord(400, "InvalidDigest")
        try client.http.form([.field("partNumber", "1"), .field("uploadId", id), .field("md5", first)], at: "/upload")
            .expectWord(400, "InvalidArgument")
        try client.http.form([.file([1], name: "content"), .field("uploadId", id)], at: "/upload")
            .expectWord(400, "InvalidArgument")
        try client.complete(id, []).expectWord(400, "InvalidArgument")
        try client.complete(id, [(10_001, first)]).expectWord(400, "InvalidArgument")
        try client.complete(id, [(1, "x")]).expectWord(400, "InvalidArgument")
        try client.complete(id, [(1, first)]).expectWord(400, "InvalidPart")
        try client.part(id, 1, "x")
        try client.complete(id, [(1, first)]).expectWord(400, "InvalidPart")
        try client.complete(id, [(1, md5("x")), (1, md5("x"))]).expectWord(400, "InvalidPartOrder")
        #expect(try client.complete(id, [(1, md5("x"))]).status == 200, "a failed complete has changed nothing")
        let unknown = String(repeating: "0", count: 32)
        try client.part(unknown, 1, "x").expectWord(404, "NoSuchUpload")
        try client.part(unknown, 10_001, "x").expectWord(404, "NoSuchUpload")
        try client.list(unknown).expectWord(404, "NoSuchUpload")
        try client.complete(unknown, []).expectWord(404, "NoSuchUpload")
        try client.http.bare("GET", at: "/upload").expectWord(405, "MethodNotAllowed")
        try client.http.bare("PUT", at: "/listParts").expectWord(405, "MethodNotAllowed")
        try client.http.json("{}", at: "/upload").expectWord(415, "UnsupportedMediaType")
        try client.http.bare("POST", at: "/uploadInit").expectWord(415, "UnsupportedMediaType")
        try client.http.json("{}", at: "/other").expectWord(400, "InvalidArgument")
        let options = PartsClient(site, path: "/options")
        try options.begin("x.exe").expectWord(403, "AccessDenied")
        let small = try options.id("x.zip")
        try options.part(small, 1, "01234567890").expectWord(413, "EntityTooLarge")
        #expect(try options.part(small, 1, "0123456789").status == 200)
        try options.part(small, 2, "012345").expectWord(413, "EntityTooLarge")
    }

    @Test("a key that is a folder, or leads through a file or a link, is refused at once")
    func blockedKeys() throws {
        _ = try client.complete(uploaded("a/b"), list)
        try FileManager.default.createSymbolicLink(
            atPath: site.files.appending(path: "link").path,
            withDestinationPath: "/tmp"
        )
        for key in ["a", "a/b/c", "link/c"] { try client.begin(key).expectWord(400, "InvalidArgument") }
        #expect(try client.begin("link").json["isExist"] as? Bool == true, "a link is replaced, never followed")
    }

    // MARK: Ambiguities (3.9)

    @Test("D1-1: part numbers 0 to 10000; 0 comes first")
    func row1() throws {
        let id = try client.id()
        for (number, text) in [(10_000, "89"), (0, "0123"), (1, "4567")] { try client.part(id, number, text) }
        let list = [(0, first), (1, md5("4567")), (10_000, md5("89"))]
        #expect(try client.complete(id, list).json["size"] as? Int == 10)
        #expect(try client.http.stored("a/b.zip") == "0123456789")
    }

    @Test("D1-2: numbers may be text; answers have integers")
    func row2() throws {
        let id = try uploaded()
        let list = #"[{"partNumber":1,"md5":"\#(first)"},{"partNumber":"2","md5":"\#(second)"}]"#
        let body = #"{"completeMultipartUpload":\#(list),"uploadId":"\#(id)"}"#
        #expect(try client.http.json(body, at: "/uploadComplete").json["size"] as? Int == 10)
    }

    @Test("D1-3: nothing is merged before uploadComplete")
    func row3() throws {
        _ = try uploaded()
        #expect(!client.http.exists("a/b.zip"))
    }

    @Test("D1-4, D1-5: the minimum can be lowered, and the last part is the highest one listed")
    func row4() throws {
        let id = try strict.id()
        let large = String(repeating: "x", count: 102_400)
        try strict.part(id, 1, large)
        try strict.part(id, 2, "small")
        try strict.part(id, 3, large)
        #expect(try strict.complete(id, [(2, md5("small")), (1, md5(large))]).status == 200, "part 3 is not listed")
        #expect(try client.complete(uploaded(), list).status == 200)
    }

    @Test("D1-6: bare objects and a bare array; the array can be wrapped")
    func row6() throws {
        let options = PartsClient(site, path: "/options")
        let id = try options.id("x.zip")
        try options.part(id, 1, "0123")
        #expect(try options.list(id).body == #"{"parts":[{"partNumber":1,"md5":"\#(first)"}]}"#)
    }

    @Test("D1-7: methods and media types of 3.1 are the only ones")
    func row7() throws {
        #expect(try client.http.bare("GET", at: "/listParts?uploadId=x").status == 404)
        #expect(try client.http.bare("GET", at: "/uploadInit?resourceKey=x").fields["allow"] == "POST")
        #expect(try client.http.bare("DELETE", at: "/listParts").fields["allow"] == "GET, POST")
    }

    @Test("D1-8: any order is sorted, unless the mount is strict; a repetition is always refused")
    func row8() throws {
        #expect(try client.complete(uploaded(), list.reversed()).status == 200)
        #expect(try client.http.stored("a/b.zip") == "0123456789")
        let options = PartsClient(site, path: "/options")
        let id = try options.id("x.zip")
        try options.part(id, 1, "0123")
        try options.part(id, 2, "456789")
        try options.complete(id, list.reversed()).expectWord(400, "InvalidPartOrder")
        #expect(try options.complete(id, list).status == 200)
    }

    @Test("D1-9: the md5 of the whole file counts when it is one")
    func row9() throws {
        for (digest, status) in [(md5("0123456789"), 200), (first, 400), ("none", 200)] {
            let id = try client.id("c.zip", md5: digest)
            try client.part(id, 1, "0123")
            try client.part(id, 2, "456789")
            #expect(try client.complete(id, list).status == status, "\(digest)")
            if status == 400 {
                try client.complete(id, list).expectWord(400, "InvalidDigest")
                #expect(try client.list(id).status == 200, "its parts are still there")
            }
        }
        let single = try client.id("d.zip", md5: second)
        try client.part(single, 1, "0123")
        try client.complete(single, [(1, first)]).expectWord(400, "InvalidDigest")
    }

    @Test("D1-10: a lost answer can be had again, by the identical call only")
    func row10() throws {
        let id = try uploaded()
        let answer = try client.complete(id, list).body
        site.killResponder()
        try site.restartResponder()
        #expect(try client.complete(id, list).body == answer)
        try client.complete(id, [(1, first), (2, first)]).expectWord(404, "NoSuchUpload")
    }

    @Test("D1-11: what is no digest is no argument")
    func row11() throws {
        let id = try client.id()
        for digest in ["1", "md5", String(repeating: "g", count: 32)] {
            try client.part(id, 1, "0123", md5: digest).expectWord(400, "InvalidArgument")
        }
    }

    @Test("D1-12: isExist is always there")
    func row12() throws {
        #expect(try client.begin("never.zip").json["isExist"] as? Bool == false)
    }

    @Test("D1-13: an object that appears between init and complete is replaced")
    func row13() throws {
        let id = try uploaded("e.zip")
        try Data("there".utf8).write(to: site.files.appending(path: "e.zip"))
        #expect(try client.complete(id, list).status == 200)
        #expect(try client.http.stored("e.zip") == "0123456789")
    }

    @Test("D1-14: abort is off unless the mount has it")
    func row14() throws {
        let id = try uploaded()
        try client.http.json(#"{"uploadId":"\#(id)"}"#, at: "/abort").expectWord(400, "InvalidArgument")
        let options = PartsClient(site, path: "/options")
        let other = try options.id("x.zip")
        try options.part(other, 1, "0123")
        #expect(try options.http.json(#"{"uploadId":"\#(other)"}"#, at: "/abort").status == 200)
        try options.http.json(#"{"uploadId":"\#(other)"}"#, at: "/abort").expectWord(404, "NoSuchUpload")
        try options.list(other).expectWord(404, "NoSuchUpload")
    }

    @Test("D1-15: a part of 104857600 bytes is accepted, one byte more is not")
    func row15() throws {
        let id = try strict.id()
        let content = [UInt8](repeating: 7, count: 104_857_601)
        for (count, status) in [(104_857_600, 200), (104_857_601, 413)] {
            let bytes = Array(content[..<count])
            let answer = try strict.http.form(
                [
                    .field("partNumber", "\(status)"), .field("uploadId", id), .field("md5", md5(bytes)),
                    .file(bytes, name: "content"),
                ],
                at: "/upload"
            )
            #expect(answer.status == status)
        }
    }
}
