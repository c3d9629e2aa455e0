import Foundation
import Testing

/// Requests of which the web server passes on something that cannot be understood, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct UnclearRequestTests {
    typealias Dialect = ContractDialect

    private func refusedStatus(_ dialect: Dialect) -> Int { dialect == .dcloud ? 422 : 400 }

    @Test("a user name with a NUL is refused, and is not the name before it", arguments: Dialect.allCases)
    func nul(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters])
        for name in ["alice\0", "\0", "alice\0bob"] {
            let credentials = Data("\(name):secret".utf8).base64EncodedString()
            let form = Array("a=b".utf8)
            let answer = try HTTPConnection(site.port).post(
                "/m",
                "application/x-www-form-urlencoded",
                form,
                ["Authorization: Basic \(credentials)", "X-Test-User: alice"]
            )
            #expect(answer.status == refusedStatus(dialect), "\(answer.body)")
            #expect(answer.body.contains("a NUL is not allowed in a user name"), "\(answer.body)")
        }
        let conversation = dialect.conversation(site, name: "a.bin")
        #expect(try conversation.begin().status == 200)
    }

    @Test(
        "a length that is no number is refused in the dialect's own way",
        arguments: Dialect.allCases,
        ["5x", "-5", "+5", " 5"]
    )
    func malformedLength(dialect: Dialect, length: String) throws {
        let parameters = dialect.parameters.merging(["CONTENT_LENGTH": length]) { $1 }
        let site = try Site(mounts: ["/m": parameters])
        let answer = try HTTPConnection(site.port).post("/m", "application/x-www-form-urlencoded", Array("a=b".utf8))
        #expect(answer.status == refusedStatus(dialect), "\(answer.body)")
        #expect(answer.body.contains("Content-Length is not a number of bytes"), "\(answer.body)")
        #expect(try !site.responderLog().contains("mount can not be served"))
    }

    @Test("a length of -1, which Caddy passes on for a body in chunks, is an unknown one", arguments: Dialect.allCases)
    func unknownLength(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters.merging(["CONTENT_LENGTH": "-1"]) { $1 }])
        let conversation = dialect.conversation(site, name: "a.bin")
        #expect(try conversation.begin().status == 200)
        for index in conversation.pieces.indices { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        let stored = site.files.appending(path: conversation.publishedPath)
        #expect(try Data(contentsOf: stored) == Dialect.content)
    }
}
