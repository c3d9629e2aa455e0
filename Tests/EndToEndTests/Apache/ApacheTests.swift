import Foundation
import Testing

/// Every dialect through a real Apache.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ApacheTests {
    typealias Dialect = ContractDialect
    typealias FrontEnd = ApacheSite.FrontEnd

    private func expectPublished(_ conversation: any Conversation, on site: ApacheSite) throws {
        let content = FileManager.default.contents(atPath: site.files.appending(path: conversation.publishedPath).path)
        #expect(content == Dialect.content, "\(content?.count ?? -1) bytes")
    }

    @Test("an upload goes through; every request twice is the same", arguments: FrontEnd.allCases, Dialect.allCases)
    func whole(frontEnd: FrontEnd, dialect: Dialect) throws {
        let site = try ApacheSite(frontEnd, mounts: ["/deep/m": dialect.parameters])
        let conversation = dialect.conversation(site, path: "/deep/m")
        #expect(try conversation.begin().status == 200)
        for index in conversation.pieces.indices {
            #expect(try conversation.send(index).status == 200)
            let repeated = try conversation.send(index)
            #expect(repeated.status == 200 || repeated.body.contains("Invalid offset"), "\(repeated.body)")
        }
        let answer = try conversation.finish()
        #expect(answer.status == 200)
        #expect(try conversation.finish().body == answer.body)
        try expectPublished(conversation, on: site)
    }

    @Test(
        "cut connection: what was acknowledged stays, and the upload goes on",
        arguments: FrontEnd.allCases,
        Dialect.allCases
    )
    func cutConnection(frontEnd: FrontEnd, dialect: Dialect) throws {
        let site = try ApacheSite(frontEnd, mounts: ["/m": dialect.parameters])
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        _ = try conversation.send(0)
        for dropped in [1, 500, 16_300] {
            _ = try conversation.request(1).begin(site.port, droppingLast: dropped)
            usleep(50_000)
            #expect(try #require(try conversation.acknowledged()) >= Dialect.pieceBytes, "\(dropped) bytes missing")
        }
        for index in conversation.pieces.indices {
            let answer = try conversation.send(index)
            #expect(answer.status == 200 || answer.body.contains("Invalid offset"), "\(answer.body)")
        }
        #expect(try conversation.finish().status == 200)
        try expectPublished(conversation, on: site)
    }

    @Test(
        "mod_proxy_fcgi hands on what comes before a break, mod_fcgid nothing",
        arguments: FrontEnd.allCases,
        [true, false]
    )
    func prefix(frontEnd: FrontEnd, isLengthKnown: Bool) throws {
        let site = try ApacheSite(frontEnd, mounts: ["/m": [:]])
        let client = DCloudClient(site: site, path: "/m", boundary: "b")
        let body = client.body([.file([UInt8](repeating: 7, count: 1 << 20), range: "0-1048576/2097152")])
        let start = Array(body[..<900_000])
        do {
            let connection = try HTTPConnection(site.port)
            try connection.sendHead("POST", "/m", client.contentType, length: isLengthKnown ? body.count : nil)
            if !isLengthKnown { try connection.send(Array("\(String(start.count, radix: 16))\r\n".utf8)) }
            try connection.send(start)
        }
        // Apache reads what was sent, and notices the break, when it has the time for it.
        let isHandedOn = frontEnd == .proxyFCGI
        let end = ContinuousClock.now + .seconds(isHandedOn ? 30 : 1)
        while try client.wanted() <= 700_000, ContinuousClock.now < end { usleep(50_000) }
        #expect(try (client.wanted() > 700_000) == isHandedOn)
    }

    @Test("chunked bodies, of unknown length", arguments: FrontEnd.allCases, Dialect.allCases)
    func chunked(frontEnd: FrontEnd, dialect: Dialect) throws {
        let site = try ApacheSite(frontEnd, mounts: ["/m": dialect.parameters])
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        for index in conversation.pieces.indices {
            let request = try conversation.request(index)
            let connection = try HTTPConnection(site.port)
            try connection.sendHead(request.method, request.path, request.contentType, length: nil, request.fields)
            try connection.sendChunks(request.body, chunk: 1000)
            let answer = try connection.receive()
            #expect(answer.status == 200, "\(answer.body)")
        }
        #expect(try conversation.finish().status == 200)
        try expectPublished(conversation, on: site)
    }

    @Test(
        "with mod_fcgid the site makes the answer itself, in the same request; with mod_proxy_fcgi nothing is given away",
        arguments: FrontEnd.allCases
    )
    func onComplete(frontEnd: FrontEnd) throws {
        let site = try ApacheSite(
            frontEnd,
            mounts: ["/m": ["FERMATA_ON_COMPLETE": "/done"]],
            pages: ["done": "made by the site"]
        )
        let answer = try DCloudClient(site: site, path: "/m").upload(.file([1, 2, 3]))
        #expect(answer.status == 200)
        switch frontEnd {
        case .fcgid: #expect(answer.body == "made by the site", "\(answer.body)")
        case .proxyFCGI:
            #expect(try answer.published()["size"] as? Int == 3)
            #expect(answer.fields.values.allSatisfy { !$0.contains("/done") }, "\(answer.fields)")
        }
    }

    @Test("a stranger has no part in an upload", arguments: FrontEnd.allCases, Dialect.allCases)
    func wrongPrincipal(frontEnd: FrontEnd, dialect: Dialect) throws {
        let site = try ApacheSite(frontEnd, mounts: ["/m": dialect.parameters])
        let owner = dialect.conversation(site)
        _ = try owner.begin()
        for index in 0..<2 { _ = try owner.send(index) }
        let stranger = owner.stolen(by: "eve")
        #expect(try stranger.acknowledged() == nil)
        _ = try stranger.send(2)
        #expect(try !stranger.finish().body.contains(#""files""#))
        #expect(try owner.send(2).status == 200)
        #expect(try owner.finish().status == 200)
        try expectPublished(owner, on: site)
    }

    @Test("limits are Fermata's, far above those of Apache's modules", arguments: FrontEnd.allCases)
    func limits(frontEnd: FrontEnd) throws {
        let site = try ApacheSite(
            frontEnd,
            mounts: ["/m": [:], "/small": ["FERMATA_MAX_FILE": "1m"]]
        )
        let big = [UInt8](repeating: 7, count: 200 << 20)
        let client = DCloudClient(site: site, path: "/m", boundary: "b")
        #expect(try client.upload(.file(big, fileName: "big.bin")).status == 200)
        let stored = try FileManager.default.attributesOfItem(atPath: site.files.path + "/big.bin")
        #expect(stored[.size] as? Int == big.count)
        let refused = try DCloudClient(site: site, path: "/small", boundary: "b")
            .upload(.file([UInt8](repeating: 7, count: 2 << 20), fileName: "big.bin"))
        #expect(refused.status == 413 && refused.body.contains("4001"), "\(refused.body)")
    }

    @Test("several processes of mod_fcgid share the uploads")
    func severalProcesses() throws {
        let site = try ApacheSite(.fcgid, mounts: ["/m": [:]])
        let port = site.port
        let bodies = (0..<8).map { index in
            let client = DCloudClient(site: site, boundary: "b")
            return client.body([.file([UInt8](repeating: UInt8(index), count: 8 << 20), fileName: "\(index).bin")])
        }
        concurrently(bodies.count) { index in
            let answer = try? HTTPConnection(port).post("/m", "multipart/form-data; boundary=b", bodies[index])
            #expect(answer?.status == 200)
        }
        let names = try FileManager.default.contentsOfDirectory(atPath: site.files.path).filter { $0.hasSuffix("bin") }
        #expect(names.count == bodies.count)
        let started = try site.log().components(separatedBy: "started").count - 1
        #expect(started > 1)
    }
}
