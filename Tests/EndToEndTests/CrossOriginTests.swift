import Foundation
import Testing

/// Pages of other origins, as browsers ask for them, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(2)))
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
}
