import Foundation
import Testing

/// The fileId protocol (docs/dialects/fileid.md 2) as a client has it.
struct FileIDClient {
    var http: FormClient

    init(_ site: any UploadServer, path: String = "/ehealth-base/multipart/upload", user: String? = nil) {
        http = FormClient(site: site, path: path, user: user)
    }

    func initiate(_ catalog: String = "scans", name: String = "scan.dcm") throws -> Int {
        let answer = try http.form([
            .field("option", "initiate"), .field("catalog", catalog),
            .file([], fileName: name, type: "application/dicom"),
        ])
        return try #require(try answer.json["fileId"] as? Int, "\(answer.body)")
    }

    @discardableResult
    func part(_ id: Int, _ number: Int, _ text: String, md5: String? = nil) throws -> HTTPConnection.Answer {
        try http.form(
            [.field("fileId", "\(id)"), .field("part", "\(number)")] + (md5.map { [.field("md5", $0)] } ?? [])
                + [.file(Array(text.utf8))]
        )
    }

    func complete(_ id: Int, _ parts: String) throws -> HTTPConnection.Answer {
        try http.form([.field("option", "complete"), .field("fileId", "\(id)"), .field("parts", parts)])
    }

    func resume(_ id: Int) throws -> HTTPConnection.Answer {
        try http.form([.field("option", "initiate"), .field("fileId", "\(id)")])
    }
}

/// The D0 vectors of docs/dialects/fileid.md 2.9, the table of 2.6 and the rows of 2.8, through nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct FileIDTests {
    private let site: Site
    private let client: FileIDClient
    private let first = "eb62f6b9306db575c2d596b1279627a4"
    private let second = "e35cf7b66449df565f93c607d5a81d09"

    init() throws {
        site = try Site(mounts: [
            "/small": ["FERMATA_DIALECT": "fileid", "FERMATA_MAX_PART": "10", "FERMATA_MAX_FILE": "15"],
            "/dcm": ["FERMATA_DIALECT": "fileid", "FERMATA_TYPES": "dcm", "FERMATA_CHUNK": "1m"],
            "/users": ["FERMATA_DIALECT": "fileid"],
        ])
        client = FileIDClient(site)
    }

    /// An upload with both parts of `0123456789`.
    private func uploaded() throws -> Int {
        let id = try client.initiate()
        try client.part(id, 1, "0123")
        try client.part(id, 2, "456789")
        return id
    }

    // MARK: Vectors

    @Test("a whole conversation, byte for byte; initiate without file bytes")
    func conversation() throws {
        let answer = try client.http.form([
            .field("option", "initiate"), .field("catalog", "other-doc"), .file([], fileName: "scan.dcm"),
        ])
        let id = try #require(try answer.json["fileId"] as? Int)
        #expect(answer.body == #"{"fileId":\#(id),"suggestedChunkSize":20971520}"#)
        #expect((1...(1 << 53 - 1)).contains(id))
        #expect(
            try client.part(id, 1, "0123").body == #"{"fileId":\#(id),"part":1,"md5string":"\#(first)"}"#
        )
        #expect(
            try client.resume(id).body
                == #"{"fileId":\#(id),"suggestedChunkSize":20971520,"parts":{"1":"\#(first)"}}"#
        )
        try client.part(id, 2, "456789")
        let complete = try client.complete(id, #"{"1":"\#(first)","2":"\#(second)"}"#)
        let path = "other-doc/\(id)-scan.dcm"
        #expect(complete.body == #"{"fileId":\#(id),"size":10,"name":"scan.dcm","url":"\#(path)"}"#)
        #expect(try client.http.stored(path) == "0123456789")
    }

    @Test("fields after the file; part 2 before part 1")
    func fieldsAfterFile() throws {
        let id = try client.initiate()
        for (number, text) in [(2, "456789"), (1, "0123")] {
            let answer = try client.http.form([
                .file(Array(text.utf8)), .field("part", "\(number)"), .field("fileId", "\(id)"),
                .field("option", "upload"),
            ])
            #expect(answer.status == 200, "\(answer.body)")
        }
        #expect(try client.complete(id, "{1: '\(first)', 2: '\(second)'}").status == 200)
        #expect(try client.http.stored("scans/\(id)-scan.dcm") == "0123456789")
    }

    @Test("a re-sent part replaces the one before, smaller or larger; the list says which is meant")
    func resent() throws {
        let id = try uploaded()
        try client.part(id, 1, "ab")
        #expect(try client.complete(id, "{1:'\(first)',2:'\(second)'}").status == 409)
        try client.part(id, 1, "01234567")
        try client.part(id, 1, "0123")
        #expect(try client.complete(id, "{1:'\(first)',2:'\(second)'}").status == 200)
        #expect(try client.http.stored("scans/\(id)-scan.dcm") == "0123456789")
    }

    @Test("a repeated complete has the same answer, another list or another part none; the resume tells of the end")
    func repeated() throws {
        let id = try uploaded()
        let list = "{1:'\(first)',2:'\(second)'}"
        let answer = try client.complete(id, list)
        #expect(try client.complete(id, list).body == answer.body)
        try client.complete(id, "{1:'\(first)'}").expectWord(404, "NoSuchUpload")
        try client.part(id, 1, "0123").expectWord(404, "NoSuchUpload")
        #expect(
            try client.resume(id).body
                == #"{"fileId":\#(id),"suggestedChunkSize":20971520,"#
                + #""parts":{"1":"\#(first)","2":"\#(second)"},"completed":true}"#
        )
    }

    @Test("a body that is cut off commits nothing, and leaves the part that was there")
    func cutOff() throws {
        let id = try uploaded()
        try client.http.brokenForm(
            [.field("fileId", "\(id)"), .field("part", "1"), .file(Array("XXXXXXXX".utf8))],
            droppingLast: 30
        )
        #expect(try client.complete(id, "{1:'\(first)',2:'\(second)'}").status == 200)
        #expect(try client.http.stored("scans/\(id)-scan.dcm") == "0123456789")
    }

    @Test("a wrong md5 is BadDigest and leaves the part that was there; a right one comes back in its own spelling")
    func digests() throws {
        let id = try uploaded()
        try client.part(id, 1, "XXXX", md5: first).expectWord(400, "BadDigest")
        #expect(try client.complete(id, "{1:'\(first)',2:'\(second)'}").status == 200)
        let other = try client.initiate()
        #expect(
            try client.part(other, 1, "0123", md5: first.uppercased()).json["md5string"] as? String
                == first.uppercased()
        )
        #expect(
            try client.part(other, 2, "0123", md5: "62L2uTBttXXC1ZaxJ5YnpA==").json["md5string"] as? String
                == "62L2uTBttXXC1ZaxJ5YnpA=="
        )
    }

    @Test("a list of all 10000 parts is read")
    func longList() throws {
        let id = try uploaded()
        let list = (1...10_000).map { "\($0): '\(first)'" }.joined(separator: ", ")
        // Of such parts there are two, and the second is another.
        try client.complete(id, "{\(list)}").expectWord(409, "InvalidPart")
        try client.http.urlEncoded("option=complete&fileId=\(id)&parts={\(list)}").expectWord(409, "InvalidPart")
    }

    @Test("chunked bodies, parts of no bytes, and parts that are not listed")
    func unusual() throws {
        let id = try client.initiate()
        for (number, text) in [(1, "0123"), (2, ""), (3, "456789"), (4, "dropped"), (9, "dropped, too")] {
            let answer = try client.http.chunkedForm([
                .field("fileId", "\(id)"), .field("part", "\(number)"), .file(Array(text.utf8)),
            ])
            #expect(answer.status == 200, "\(answer.body)")
        }
        let list = "{1:'\(first)',2:'d41d8cd98f00b204e9800998ecf8427e',3:'\(second)'}"
        #expect(try client.complete(id, list).json["size"] as? Int == 10)
        #expect(try client.http.stored("scans/\(id)-scan.dcm") == "0123456789")
    }

    // MARK: Errors (2.6)

    @Test("every row of the table of errors")
    func errors() throws {
        let id = try client.initiate()
        let http = client.http
        for parts: [FormClient.Part] in [
            [.field("option", "initiate")], [.field("option", "initiate"), .field("catalog", "")],
            [.field("option", "initiate"), .field("catalog", "../x")],
            [.field("option", "initiate"), .field("catalog", ".fermata")],
            [.field("option", "initiate"), .field("catalog", "/")],
            [.field("option", "initiate"), .field("catalog", String(repeating: "x", count: 129))],
            [.field("option", "initiate"), .field("fileId", "x")],
            [.field("option", "complete"), .field("fileId", "\(id)")],
            [.field("option", "complete"), .field("fileId", "-1"), .field("parts", "{1:'\(first)'}")],
            [.field("option", "complete"), .field("fileId", "\(id)"), .field("parts", "{}")],
            [.field("option", "complete"), .field("fileId", "\(id)"), .field("parts", "{1:")],
            [.field("option", "complete"), .field("fileId", "\(id)"), .field("parts", "[]")],
            [.field("option", "complete"), .field("fileId", "\(id)"), .field("parts", "{x:'\(first)'}")],
            [.field("option", "complete"), .field("fileId", "\(id)"), .field("parts", "{1:'md51'}")],
            [.field("option", "complete"), .field("fileId", "\(id)"), .field("parts", "{10001:'\(first)'}")],
            [.field("option", "delete")], [.field("fileId", "\(id)"), .field("part", "1")],
            [.field("fileId", "\(id)"), .field("part", "one"), .file([1])],
            [.field("fileId", "\(id)"), .field("part", "10001"), .file([1])],
            [.field("fileId", "\(id)"), .field("part", "1"), .field("md5", "x"), .file([1])],
            [.field("fileId", "\(id)"), .field("part", "1"), .file([], fileName: "")],
        ] {
            try http.form(parts).expectWord(400, "InvalidArgument")
        }
        try client.complete(id, "{1:'\(first)'}").expectWord(409, "InvalidPart")
        for parts: [FormClient.Part] in [
            [.field("fileId", "7"), .field("part", "1"), .file([1])],
            [.field("fileId", "7"), .field("part", "10001"), .file([1])],
            [.file([1]), .field("fileId", "7"), .field("part", "1")],
            [.field("option", "initiate"), .field("fileId", "7")],
            [.field("option", "complete"), .field("fileId", "7"), .field("parts", "{2:'\(first)'}")],
        ] {
            try http.form(parts).expectWord(404, "NoSuchUpload")
        }
        try http.bare("GET").expectWord(405, "MethodNotAllowed")
        #expect(try http.bare("PUT").fields["allow"] == "POST")
        try http.json("{}").expectWord(415, "UnsupportedMediaType")
        let long = String(repeating: "x", count: 70_000)
        try http.form([.field("option", "initiate"), .field("notes", long)]).expectWord(413, "EntityTooLarge")
        let small = FileIDClient(site, path: "/small")
        let smallID = try small.initiate()
        try small.part(smallID, 1, "01234567890").expectWord(413, "EntityTooLarge")
        #expect(try small.part(smallID, 1, "0123456789").status == 200, "ten bytes are allowed")
        try small.part(smallID, 2, "012345").expectWord(413, "EntityTooLarge")
        #expect(try small.part(smallID, 2, "01234").status == 200, "fifteen in all are")
        try FormClient(site: site, path: "/dcm").form([
            .field("option", "initiate"), .field("catalog", "a"), .file([], fileName: "x.exe"),
        ]).expectWord(403, "AccessDenied")
    }

    @Test("a catalog that leads through a file or a link is refused")
    func blockedCatalog() throws {
        try Data().write(to: site.files.appending(path: "file"))
        try FileManager.default.createSymbolicLink(
            atPath: site.files.appending(path: "link").path,
            withDestinationPath: "/tmp"
        )
        for catalog in ["file", "file/a", "link", "link/a"] {
            try client.http.form([.field("option", "initiate"), .field("catalog", catalog)])
                .expectWord(400, "InvalidArgument")
        }
    }

    // MARK: Ambiguities (2.8)

    @Test("D0-1: the file of an initiate gives its name only; its bytes do not count, wherever it stands")
    func row1() throws {
        let file = FormClient.Part.file(Array(repeating: 7, count: 300_000), fileName: "a b.dcm")
        let small = FormClient(site: site, path: "/small")
        for parts: [FormClient.Part] in [
            [.field("option", "initiate"), .field("catalog", "c"), file],
            [file, .field("option", "initiate"), .field("catalog", "c")],
        ] {
            let answer = try small.form(parts)
            let id = try #require(try answer.json["fileId"] as? Int, "\(answer.body)")
            let client = FileIDClient(site, path: "/small")
            try client.part(id, 1, "0123")
            #expect(try client.complete(id, "{1:'\(first)'}").json["size"] as? Int == 4)
            #expect(try client.http.stored("c/\(id)-a b.dcm") == "0123")
        }
    }

    @Test("D0-2: a part needs no option, or one of its synonyms", arguments: ["", "upload", "part"])
    func row2(option: String) throws {
        let id = try client.initiate()
        let answer = try client.http.form([
            .field("option", option), .field("fileId", "\(id)"), .field("part", "1"), .file(Array("0123".utf8)),
        ])
        #expect(try answer.json["md5string"] as? String == first)
    }

    @Test("D0-3: a file without option, fileId and part is refused with a message that helps")
    func row3() throws {
        let answer = try client.http.form([.file([1])])
        try answer.expectWord(400, "InvalidArgument")
        #expect(answer.body.contains("option is required"))
    }

    @Test("D0-4: mode is any text", arguments: ["31", "bar"])
    func row4(mode: String) throws {
        let answer = try client.http.form([
            .field("option", "initiate"), .field("catalog", "c"), .field("mode", mode), .field("notes", "n"),
        ])
        #expect(answer.status == 200)
    }

    @Test("D0-5: the list of parts is read with quoted and with bare keys")
    func row5() throws {
        for list in ["{1: '\(first)', 2: '\(second)'}", #"{"1":"\#(first)","2":"\#(second)"}"#] {
            #expect(try client.complete(uploaded(), list).status == 200)
        }
    }

    @Test("D0-6: parts are counted from 1, or from 0")
    func row6() throws {
        let id = try client.initiate()
        try client.part(id, 0, "0123")
        try client.part(id, 1, "456789")
        #expect(try client.complete(id, "{0:'\(first)',1:'\(second)'}").status == 200)
        #expect(try client.http.stored("scans/\(id)-scan.dcm") == "0123456789")
    }

    @Test("D0-7: the resume answer maps index to MD5, in ascending order")
    func row7() throws {
        let id = try client.initiate()
        for number in [10, 2, 1] { try client.part(id, number, "0123") }
        #expect(
            try client.resume(id).body.hasSuffix(#""parts":{"1":"\#(first)","2":"\#(first)","10":"\#(first)"}}"#)
        )
        #expect(try client.resume(client.initiate()).body.hasSuffix(#""parts":{}}"#))
    }

    @Test("D0-8, D0-9: answers are strict JSON, without parts for a new upload")
    func row8() throws {
        let answer = try client.http.form([.field("option", "initiate"), .field("catalog", "c")])
        #expect(Set(try answer.json.keys) == ["fileId", "suggestedChunkSize"])
    }

    @Test("D0-10: parts of any size; the last may be longer; the suggestion is the mount's")
    func row10() throws {
        let id = try client.initiate()
        for (number, text) in [(1, "0"), (2, "123"), (3, "456789")] { try client.part(id, number, text) }
        let list = [(1, "0"), (2, "123"), (3, "456789")].map { "\($0):'\(md5($1))'" }.joined(separator: ",")
        #expect(try client.complete(id, "{\(list)}").json["size"] as? Int == 10)
        #expect(try client.http.stored("scans/\(id)-scan.dcm") == "0123456789")
        let suggested = try FormClient(site: site, path: "/dcm").form([
            .field("option", "initiate"), .field("catalog", "c"), .file([], fileName: "scan.dcm"),
        ])
        #expect(try suggested.json["suggestedChunkSize"] as? Int == 1 << 20)
    }

    @Test("D0-11: complete names size, name and place; an upload without a file name is named by its id")
    func row11() throws {
        let answer = try client.http.form([.field("option", "initiate"), .field("catalog", "/a//./b/")])
        let id = try #require(try answer.json["fileId"] as? Int)
        try client.part(id, 1, "0123")
        #expect(
            try client.complete(id, "{1:'\(first)'}").body
                == #"{"fileId":\#(id),"size":4,"name":"\#(id)","url":"a/b/\#(id)"}"#
        )
    }

    @Test("D0-12: a gap is refused, at the start as in the middle, and changes nothing")
    func row12() throws {
        let id = try uploaded()
        try client.part(id, 4, "0123")
        for list in ["{2:'\(second)'}", "{1:'\(first)',4:'\(first)'}", "{0:'\(first)',2:'\(second)'}"] {
            try client.complete(id, list).expectWord(409, "InvalidPart")
        }
        #expect(try client.complete(id, "{1:'\(first)',2:'\(second)'}").status == 200)
    }

    @Test("D0-13: digests in any case and as Base64")
    func row13() throws {
        let id = try uploaded()
        #expect(try client.complete(id, "{1:'\(first.uppercased())',2:'41z3tmRJ31Zfk8YH1agdCQ=='}").status == 200)
    }

    @Test("D0-14: with fileId, catalog and mode are ignored, even when they could not be")
    func row14() throws {
        let id = try uploaded()
        let answer = try client.http.form([
            .field("option", "initiate"), .field("fileId", "\(id)"), .field("catalog", "../.."), .field("mode", "x"),
        ])
        #expect(try answer.json["fileId"] as? Int == id)
    }

    @Test("D0-15: a trailing comma is read; keys that are calls are not")
    func row15() throws {
        let id = try uploaded()
        try client.complete(id, "{md5(1):'\(first)'}").expectWord(400, "InvalidArgument")
        #expect(try client.complete(id, "{1:'\(first)',2:'\(second)',}").status == 200)
    }

    // MARK: Identifiers

    @Test("a fileId is never issued twice, also over restarts, and belongs to its principal")
    func identifiers() throws {
        var ids: [Int] = []
        for _ in 0..<20 { ids.append(try client.initiate()) }
        site.killResponder()
        try site.restartResponder()
        for _ in 0..<20 { ids.append(try client.initiate()) }
        #expect(Set(ids).count == 40)
        #expect(Set(ids.map { $0 >> 22 }).count == 40, "the counter alone tells them apart")
        #expect(Set(ids.map { $0 & (1 << 22 - 1) }).count > 35, "the rest can not be guessed")
    }
}
