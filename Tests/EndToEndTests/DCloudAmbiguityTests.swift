import Foundation
import Testing

/// The rows of docs/dialects/dcloud.md 1.8, through nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DCloudAmbiguityTests {
    private let site: Site
    private let client: DCloudClient

    init() throws {
        site = try Site(mounts: [
            "/off": ["FERMATA_RESUME": "off"], "/users": [:], "/cancel": ["FERMATA_CANCEL": "on"],
            "/forgets": ["FERMATA_TOMBSTONE": "0"],
        ])
        client = DCloudClient(site: site)
    }

    private func at(_ path: String, user: String? = nil) -> DCloudClient {
        DCloudClient(site: site, path: path, user: user)
    }

    private func stored(_ name: String = "ten.bin") throws -> String {
        try String(contentsOf: site.files.appending(path: name), encoding: .utf8)
    }

    @Test("D4-1: ranges are half-open; an inclusive one is known by its length")
    func row1() throws {
        #expect(try client.segment("0-4/10", "0123").status == 200)
        #expect(try client.wanted() == 4)
        #expect(try client.segment("4-9/10", "456789").published()["size"] as? Int == 10)
        #expect(try stored() == "0123456789")
    }

    @Test("D4-2: a header name with a space is no header")
    func row2() throws {
        let part = DCloudClient.Part(
            header: [#"Content- Disposition: form-data; name="file"; filename="a"; range="0-1/1""#],
            bytes: [1]
        )
        try client.upload(part).expectError(422, 4004)
    }

    @Test("D4-3, D4-4, D4-6: the query answer is strict JSON, of protocol uploader, with names of fields")
    func row3() throws {
        _ = try client.upload(.file([1], range: "0-1/2"), .field("uid", "42"))
        let json = try client.query().json
        #expect(json["protocol"] as? String == "uploader")
        #expect((json["data"] as? [[String: String]]) == [["name": "uid"]])
    }

    @Test("D4-5: file and data are flat arrays")
    func row5() throws {
        #expect(try client.query().body.hasSuffix(#""file":[],"data":[]}"#))
    }

    @Test("D4-7: 200, no Location, no-store, JSON in UTF-8")
    func row7() throws {
        for answer in [try client.query(), try client.segment("0-4/10", "0123")] {
            #expect(answer.status == 200)
            #expect(answer.fields["location"] == nil)
            #expect(answer.fields["cache-control"] == "no-store")
            #expect(answer.fields["content-type"] == "application/json; charset=utf-8")
        }
    }

    @Test("D4-8: the body counts, whatever a part says of its length")
    func row8() throws {
        var part = DCloudClient.Part.file(Array("0123".utf8), range: "0-4/4")
        part.header.append("Content-Length: 46")
        #expect(try client.upload(part).published()["size"] as? Int == 4)
    }

    @Test("D4-9: query and upload on different paths of a mount are of one session")
    func row9() throws {
        #expect(try at("/FileUploader/servlet/Uploader").segment("0-4/10", "0123").status == 200)
        #expect(try at("/FileUploader/").wanted() == 4)
        #expect(try at("/FileUploader").wanted() == 4)
    }

    @Test("D4-10: a boundary is the same raw, encoded and with a space", arguments: ["a+b", "a%2Bb", "+a+b", " a b "])
    func row10(spelling: String) throws {
        var client = client
        client.boundary = "a+b"
        _ = try client.segment("0-4/10", "0123")
        let files = try #require(try client.query(spelling).json["file"] as? [Any])
        #expect(files.count == (spelling == "+a+b" ? 0 : 1))
    }

    @Test("D4-11: a delimiter has two dashes before the boundary, not one")
    func row11() throws {
        let body = client.body([.file([1], range: "0-1/1")])
        let short = String(decoding: body, as: UTF8.self).replacingOccurrences(of: "------Test", with: "-----Test")
        try HTTPConnection(site.port).post(client.path, client.contentType, Array(short.utf8)).expectError(422, 4004)
    }

    @Test("D4-12: a part without range and one with it, of one field, are one file")
    func row12() throws {
        let answer = try client.upload(.file(Array("0123".utf8)), .file(Array("456789".utf8), range: "4-10/10"))
        #expect(try answer.published()["size"] as? Int == 10)
        #expect(try stored() == "0123456789")
    }

    @Test("D4-13: a file is named by the form field of its part")
    func row13() throws {
        _ = try client.segment("0-4/10", "0123", name: "headimage")
        #expect(try client.wanted("headimage") == 4)
        #expect(try client.wanted("file") == 0)
    }

    @Test("D4-14: one boundary of two principals, or of two files, is not one upload")
    func row14() throws {
        _ = try at("/users", user: "ann").segment("0-4/10", "0123")
        #expect(try at("/users", user: "bob").wanted() == 0)
        #expect(try at("/users", user: "bob").segment("4-10/10", "456789").status == 200)
        #expect(try at("/users", user: "ann").wanted() == 4)
        try at("/users", user: "ann").segment("4-11/11", "4567890").expectError(409, 4003)
        try at("/users", user: "ann").segment("4-10/10", "456789", fileName: "other").expectError(409, 4003)
    }

    @Test("D4-15, D4-24: a negative answer is well-formed")
    func row15() throws {
        #expect(
            try at("/off").query("b").body
                == #"{"protocol":"uploader","support":false,"boundary":"b","file":[],"data":[]}"#
        )
    }

    @Test("D4-16, D4-17: an error has a status that is not 400, and a body with code and message")
    func row16() throws {
        try client.upload(.field("uid", "1"), .file([1], range: "0-2/2")).expectError(422, 4003)
        let success = try client.segment("0-4/10", "0123").json
        #expect(success["code"] as? Int == 0)
        #expect(success["message"] as? String == "Success")
    }

    @Test("D4-18: each segment has its 200; only the last tells of the file")
    func row18() throws {
        #expect(try client.segment("0-4/10", "0123").json["files"] == nil)
        #expect(try client.segment("4-10/10", "456789").json["files"] != nil)
    }

    @Test("D4-19: any disposition type", arguments: ["form-data", "attachments", "attachment", "file"])
    func row19(disposition: String) throws {
        #expect(try client.upload(.file([1], range: "0-1/1", disposition: disposition)).status == 200)
    }

    @Test("D4-20: a cancellation is off unless the mount has it")
    func row20() throws {
        for (path, wanted) in [("/FileUploader/", 4), ("/cancel", 0)] {
            let client = at(path)
            _ = try client.segment("0-4/10", "0123")
            let body = "server=uploader&action=cancel&boundary=\(client.boundary)"
            let answer = try HTTPConnection(site.port).post(
                path,
                "application/x-www-form-urlencoded",
                Array(body.utf8)
            )
            #expect(answer.status == (wanted == 0 ? 200 : 422))
            #expect(try client.wanted() == wanted)
        }
    }

    @Test("D4-21: segments in any order, several files and fields make one task")
    func row21() throws {
        _ = try client.segment("4-10/10", "456789")
        _ = try client.upload(.file(Array("ab".utf8), range: "0-2/2", name: "second", fileName: "b"))
        let answer = try client.upload(.file(Array("0123".utf8), range: "0-4/10"), .field("uid", "42"))
        #expect(try answer.published()["size"] as? Int == 10)
        #expect((try answer.json["strings"] as? [String: String]) == ["uid": "42"])
        #expect(try stored("b") == "ab")
    }

    @Test("D4-22: a finished file is reported as long as its tombstone lives")
    func row22() throws {
        for (path, count) in [("/FileUploader/", 1), ("/forgets", 0)] {
            _ = try at(path).segment("0-4/4", "0123")
            let files = try #require(try at(path).query().json["file"] as? [[String: Any]])
            #expect(files.count == count)
            #expect(files.allSatisfy { $0["complete"] as? Bool == true })
        }
    }

    @Test("D4-23: a field that is sent again has its last value; one that is not keeps its own")
    func row23() throws {
        _ = try client.upload(.file(Array("0123".utf8), range: "0-4/10"), .field("a", "1"), .field("b", "1"))
        let answer = try client.upload(.file(Array("456789".utf8), range: "4-10/10"), .field("a", "2"))
        #expect((try answer.json["strings"] as? [String: String]) == ["a": "2", "b": "1"])
    }

    @Test("D4-25: the principal is the web server's; a token in the URL does no harm")
    func row25() throws {
        let client = at("/users?token=secret", user: "ann")
        #expect(try client.segment("0-4/10", "0123").status == 200)
        #expect(try at("/users", user: "ann").wanted() == 4)
        #expect(!(try site.responderLog()).contains("secret"))
    }
}
