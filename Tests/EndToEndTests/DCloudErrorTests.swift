import Foundation
import Testing

/// The tables of docs/dialects/dcloud.md 1.2, 1.4.2 and 1.5, through nginx. Vector 18: every error has a status other
/// than 400 and a JSON body, which `expectError` checks each time.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DCloudErrorTests {
    private let site: Site
    private let client: DCloudClient

    init() throws {
        site = try Site(
            mounts: [
                "/small": ["FERMATA_MAX_FILE": "1k"], "/images": ["FERMATA_TYPES": "png .JPG image/webp"],
                "/cancel": ["FERMATA_CANCEL": "on"], "/plainonly": ["FERMATA_RESUME": "off"],
                "/gone": ["FERMATA_ROOT": "DIR/other/gone"], "/blocked": ["FERMATA_ROOT": "DIR/other/blocked"],
                "/outside": ["FERMATA_ROOT": "/etc"], "/escape": ["FERMATA_ROOT": "DIR/other/../../.."],
                "/wrong": ["FERMATA_MAX_FILE": "many"], "/holes": ["FERMATA_MAX_RANGES": "3"],
                "/part": ["FERMATA_MAX_PART": "8"], "/synced": ["FERMATA_DURABILITY": "segment"],
                "/html": ["FERMATA_ANSWER_TYPE": "html"],
            ],
            arguments: ["--allow-root", "DIR/other", "--public-url", "https://files.example/"]
        ) { directory in
            let blocked = directory.appending(path: "other/blocked")
            try FileManager.default.createDirectory(at: blocked, withIntermediateDirectories: true)
            // A file where the staging folder should be.
            try Data().write(to: blocked.appending(path: ".fermata"))
        }
        client = DCloudClient(site: site)
    }

    private func at(_ path: String) -> DCloudClient {
        var client = client
        client.path = path
        return client
    }

    private func post(
        _ contentType: String?,
        _ body: String,
        _ path: String = "/FileUploader/"
    ) throws
        -> HTTPConnection.Answer
    {
        try HTTPConnection(site.port).post(path, contentType, Array(body.utf8))
    }

    private let form = "application/x-www-form-urlencoded"

    // MARK: Dispatch, 1.2

    @Test("methods other than POST are 405 with Allow", arguments: ["GET", "PUT", "DELETE", "PATCH"])
    func methods(method: String) throws {
        let connection = try HTTPConnection(site.port)
        try connection.sendHead(method, "/FileUploader/", form, length: 5)
        try connection.send(Array("a=b&c".utf8))
        let answer = try connection.receive()
        try answer.expectError(405, 4004)
        #expect(answer.fields["allow"] == "POST")
    }

    @Test("other media types are 415", arguments: ["application/json", nil, "multipart/mixed; boundary=x", ""])
    func mediaTypes(type: String?) throws {
        try post(type, "{}").expectError(415, 4004)
    }

    @Test("a form that is no query is 422", arguments: ["", "a=b", "server=uploader", "server=other&action=query"])
    func noQuery(body: String) throws {
        try post(form, body).expectError(422, 4004)
    }

    @Test(
        "a query is one in any spelling of its words, and on any path below the mount",
        arguments: ["/FileUploader", "/FileUploader/", "/FileUploader/servlet/Uploader?x=1"]
    )
    func spelling(path: String) throws {
        let answer = try post(form + "; charset=UTF-8", "boundary=+b+&action=QUERY&server=Uploader", path)
        #expect(answer.status == 200)
        #expect(try answer.json["boundary"] as? String == "+b+")
    }

    @Test("a query may be multipart, and its fields may stand in the URL")
    func queryForms() throws {
        _ = try client.segment("0-4/10", "0123")
        let expected = try client.query().body
        var other = client
        other.boundary = "another"
        let multipart = try other.upload(
            .field("server", "uploader"),
            .field("action", "query"),
            .field("boundary", client.boundary)
        )
        #expect(multipart.body == expected)
        let url = "/FileUploader/?server=uploader&action=query&boundary=\(client.boundary)"
        #expect(try post(form, "", url).body == expected)
    }

    @Test(
        "a query without a usable boundary is told that resuming is not supported",
        arguments: ["", "&boundary=", "&boundary=%20", "&boundary=" + String(repeating: "b", count: 201)]
    )
    func unusableBoundary(rest: String) throws {
        #expect(
            try post(form, "server=uploader&action=query" + rest).body
                == #"{"protocol":"uploader","support":false,"boundary":"","file":[],"data":[]}"#
        )
    }

    @Test("a mount can turn resuming off")
    func resumeOff() throws {
        #expect(try at("/plainonly").query().json["support"] as? Bool == false)
        #expect(try at("/plainonly").upload(.file([1])).status == 200)
    }

    @Test("a query changes nothing: it makes no session")
    func readOnly() throws {
        #expect(try client.query().body == client.query().body)
    }

    @Test("cancel is off unless the mount allows it, and then removes the session and its bytes")
    func cancel() throws {
        let body = "server=uploader&action=cancel&boundary=\(client.boundary)"
        try post(form, body).expectError(422, 4004)
        let client = at("/cancel")
        _ = try client.segment("0-4/10", "0123")
        let staging = site.files.appending(path: ".fermata").path
        #expect(try FileManager.default.contentsOfDirectory(atPath: staging).count == 2)
        let answer = try post(form, body, "/cancel")
        #expect(answer.body == #"{"result":"OK","code":0,"message":"Success"}"#)
        #expect(try client.wanted() == 0)
        #expect(try FileManager.default.contentsOfDirectory(atPath: staging) == [".mark"])
    }

    // MARK: Ranges, 1.4.2

    @Test(
        "a segment whose length or range is wrong is 4003, and the committed bytes stay as they were",
        arguments: [
            ("0-4/10", "012"), ("0-4/10", "012345"), ("0-4/10", "XXXXXXXXXXXXXX"), ("6-10/10", "67890"),
            ("4-2/10", ""), ("4-12/10", "456789ab"), ("4-/10", "4"), ("-4/10", "4"), ("0-4", "0123"),
            ("0-4/10/", "0123"), ("0-99999999999999999999/10", "0"), ("a-b/c", ""), ("+0-4/10", "0123"),
        ]
    )
    func wrongRange(range: String, text: String) throws {
        _ = try client.segment("0-4/10", "0123")
        try client.segment(range, text).expectError(422, 4003)
        #expect(try client.wanted() == 4)
        let answer = try client.segment("4-10/10", "456789")
        #expect(try answer.published()["url"] as? String == "https://files.example/ten.bin")
        #expect(try md5(site.files.appending(path: "ten.bin")) == "781e5e245d69b566979b86e28d23f2c7")
    }

    @Test("ranges are read with a unit, with blanks, and without quotes", arguments: ["bytes 0-4/10", "0 - 4 / 10"])
    func tolerantRange(range: String) throws {
        #expect(try client.segment(range, "0123").status == 200)
        #expect(try client.wanted() == 4)
        var part = DCloudClient.Part.file(Array("456789".utf8))
        part.header[0] += "; range=4-10/10"
        #expect(try client.upload(part).published()["size"] as? Int == 10)
    }

    @Test("segments may overlap and repeat; bytes sent again replace the old ones")
    func overlap() throws {
        _ = try client.segment("0-6/10", "0123XX")
        _ = try client.segment("0-6/10", "0123XX")
        #expect(try client.wanted() == 6)
        #expect(try client.segment("4-10/10", "456789").published()["size"] as? Int == 10)
        #expect(try md5(site.files.appending(path: "ten.bin")) == "781e5e245d69b566979b86e28d23f2c7")
    }

    @Test("an empty segment asks how far the file is")
    func emptySegment() throws {
        let answer = try client.segment("0-0/10", "")
        #expect(answer.body.contains(#""file":[{"name":"file","range":"0-0","size":10,"complete":false}]"#))
    }

    @Test("more disjoint ranges than the mount allows are a conflict; filling a gap is not")
    func holes() throws {
        let client = at("/holes")
        for start in [0, 10, 20] { #expect(try client.segment("\(start)-\(start + 1)/50", "x").status == 200) }
        try client.segment("30-31/50", "x").expectError(409, 4003)
        #expect(try client.segment("1-10/50", "123456789").status == 200)
        #expect(try client.segment("30-31/50", "x").status == 200)
    }

    // MARK: Sessions and completion, 1.4.3, 1.4.5, 1.4.6

    @Test("another file name behind the start is a conflict, at the start a new file")
    func otherName() throws {
        _ = try client.segment("0-4/10", "0123")
        let conflict = try client.segment("4-10/10", "456789", fileName: "other.bin")
        try conflict.expectError(409, 4003)
        #expect(conflict.body.contains(#""file":[{"name":"file","range":"0-4","size":10,"complete":false}]"#))
        #expect(try client.segment("0-4/10", "0123", fileName: "other.bin").status == 200)
        _ = try client.segment("4-10/10", "456789", fileName: "other.bin")
        #expect(FileManager.default.fileExists(atPath: site.files.appending(path: "other.bin").path))
        #expect(!FileManager.default.fileExists(atPath: site.files.appending(path: "ten.bin").path))
    }

    @Test("a failed restart leaves the old file")
    func failedRestart() throws {
        _ = try client.segment("0-4/10", "0123")
        try client.segment("0-4/12", "abc").expectError(422, 4003)
        #expect(try client.wanted() == 4)
        _ = try client.segment("4-10/10", "456789")
        #expect(try md5(site.files.appending(path: "ten.bin")) == "781e5e245d69b566979b86e28d23f2c7")
    }

    @Test("a published file is still listed, acknowledges its segments, and makes way for another file")
    func tombstone() throws {
        _ = try client.segment("0-10/10", "0123456789")
        let complete = #"{"name":"file","range":"0-10","size":10,"complete":true}"#
        #expect(try client.query().body.contains(complete))
        #expect(try client.segment("4-10/10", "456789").body.contains(#""file":[\#(complete)]"#))
        let again = try client.segment("10-10/10", "")
        #expect(try again.published()["name"] as? String == "ten.bin", "a lost answer can be asked for again")
        try client.segment("4-10/12", "XXXXXX").expectError(409, 4003)
        #expect(try md5(site.files.appending(path: "ten.bin")) == "781e5e245d69b566979b86e28d23f2c7")
        #expect(try client.segment("0-4/10", "0123").body.contains(complete))
        #expect(!FileManager.default.fileExists(atPath: site.files.appending(path: "ten[1].bin").path))
        #expect(try client.segment("0-4/12", "0123").body.contains(#""range":"0-4""#))
        let other = try client.segment("4-12/12", "456789ab")
        #expect(try other.published()["name"] as? String == "ten[1].bin")
    }

    @Test(
        "fields are kept in the session, listed by the query, and answered at the end; later values win"
    )
    func fields() throws {
        _ = try client.upload(.field("uid", "1"), .file(Array("0123".utf8), range: "0-4/10"), .field("tag", "a"))
        #expect(try client.query().body.hasSuffix(#""data":[{"name":"uid"},{"name":"tag"}]}"#))
        let answer = try client.upload(.file(Array("456789".utf8), range: "4-10/10"), .field("uid", "2"))
        #expect(answer.body.contains(#""strings":{"uid":"2","tag":"a"}"#))
        #expect(try client.upload(.field("only", "fields")).body == #"{"result":"OK","code":0,"message":"Success"}"#)
    }

    @Test("several files of a task are listed in order, and files of one field are numbered")
    func severalFiles() throws {
        _ = try client.segment("0-1/2", "b", name: "b", fileName: "b.bin")
        _ = try client.segment("0-1/2", "a", name: "a", fileName: "a.bin")
        let files = try #require(try client.query().json["file"] as? [[String: Any]])
        #expect(files.map { $0["name"] as? String } == ["b", "a"])
        let answer = try client.upload(.file([1]), .file([2, 2]), .file([3], fileName: "x.bin"))
        #expect(try answer.published("file")["name"] as? String == "ten.bin")
        #expect(try answer.published("file[1]")["name"] as? String == "ten[1].bin")
        #expect(try answer.published("file[1]")["url"] as? String == "https://files.example/ten%5B1%5D.bin")
        #expect(try answer.published("file[2]")["name"] as? String == "x.bin")
    }

    @Test("names of files and of fields in NFC and in NFD are two names: two files, each as its client names it")
    func normalisation() throws {
        let names = ["caf\u{E9}.txt", "cafe\u{301}.txt"]
        let parts = names.map { DCloudClient.Part.file(Array($0.utf8), name: $0, fileName: $0) }
        let answer = try client.upload(parts[0], parts[1])
        #expect(answer.status == 200, "\(answer.body)")
        for name in names {
            let stored = try #require(FileManager.default.contents(atPath: site.files.path + "/" + name))
            #expect(stored.elementsEqual(name.utf8))
            #expect(Data(answer.body.utf8).range(of: Data("\"\(name)\":{".utf8)) != nil, "\(answer.body)")
        }
        // Nor is one the rest of the other.
        _ = try client.segment("0-4/10", "0123", fileName: names[0])
        try client.segment("4-10/10", "456789", fileName: names[1]).expectError(409, 4003)
        #expect(try client.segment("4-10/10", "456789", fileName: names[0]).status == 200)
    }

    @Test("a file whose name cannot be used keeps its extension under its new one")
    func keptExtension() throws {
        for (name, suffix) in [("a\u{1}b.pdf", ".pdf"), ("\u{7F}.tar.GZ", ".GZ"), ("..", ""), ("a\u{1}.p\u{1}df", "")] {
            let answer = try client.upload(.file([1], fileName: name))
            let stored = try #require(try answer.published()["name"] as? String, "\(answer.body)")
            #expect(stored.wholeMatch(of: /upload-[0-9a-f]{16}(\.[A-Za-z]+)?/)?.output.1 ?? "" == suffix, "\(stored)")
        }
    }

    @Test("segment durability gives the same answers")
    func segmentDurability() throws {
        _ = try at("/synced").segment("0-4/10", "0123")
        #expect(try at("/synced").segment("4-10/10", "456789").published()["size"] as? Int == 10)
    }

    // MARK: Errors, 1.5

    @Test("4001: larger than the mount allows, as a file, as a total, as a part")
    func tooLarge() throws {
        let kilobyte = [UInt8](repeating: 1, count: 1025)
        try at("/small").upload(.file(kilobyte)).expectError(413, 4001)
        #expect(try at("/small").upload(.file(kilobyte.dropLast())).status == 200)
        try at("/small").segment("0-4/1025", "0123").expectError(413, 4001)
        try at("/part").segment("0-9/10", "012345678").expectError(413, 4001)
        #expect(try at("/part").segment("0-8/10", "01234567").status == 200)
    }

    @Test("4002: larger than the form itself allows")
    func formLimit() throws {
        let limit = DCloudClient.Part.field("MAX_FILE_SIZE", "3")
        try client.upload(limit, .file([1, 2, 3, 4])).expectError(413, 4002)
        try client.upload(limit, .file([1, 2, 3, 4], range: "0-4/4")).expectError(413, 4002)
        #expect(try client.upload(limit, .file([1, 2, 3])).status == 200)
        #expect(try client.upload(.file([1, 2, 3, 4]), limit).status == 200, "only what follows the field")
    }

    @Test("4003: a body that is no form, or not all of one")
    func malformed() throws {
        try post("multipart/form-data", "x").expectError(422, 4003)
        try post("multipart/form-data; boundary=b", "--c\r\n\r\n").expectError(422, 4004)
        try post("multipart/form-data; boundary=b", "--b\r\nContent-Disposition: form-data; name=a\r\n\r\nx")
            .expectError(422, 4003)
        try post("multipart/form-data; boundary=" + String(repeating: "b", count: 201), "x").expectError(422, 4003)
    }

    @Test("4004: no file: an empty body, no parts, or a file input without a choice")
    func noFile() throws {
        try post("multipart/form-data; boundary=b", "").expectError(422, 4004)
        try post("multipart/form-data; boundary=b", "--b--\r\n").expectError(422, 4004)
        try client.upload(.file([], fileName: "")).expectError(422, 4004)
    }

    @Test("4006: the root is gone, or its staging folder can not be made", arguments: ["/gone", "/blocked"])
    func noStaging(path: String) throws {
        try at(path).upload(.file([1])).expectError(503, 4006)
        try at(path).segment("0-4/10", "0123").expectError(503, 4006)
    }

    @Test("4008: a type that the mount does not allow")
    func types() throws {
        try at("/images").upload(.file([1])).expectError(403, 4008)
        try at("/images").segment("0-4/10", "0123").expectError(403, 4008)
        #expect(try at("/images").upload(.file([1], fileName: "A.PNG")).status == 200)
        #expect(try at("/images").upload(.file([1], fileName: "b.jpg")).status == 200)
        #expect(try at("/images").upload(.file([1], fileName: "c", type: "image/webp")).status == 200)
    }

    @Test("limits on forms are 413: parts, part headers, a field, all fields")
    func formLimits() throws {
        let many = (0..<1_001).map { DCloudClient.Part.field("f\($0)", "") }
        let answer = try HTTPConnection(site.port).post("/FileUploader/", client.contentType, client.body(many))
        try answer.expectError(413, 4008)
        #expect(answer.body.contains("FERMATA_MAX_PARTS_IN_FORM"), "a limit names itself: \(answer.body)")
        var wide = DCloudClient.Part.file([1])
        wide.header.append("X-Wide: " + String(repeating: "x", count: 17_000))
        try client.upload(wide).expectError(413, 4008)
        try client.upload(.field("a", String(repeating: "x", count: 65_537))).expectError(413, 4008)
        let full = (0..<17).map { DCloudClient.Part.field("f\($0)", String(repeating: "x", count: 65_536)) }
        let fields = try HTTPConnection(site.port).post("/FileUploader/", client.contentType, client.body(full))
        try fields.expectError(413, 4008)
        try post(form, String(repeating: "x", count: 1_048_577)).expectError(413, 4008)
    }

    @Test("the first failure is reported, and parts before it stay committed")
    func firstFailure() throws {
        try client.upload(
            .file(Array("0123".utf8), range: "0-4/10", name: "a"),
            .file([1], range: "nonsense", name: "b"),
            .file([1], range: "0-9/9", name: "c")
        ).expectError(422, 4003)
        #expect(try client.wanted("a") == 4)
        #expect(try client.wanted("c") == 0)
    }

    @Test("a large body is read to its end, so that the client sees the error")
    func drained() throws {
        let large = [UInt8](repeating: 7, count: 8 << 20)
        try at("/small").upload(.file(large)).expectError(413, 4001)
        let connection = try HTTPConnection(site.port)
        try connection.sendHead("POST", "/FileUploader/", "application/json", length: large.count)
        try connection.send(large)
        try connection.receive().expectError(415, 4004)
    }

    // MARK: Configuration, docs/settings.md

    @Test(
        "a mount that is configured wrongly is a 500 and one line in the log",
        arguments: ["/outside", "/escape", "/wrong"]
    )
    func misconfigured(path: String) throws {
        #expect(try at(path).upload(.file([1])).status == 500)
        let lines = try site.responderLog().split(separator: "\n").filter { $0.contains("can not be served") }
        #expect(lines.count == 1)
        #expect(lines.first?.contains("FERMATA_") == true)
        #expect(!FileManager.default.fileExists(atPath: "/etc/ten.bin"))
    }

    @Test("a mount can answer as HTML for hidden frames, in which nothing can be injected")
    func html() throws {
        let answer = try at("/html").upload(.file([1], fileName: "<script>&.bin"))
        #expect(answer.fields["content-type"] == "text/html; charset=utf-8")
        #expect(!answer.body.contains("<"))
        #expect(try answer.published()["name"] as? String == "<script>&.bin")
    }
}
