import Foundation
import Testing

/// The worked example of docs/dialects/dcloud.md 1.9 and the twenty vectors of 1.10, through nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DCloudVectorTests {
    private let site: Site
    private let client: DCloudClient
    private let ten = "781e5e245d69b566979b86e28d23f2c7"

    init() throws {
        site = try Site(mounts: [
            "/users": [:], "/small": ["FERMATA_MAX_FILE": "1g"],
        ])
        client = DCloudClient(site: site)
    }

    private func stored(_ name: String = "ten.bin") throws -> String {
        try String(contentsOf: site.files.appending(path: name), encoding: .utf8)
    }

    @Test("1: the worked example of 1.9 gives its answers byte for byte")
    func vector1() throws {
        #expect("server=uploader&action=query&boundary=----TestBoundary01".utf8.count == 56)
        #expect(
            try client.query().body
                == #"{"protocol":"uploader","support":true,"boundary":"----TestBoundary01","file":[],"data":[]}"#
        )
        let first = DCloudClient.Part.file(Array("0123".utf8), range: "0-4/10")
        #expect(client.body([first]).count == 175)
        let entry = #"{"name":"file","range":"0-4","size":10,"complete":false}"#
        #expect(
            try client.upload(first).body == #"{"result":"OK","code":0,"message":"Success","file":[\#(entry)]}"#
        )
        #expect(
            try client.query().body
                == #"{"protocol":"uploader","support":true,"boundary":"----TestBoundary01","file":[\#(entry)],"data":[]}"#
        )
        let second = DCloudClient.Part.file(Array("456789".utf8), range: "4-10/10")
        #expect(client.body([second]).count == 178)
        let answer = try client.upload(second)
        #expect(
            answer.body
                == #"{"result":"OK","code":0,"message":"Success","#
                + #""file":[{"name":"file","range":"0-10","size":10,"complete":true}],"#
                + #""error":"0","strings":{},"files":{"file":{"name":"ten.bin","url":"ten.bin","#
                + #""type":"application/octet-stream","size":10,"fileName":"ten.bin"}}}"#
        )
        #expect(try md5(site.files.appending(path: "ten.bin")) == ten)
    }

    @Test("2: the same segments in reverse order")
    func vector2() throws {
        #expect(try client.segment("4-10/10", "456789").status == 200)
        #expect(try client.wanted() == 0)
        #expect(try client.segment("0-4/10", "0123").published()["size"] as? Int == 10)
        #expect(try md5(site.files.appending(path: "ten.bin")) == ten)
    }

    @Test("3: a range of one byte less than the part is an inclusive one")
    func vector3() throws {
        #expect(try client.segment("0-3/10", "0123").status == 200)
        #expect(try client.wanted() == 4)
    }

    @Test("4: an inclusive range can be the whole file")
    func vector4() throws {
        #expect(try client.segment("0-9/10", "0123456789").published()["size"] as? Int == 10)
        #expect(try md5(site.files.appending(path: "ten.bin")) == ten)
    }

    @Test("5: another total behind the start is a conflict, and the old state stays")
    func vector5() throws {
        _ = try client.segment("0-4/10", "0123")
        try client.segment("4-10/11", "456789").expectError(409, 4003)
        #expect(try client.wanted() == 4)
        _ = try client.segment("4-10/10", "456789")
        #expect(try md5(site.files.appending(path: "ten.bin")) == ten)
    }

    @Test("6: another total at the start starts anew")
    func vector6() throws {
        _ = try client.segment("0-4/10", "0123")
        #expect(try client.segment("0-4/11", "abcd").status == 200)
        let files = try #require(try client.query().json["file"] as? [[String: Any]])
        #expect(files.count == 1)
        #expect(files.first?["size"] as? Int == 11)
        _ = try client.segment("4-11/11", "efghijk")
        #expect(try stored() == "abcdefghijk")
    }

    @Test("7: the query for an unknown boundary has empty arrays")
    func vector7() throws {
        let answer = try client.query("nobody")
        #expect(answer.status == 200)
        #expect(
            answer.body == #"{"protocol":"uploader","support":true,"boundary":"nobody","file":[],"data":[]}"#
        )
    }

    @Test("8: a boundary with plus signs is the same raw and encoded")
    func vector8() throws {
        var client = client
        client.boundary = "Boundary+0A+0B"
        _ = try client.segment("0-4/10", "0123")
        let answers = try [client.query("Boundary+0A+0B").body, client.query("Boundary%2B0A%2B0B").body]
        #expect(answers[0] == answers[1])
        #expect(answers[0].contains(#""boundary":"Boundary+0A+0B","file":[{"name":"file","range":"0-4""#))
    }

    @Test("9: two principals with one boundary are independent")
    func vector9() throws {
        var (ann, bob) = (client, client)
        (ann.path, ann.user, bob.path, bob.user) = ("/users", "ann", "/users", "bob")
        _ = try ann.segment("0-4/10", "0123")
        #expect(try bob.wanted() == 0)
        _ = try bob.segment("0-2/7", "xy")
        #expect(try ann.wanted() == 4)
        #expect(try bob.wanted() == 2)
        _ = try ann.segment("4-10/10", "456789")
        #expect(try bob.wanted() == 2)
        #expect(try client.wanted() == 0)
    }

    @Test("10: a plain upload with a session's boundary leaves the session and is a new file")
    func vector10() throws {
        _ = try client.segment("0-4/10", "0123")
        let before = try client.query().body
        let answer = try client.upload(.file(Array("plain".utf8)))
        #expect(try answer.published()["size"] as? Int == 5)
        #expect(answer.body.contains(#""message":"Success","error":"0","#), "a plain upload lists no segments")
        #expect(try client.query().body == before)
        #expect(try stored() == "plain")
    }

    @Test("11: two files and two fields, one of them last: strings holds both")
    func vector11() throws {
        let answer = try client.upload(
            .field("uid", "28044202"),
            .file([1, 2], name: "a", fileName: "a.bin"),
            .file([3], name: "b", fileName: "b.bin"),
            .field("last", "ünï")
        )
        let strings = try #require(try answer.json["strings"] as? [String: String])
        #expect(strings == ["uid": "28044202", "last": "ünï"])
        #expect(try answer.published("a")["size"] as? Int == 2)
        #expect(try answer.published("b")["size"] as? Int == 1)
    }

    @Test("12: the disposition type may be attachments")
    func vector12() throws {
        let answer = try client.upload(
            .file(Array("0123456789".utf8), range: "0-10/10", disposition: "attachments")
        )
        #expect(try answer.published()["size"] as? Int == 10)
    }

    @Test("13: a part with a media type but no filename is a file")
    func vector13() throws {
        let answer = try client.upload(.file([1, 2, 3], name: "photo", fileName: nil, type: "image/png"))
        let file = try answer.published("photo")
        #expect(file["type"] as? String == "image/png")
        let name = try #require(file["name"] as? String)
        #expect(try Data(contentsOf: site.files.appending(path: name)) == Data([1, 2, 3]))
    }

    @Test("14: a body cut in the middle of segment two keeps what came, and a resume completes it")
    func vector14() throws {
        let content = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
        let first = DCloudClient.Part.file(Array(content[..<40_000]), range: "0-40000/100000")
        _ = try client.upload(first)
        let second = client.body([.file(Array(content[40_000..<90_000]), range: "40000-90000/100000")])
        do {
            let connection = try HTTPConnection(site.port)
            try connection.sendHead("POST", "/FileUploader/", client.contentType, length: second.count)
            try connection.send(second[..<30_000])
            usleep(300_000)
        }
        var wanted = 0
        for _ in 0..<100 {
            wanted = try client.wanted()
            if wanted > 40_000 { break }
            usleep(50_000)
        }
        #expect(wanted > 40_000, "the prefix that arrived is committed")
        #expect(wanted <= 70_000)
        let rest = DCloudClient.Part.file(Array(content[wanted...]), range: "\(wanted)-100000/100000")
        #expect(try client.upload(rest).published()["size"] as? Int == 100_000)
        #expect(try Data(contentsOf: site.files.appending(path: "ten.bin")) == Data(content))
    }

    @Test("15: a chunked request", arguments: [1, 7, 4096])
    func vector15(chunk: Int) throws {
        let body = client.body([.file(Array("0123456789".utf8), range: "0-10/10"), .field("after", "x")])
        let answer = try HTTPConnection(site.port).postChunked(
            "/FileUploader/",
            client.contentType,
            body,
            chunk: chunk
        )
        #expect(try answer.published()["size"] as? Int == 10)
        #expect(try answer.json["strings"] as? [String: String] == ["after": "x"])
    }

    @Test("16: an un-ranged and a ranged part of one field are one file", arguments: [false, true])
    func vector16(isRangedFirst: Bool) throws {
        let plain = DCloudClient.Part.file(Array("0123".utf8))
        let ranged = DCloudClient.Part.file(Array("456789".utf8), range: "4-10/10")
        let answer =
            try isRangedFirst ? client.upload(ranged, plain) : client.upload(plain, ranged)
        #expect(try answer.published()["size"] as? Int == 10)
        #expect(try md5(site.files.appending(path: "ten.bin")) == ten)
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.files.path).count == 2)
    }

    @Test("17: a file of no bytes")
    func vector17() throws {
        #expect(try client.segment("0-0/0", "").published()["size"] as? Int == 0)
        #expect(try stored() == "")
    }

    @Test("19: a file name that is not UTF-8 is read as Latin-1")
    func vector19() throws {
        var part = DCloudClient.Part.file([1])
        let head = client.body([part])
        part.header = []
        let position = try #require(head.firstRange(of: Array("ten.bin".utf8)))
        var body = head
        body.replaceSubrange(position, with: [0x66, 0xFC, 0x72, 0x2E, 0x62, 0x69, 0x6E])
        let answer = try HTTPConnection(site.port).post("/FileUploader/", client.contentType, body)
        #expect(try answer.published()["name"] as? String == "für.bin")
        #expect(try answer.published()["url"] as? String == "f%C3%BCr.bin")
        #expect(FileManager.default.fileExists(atPath: site.files.appending(path: "für.bin").path))
    }

    @Test("20: a small segment of a terabyte is stored sparsely, or refused above the limit")
    func vector20() throws {
        #expect(try client.segment("999999999990-999999999994/1000000000000", "tail").status == 200)
        var small = client
        small.path = "/small"
        try small.segment("0-4/1000000000000", "head").expectError(413, 4001)
    }
}
