import Foundation
import Testing

/// What a site requires of its clients stays in force, and what Apache says while Fermata is down.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ApacheAccessTests {
    typealias FrontEnd = ApacheSite.FrontEnd

    private func send(_ site: ApacheSite, _ path: String) throws -> HTTPConnection.Answer {
        try DCloudClient(site: site, path: path).upload(.file([1, 2, 3]))
    }

    @Test("a site-wide Require stays in force for a mount", arguments: FrontEnd.allCases)
    func require(frontEnd: FrontEnd) throws {
        let lines = #"<Location "/">\#nRequire env let-in\#n</Location>\#nSetEnvIf X-Let In let-in"#
        let site = try ApacheSite(frontEnd, mounts: ["/m": [:]], lines: lines)
        #expect(try send(site, "/m").status == 403)
        let client = DCloudClient(site: site, path: "/m")
        let body = client.body([.file([1, 2, 3])])
        let answer = try HTTPConnection(site.port).post("/m", client.contentType, body, ["X-Let: In"])
        #expect(answer.status == 200, "\(answer.body)")
    }

    @Test("while Fermata is down the answer is in the protocol", arguments: ContractDialect.allCases)
    func down(dialect: ContractDialect) throws {
        let site = try ApacheSite(.proxyFCGI, mounts: ["/m": dialect.parameters])
        site.stopResponder()
        let answer = try HTTPConnection(site.port).request("POST", "/m", "application/json", Array("{}".utf8))
        #expect(answer.status == 503)
        #expect(answer.fields["content-type"] == "application/json; charset=utf-8", "\(answer.fields)")
        _ = try answer.json
    }
}
