import Foundation
import Testing

/// Pages of other origins, as browsers ask for them, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct CrossOriginTests {
    private let site: Site

    init() throws {
        let signed = ContractDialect.signed.parameters
        site = try Site(mounts: [
            "/named": signed.merging(["FERMATA_CORS": "https://a.example HTTP://B.example:8080"]) { $1 },
            "/all": ["FERMATA_CORS": "*"],
            "/none": [:],
            "/wrong": ["FERMATA_CORS": "a.example/path"],
        ])
    }

    private func fields(_ answer: HTTPConnection.Answer) -> [String: String] {
        answer.fields.filter { $0.key.hasPrefix("access-control") || $0.key == "vary" }
    }

    private func preflight(_ path: String, _ origin: String) throws -> HTTPConnection.Answer {
        try HTTPConnection(site.port).request(
            "OPTIONS",
            path,
            nil,
            [],
            [
                "Origin: \(origin)", "Access-Control-Request-Method: PUT",
                "Access-Control-Request-Headers: content-type,x-own",
            ]
        )
    }

    @Test(
        "before a request the browser is told what a named origin may",
        arguments: ["https://a.example", "http://b.example:8080"]
    )
    func preflighted(origin: String) throws {
        let answer = try preflight("/named/multipart/part/x", origin)
        #expect(answer.status == 204)
        #expect(
            fields(answer) == [
                "access-control-allow-origin": origin, "access-control-allow-credentials": "true",
                "access-control-allow-methods": "POST, PUT",
                "access-control-allow-headers": "content-type,x-own", "access-control-max-age": "7200",
                "vary": "Origin",
            ]
        )
    }

    @Test("a page of a named origin sends parts to signed URLs and reads their ETags")
    func uploads() throws {
        let conversation = ContractDialect.signed.conversation(site, path: "/named")
        _ = try conversation.begin()
        let part = try conversation.request(0)
        let answer = try HTTPConnection(site.port).request(
            part.method,
            part.path,
            part.contentType,
            part.body,
            ["Origin: https://a.example"]
        )
        #expect(answer.status == 200)
        #expect(answer.fields["etag"] != nil)
        #expect(answer.fields["access-control-expose-headers"] == "ETag")
        #expect(answer.fields["access-control-allow-origin"] == "https://a.example")
    }

    @Test("an origin that is not named is told nothing; where all may, no password goes along")
    func others() throws {
        #expect(try fields(preflight("/named", "https://evil.example")) == ["vary": "Origin"])
        let all = try preflight("/all", "https://evil.example")
        #expect(all.fields["access-control-allow-origin"] == "*")
        #expect(all.fields["access-control-allow-credentials"] == nil)
    }

    @Test("it is off by default, and a list that is none is an error of the configuration")
    func off() throws {
        let answer = try preflight("/none", "https://a.example")
        #expect(answer.status == 405)
        #expect(fields(answer).isEmpty)
        #expect(try preflight("/wrong", "https://a.example").status == 500)
        #expect(try site.responderLog().contains("FERMATA_CORS"))
    }

    @Test(
        "FERMATA_SAME_SITE refuses what pages of other sites send, in each dialect, and stores nothing of it",
        arguments: ContractDialect.allCases
    )
    func sameSite(dialect: ContractDialect) throws {
        let settings = ["FERMATA_SAME_SITE": "on", "FERMATA_CORS": "https://a.example"]
        let site = try Site(mounts: ["/m": dialect.parameters.merging(settings) { $1 }])
        let conversation = dialect.conversation(site)
        #expect(try conversation.begin().status == 200)
        let piece = try conversation.request(0)
        let send = { (fields: [String]) in
            try HTTPConnection(site.port).request(
                piece.method,
                piece.path,
                piece.contentType,
                piece.body,
                piece.fields + fields
            )
        }
        for fields in [
            ["Origin: https://evil.example"], ["Origin: null"], ["Sec-Fetch-Site: cross-site"],
            ["Origin: http://localhost", "Sec-Fetch-Site: cross-site"],
            ["Origin: http://evil.localhost", "Sec-Fetch-Site: same-site"],
        ] {
            let answer = try send(fields)
            #expect(answer.status == 403, "\(fields): \(answer.body)")
            _ = try answer.json
            #expect(answer.body.contains("FERMATA_SAME_SITE"), "\(answer.body)")
            #expect(try conversation.acknowledged() ?? 0 == 0)
        }
        #expect(try send(["Origin: https://a.example", "Sec-Fetch-Site: cross-site"]).status == 200)
        #expect(try send(["Origin: http://localhost", "Sec-Fetch-Site: same-origin"]).status == 200)
        for index in conversation.pieces.indices.dropFirst() { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
    }
}
