import Foundation
import Testing

/// The offset protocol (docs/dialects/offset.md 4) as a client has it.
struct OffsetClient {
    var http: FormClient
    var storagePath = "./testupload/"

    init(_ site: any UploadServer, path: String = "/upload", user: String? = nil) {
        http = FormClient(site: site, path: path, user: user)
    }

    func create(
        _ relativePath: String = "1.csv",
        size: Int?,
        type: String? = "csv",
        at more: String = "/"
    ) throws -> HTTPConnection.Answer {
        try http.form(
            [.field("storage_path", storagePath), .field("file_relative_path", relativePath)]
                + (type.map { [.field("file_type", $0)] } ?? []) + (size.map { [.field("file_size", "\($0)")] } ?? []),
            at: more
        )
    }

    func id(_ relativePath: String = "1.csv", size: Int = 10) throws -> String {
        let answer = try create(relativePath, size: size)
        return try #require(try answer.data["id"] as? String, "\(answer.body)")
    }

    @discardableResult
    func patch(_ id: String, _ offset: Int, _ text: String, fileFirst: Bool = true) throws -> HTTPConnection.Answer {
        let file = FormClient.Part.file(Array(text.utf8))
        let field = FormClient.Part.field("upload_offset", "\(offset)")
        return try http.form(fileFirst ? [file, field] : [field, file], "PATCH", at: "/\(id)")
    }
}

extension HTTPConnection.Answer {
    /// The member `data`.
    var data: [String: Any] {
        get throws { try #require(try json["data"] as? [String: Any], "\(body)") }
    }

    /// Checks a success with its message and offset.
    func expectOffset(_ offset: Int, _ message: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(status == 200, "\(body)", sourceLocation: sourceLocation)
        #expect(
            body.hasPrefix(#"{"code":0,"message":"\#(message)","data":{"id":""#),
            "\(body)",
            sourceLocation: sourceLocation
        )
        #expect(try data["offset"] as? Int == offset, "\(body)", sourceLocation: sourceLocation)
    }
}

/// The D2 vectors of docs/dialects/offset.md 4.7, the errors of 4.2-4.4 and the rows of 4.6, through nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct OffsetTests {
    private let site: Site
    private let client: OffsetClient

    init() throws {
        site = try Site(mounts: [
            "/typed": ["FERMATA_DIALECT": "offset", "FERMATA_TYPES": "csv .pdf image/png", "FERMATA_MAX_FILE": "100"],
            "/users": ["FERMATA_DIALECT": "offset"],
        ])
        try FileManager.default.createDirectory(
            at: site.files.appending(path: "testupload"),
            withIntermediateDirectories: true
        )
        client = OffsetClient(site)
    }

    private let csv = "b0b76f02bdb8ee3269602c983c4a2aeb"

    /// The member `data` of the seed's example.
    private func data(_ offset: Int, size: Int, named: Bool) -> String {
        #"{"id":"\#(csv)","offset":\#(offset),"# + (named ? #""file_name":"1.csv","# : "")
            + #""file_relative_path":"1.csv","file_type":"csv","file_size":\#(size),"#
            + #""storage_path":"./testupload/","full_path":"testupload/1.csv"}"#
    }

    private func stored(_ name: String = "1.csv") throws -> String { try client.http.stored("testupload/" + name) }

    // MARK: Vectors

    @Test(
        "a whole conversation, byte for byte, with the file before its offset and behind it",
        arguments: [true, false]
    )
    func conversation(fileFirst: Bool) throws {
        let created = #"{"code":0,"message":"success","data":"#
        #expect(try client.create(size: 10).body == created + data(0, size: 10, named: false) + "}")
        #expect(
            try client.patch(csv, 0, "0123", fileFirst: fileFirst).body
                == #"{"code":0,"message":"Continue uploading","data":"# + data(4, size: 10, named: true) + "}"
        )
        #expect(try client.create(size: 10).body == created + data(4, size: 10, named: false) + "}")
        #expect(!client.http.exists("testupload/1.csv"))
        #expect(
            try client.patch(csv, 4, "456789", fileFirst: fileFirst).body
                == #"{"code":0,"message":"File uploaded successfully","data":"# + data(10, size: 10, named: true) + "}"
        )
        #expect(try stored() == "0123456789")
    }

    @Test("a wrong offset leaves the state, below as above the committed one")
    func wrongOffset() throws {
        let id = try client.id()
        try client.patch(id, 0, "0123")
        for offset in [1, 3, 5, 10] {
            for fileFirst in [true, false] {
                try client.patch(id, offset, "XX", fileFirst: fileFirst).expectMessage(400, "Invalid offset")
            }
        }
        try client.create(size: 10).expectOffset(4, "success")
        try client.patch(id, 4, "456789").expectOffset(10, "File uploaded successfully")
        #expect(try stored() == "0123456789")
    }

    @Test("more bytes than the file has are refused, and nothing is committed")
    func overflow() throws {
        let id = try client.id()
        try client.patch(id, 0, "01234567890").expectMessage(400, "Unsupported file size")
        try client.patch(id, 0, "0123")
        try client.patch(id, 4, "4567890").expectMessage(400, "Unsupported file size")
        try client.create(size: 10).expectOffset(4, "success")
        try client.patch(id, 4, "456789").expectOffset(10, "File uploaded successfully")
        #expect(try stored() == "0123456789")
    }

    @Test("10485760 bytes in one PATCH are accepted, one more is not")
    func requestLimit() throws {
        let content = [UInt8](repeating: 7, count: 10_485_761)
        let id = try client.id(size: 20_000_000)
        for (count, status) in [(10_485_761, 413), (10_485_760, 200)] {
            let parts: [FormClient.Part] = [.file(Array(content[..<count])), .field("upload_offset", "0")]
            let answer = try client.http.form(parts, "PATCH", at: "/\(id)")
            if status == 413 {
                try answer.expectMessage(413, "Unsupported file size")
            } else {
                try answer.expectOffset(10_485_760, "Continue uploading")
            }
        }
    }

    @Test("a repeat whose answer was lost is answered again; a new POST begins anew")
    func tombstone() throws {
        let id = try client.id()
        try client.patch(id, 0, "0123")
        try client.patch(id, 4, "456789").expectOffset(10, "File uploaded successfully")
        try client.patch(id, 4, "456789").expectOffset(10, "File uploaded successfully")
        try client.patch(id, 0, "0123").expectMessage(400, "Invalid upload ID")
        try client.create(size: 10).expectOffset(0, "success")
        #expect(try stored() == "0123456789", "the file stays until the next one is whole")
        try client.patch(id, 0, "abcdefghij").expectOffset(10, "File uploaded successfully")
        #expect(try stored() == "abcdefghij")
    }

    @Test("what came of a body that was cut off is kept when its offset was known, else not", arguments: [true, false])
    func cutOff(fileFirst: Bool) throws {
        let id = try client.id(size: 1_000_000)
        let content = String(repeating: "x", count: 400_000)
        let file = FormClient.Part.file(Array(content.utf8))
        let field = FormClient.Part.field("upload_offset", "0")
        try client.http.brokenForm(
            fileFirst ? [file, field] : [field, file],
            "PATCH",
            at: "/\(id)",
            droppingLast: 100_000
        )
        var offset = 0
        for _ in 0..<40 where offset == 0 {
            usleep(25_000)
            offset = try #require(try client.create(size: 1_000_000).data["offset"] as? Int)
        }
        if fileFirst { #expect(offset == 0) } else { #expect((250_000...300_100).contains(offset)) }
    }

    // MARK: Errors (4.2-4.4)

    @Test("each step of POST fails with its message")
    func postErrors() throws {
        try FileManager.default.createDirectory(
            at: site.files.appending(path: "testupload/dir"),
            withIntermediateDirectories: true
        )
        try Data().write(to: site.files.appending(path: "testupload/file"))
        try client.create(size: nil).expectMessage(400, "param invalid")
        try client.create(size: 1, type: nil).expectMessage(400, "param invalid")
        try client.http.form([.field("storage_path", "./testupload/")]).expectMessage(400, "param invalid")
        for size in ["-1", "1.5", "x", "", "9223372036854775808"] {
            try client.http.form([
                .field("storage_path", "testupload"), .field("file_relative_path", "a"), .field("file_type", ""),
                .field("file_size", size),
            ]).expectMessage(400, "param invalid")
        }
        var elsewhere = client
        for path in ["nowhere", "../", "testupload/file", ".fermata", "testupload/../testupload"] {
            elsewhere.storagePath = path
            try elsewhere.create(size: 1).expectMessage(400, "Storage path is not exist or is not a dir")
        }
        for path in ["", "../a", "a/../b", ".fermata/a", "."] {
            try client.create(path, size: 1).expectMessage(400, "file_relative_path invalid")
        }
        try client.create("file/a", size: 1).expectMessage(500, "failed to create folder")
        try client.create("file/a/", size: nil).expectMessage(500, "failed to create folder")
        try client.create("dir", size: 1).expectMessage(400, "full path testupload/dir is a dir")
        try client.create(size: (4 << 30) + 1).expectMessage(400, "Unsupported file size")
        try client.create(size: 4 << 30).expectOffset(0, "success")
        let typed = OffsetClient(site, path: "/typed")
        try typed.create("a.exe", size: 1, type: "exe").expectMessage(400, "Unsupported file type")
        try typed.create("a.csv", size: 101).expectMessage(400, "Unsupported file size")
    }

    @Test("methods, media types and broken bodies")
    func requestErrors() throws {
        let id = try client.id()
        let http = client.http
        try http.json("{}")
            .expectMessage(415, "the body must be multipart/form-data or application/x-www-form-urlencoded")
        #expect(try http.urlEncoded("upload_offset=0", "PATCH", at: "/\(id)").status == 415)
        try http.form([.file([1])], "PATCH", at: "/\(id)").expectMessage(400, "param invalid")
        try http.form([.field("upload_offset", "0")], "PATCH", at: "/\(id)").expectMessage(400, "param invalid")
        try http.form([.file([1]), .field("upload_offset", "-1")], "PATCH", at: "/\(id)")
            .expectMessage(400, "param invalid")
        let broken = Array(http.body([.file([1])]).dropLast(8))
        #expect(
            try HTTPConnection(site.port).request("PATCH", "/upload/\(id)", http.contentType, broken).status == 400
        )
    }

    // MARK: Ambiguities (4.6)

    @Test("D2-1: answers of PATCH have file_name and file_relative_path")
    func row1() throws {
        let id = try client.id("a/b/2.csv", size: 4)
        let data = try client.patch(id, 0, "0123").data
        #expect(data["file_name"] as? String == "2.csv")
        #expect(data["file_relative_path"] as? String == "a/b/2.csv")
        #expect(try stored("a/b/2.csv") == "0123")
    }

    @Test("D2-2: POST with and without the slash, and PATCH with one at its end")
    func row2() throws {
        try client.create(size: 10, at: "").expectOffset(0, "success")
        try client.create(size: 10, at: "/").expectOffset(0, "success")
        try client.patch(csv + "/", 0, "0123456789").expectOffset(10, "File uploaded successfully")
    }

    @Test("D2-3: the limit of a request is not one of the file")
    func row3() throws {
        try client.create(size: 50 << 20).expectOffset(0, "success")
    }

    @Test(
        "D2-4: the type is an extension, with or without a dot, a media type or nothing",
        arguments: [
            ("a", "csv", true), ("a", ".CSV", true), ("a", "pdf", true), ("a", "image/png", true), ("a.csv", "", true),
            ("a.x", "text/csv", false), ("a", "", false), ("a.CSV", "text/plain", true),
        ]
    )
    func row4(path: String, type: String, isAllowed: Bool) throws {
        let answer = try OffsetClient(site, path: "/typed").create(path, size: 1, type: type)
        if isAllowed {
            #expect(try answer.data["file_type"] as? String == type)
        } else {
            try answer.expectMessage(400, "Unsupported file type")
        }
    }

    @Test("D2-5: storage_path comes back as it was sent")
    func row5() throws {
        for path in ["./testupload/", "testupload", "/testupload//"] {
            var client = client
            client.storagePath = path
            let id = try client.id("x", size: 2)
            #expect(try client.patch(id, 0, "0").data["storage_path"] as? String == path)
        }
    }

    @Test("D2-6: folders below storage_path are made, storage_path is not")
    func row6() throws {
        _ = try client.create("new/folder/1.csv", size: 1)
        #expect(client.http.exists("testupload/new/folder"))
        var other = client
        other.storagePath = "other"
        _ = try other.create(size: 1)
        #expect(!client.http.exists("other"))
    }

    @Test("D2-7: a folder needs no size and no type, may be there, and is answered without data")
    func row7() throws {
        for _ in 0..<2 {
            let answer = try client.create("folder/sub/", size: nil, type: nil)
            #expect(answer.body == #"{"code":0,"message":"success"}"#)
        }
        #expect(client.http.exists("testupload/folder/sub"))
    }

    @Test("D2-8: another size starts the file anew; another type does not")
    func row8() throws {
        let id = try client.id()
        try client.patch(id, 0, "0123")
        let retyped = try client.create(size: 10, type: "text/csv")
        try retyped.expectOffset(4, "success")
        #expect(try retyped.data["file_type"] as? String == "text/csv")
        try client.create(size: 11).expectOffset(0, "success")
        try client.create(size: 11).expectOffset(0, "success")
        try client.patch(id, 0, "0123456789A").expectOffset(11, "File uploaded successfully")
        #expect(try stored() == "0123456789A")
    }

    @Test("D2-9: a file of no bytes is published by its POST, each time")
    func row9() throws {
        for _ in 0..<2 {
            try client.create("empty", size: 0).expectOffset(0, "success")
            #expect(try stored("empty").isEmpty)
        }
    }

    @Test("D2-10: the offset is that of the first byte of the request")
    func row10() throws {
        let id = try client.id()
        for (offset, byte) in "0123456789".enumerated() { try client.patch(id, offset, String(byte)) }
        #expect(try stored() == "0123456789")
    }

    @Test("D2-11: upload_offset 0 starts anew, with its bytes")
    func row11() throws {
        for fileFirst in [true, false] {
            let id = try client.id("r\(fileFirst)")
            try client.patch(id, 0, "XXXXXXXX")
            try client.patch(id, 0, "0123", fileFirst: fileFirst).expectOffset(4, "Continue uploading")
            try client.patch(id, 4, "456789").expectOffset(10, "File uploaded successfully")
            #expect(try stored("r\(fileFirst)") == "0123456789")
        }
    }

    @Test("D2-12: an unknown id is 400, never 404")
    func row12() throws {
        try client.patch(String(repeating: "0", count: 32), 0, "x").expectMessage(400, "Invalid upload ID")
        try client.patch("x", 0, "x", fileFirst: false).expectMessage(400, "Invalid upload ID")
    }

    @Test(
        "D2-13: the id is the MD5 of the client's own strings",
        arguments: [
            ("./testupload/", "1.csv", "b0b76f02bdb8ee3269602c983c4a2aeb"),
            ("./testupload/", "1.pdf", "e3133b0f838124ff3ebcc9cb14774f26"),
            ("./testupload", "1.csv", "b0b76f02bdb8ee3269602c983c4a2aeb"),
            ("./testupload//", "1.csv", "b0b76f02bdb8ee3269602c983c4a2aeb"),
        ]
    )
    func row13(storagePath: String, relativePath: String, expected: String) throws {
        var client = client
        client.storagePath = storagePath
        #expect(try client.id(relativePath) == expected)
    }

    @Test("D2-14: fields in any order")
    func row14() throws {
        let answer = try client.http.form([
            .field("file_size", "10"), .field("file_type", "csv"), .field("file_relative_path", "1.csv"),
            .field("storage_path", "./testupload/"),
        ])
        #expect(try answer.data["id"] as? String == csv)
    }

    @Test("D2-15: integers in quotes are accepted")
    func row15() throws {
        let id = try client.id()
        let parts: [FormClient.Part] = [.file(Array("0123".utf8)), .field("upload_offset", "\"0\"")]
        try client.http.form(parts, "PATCH", at: "/\(id)").expectOffset(4, "Continue uploading")
    }

    @Test("D2-16: a urlencoded POST is accepted; a multipart body under that name is not")
    func row16() throws {
        let fields = "storage_path=.%2Ftestupload%2F&file_relative_path=1.csv&file_type=csv&file_size=10"
        try client.http.urlEncoded(fields).expectOffset(0, "success")
        let body = client.http.body([.field("storage_path", "./testupload/"), .field("file_size", "1")])
        let answer = try client.http.urlEncoded(String(decoding: body, as: UTF8.self))
        try answer.expectMessage(
            415,
            "the body is multipart/form-data, but Content-Type says application/x-www-form-urlencoded"
        )
    }

    @Test("D2-17: messages are fixed, and success has code 0")
    func row17() throws {
        let id = try client.id(size: 2)
        try client.patch(id, 0, "0").expectOffset(1, "Continue uploading")
        try client.patch(id, 1, "1").expectOffset(2, "File uploaded successfully")
    }

    @Test("D2-18: GET, HEAD and DELETE are not allowed", arguments: ["GET", "DELETE", "PUT"])
    func row18(method: String) throws {
        for (path, allow) in [("", "POST"), ("/", "POST"), ("/\(csv)", "PATCH")] {
            let answer = try client.http.bare(method, at: path)
            #expect(answer.status == 405)
            #expect(answer.fields["allow"] == allow)
            #expect(try answer.json["code"] as? Int == 1)
        }
    }

    @Test("D2-19: types, root and largest size are the mount's")
    func row19() throws {
        let typed = OffsetClient(site, path: "/typed")
        try typed.create("a.csv", size: 100).expectOffset(0, "success")
        try typed.create("a.csv", size: 101).expectMessage(400, "Unsupported file size")
    }

    @Test("an existing file is replaced at the end, in one step")
    func replacement() throws {
        try Data("old".utf8).write(to: site.files.appending(path: "testupload/1.csv"))
        let id = try client.id()
        try client.patch(id, 0, "0123")
        #expect(try stored() == "old")
        try client.patch(id, 4, "456789")
        #expect(try stored() == "0123456789")
    }

    @Test("a client whose connection hangs comes back and goes on at once; the old connection writes no more")
    func takeOver() throws {
        let content = String(repeating: "x", count: 400_000)
        let id = try client.id(size: 400_000)
        let wrong = client.http.body([
            .field("upload_offset", "0"), .file(Array(String(repeating: "y", count: 400_000).utf8)),
        ])
        let hanging = try HTTPConnection(site.port)
        try hanging.sendHead("PATCH", "/upload/\(id)", client.http.contentType, length: wrong.count)
        try hanging.send(Array(wrong.prefix(300_000)))
        usleep(100_000)
        try client.patch(id, 0, String(content.prefix(200_000))).expectOffset(200_000, "Continue uploading")
        try hanging.send(Array(wrong.dropFirst(300_000)))
        try hanging.receive().expectMessage(400, "Invalid offset")
        try client.patch(id, 200_000, String(content.suffix(200_000))).expectOffset(
            400_000,
            "File uploaded successfully"
        )
        #expect(try stored() == content)
    }
}
