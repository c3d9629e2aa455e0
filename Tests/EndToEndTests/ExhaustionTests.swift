import Foundation
import Testing

/// What many, slow or greedy clients leave to others, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ExhaustionTests {
    /// A plain upload that stops in its middle, until it is finished.
    private struct Slow {
        let connection: HTTPConnection
        private let rest: [UInt8]

        init(_ client: DCloudClient, name: String, size: Int = 1000) throws {
            connection = try HTTPConnection(client.site.port)
            let body = client.body([.file([UInt8](repeating: 1, count: size), fileName: name)])
            try connection.sendHead("POST", client.path, client.contentType, length: body.count, client.fields)
            let first = body.count / 2
            try connection.send(Array(body[..<first]))
            rest = Array(body[first...])
        }

        func sendRest() throws { try connection.send(rest) }

        func finish() throws -> HTTPConnection.Answer {
            try sendRest()
            return try connection.receive()
        }
    }

    @Test("with every worker held by slow clients the status answers, and who waits is served in turn")
    func statusInReserve() throws {
        let site = try Site(arguments: ["--workers", "4"])
        let client = DCloudClient(site: site)
        let slow = try (0..<40).map { try Slow(client, name: "slow\($0)") }
        usleep(500_000)
        for _ in 0..<10 {
            for path in ["/fermata/healthz", "/fermata/metrics", "/fermata/"] {
                let start = ContinuousClock.now
                #expect(try HTTPConnection(site.port).request("GET", path).status == 200)
                #expect(ContinuousClock.now - start < .seconds(2))
            }
        }
        for (number, upload) in slow.enumerated() {
            #expect(try upload.finish().status == 200)
            #expect(FileManager.default.fileExists(atPath: site.files.path + "/slow\(number)"))
        }
    }

    @Test("who waits too long for a worker hears so, in the words of the dialect")
    func overload() throws {
        let site = try Site(
            mounts: Dictionary(
                uniqueKeysWithValues: ContractDialect.allCases.map { ("/\($0.rawValue)", $0.parameters) }
            ),
            arguments: ["--workers", "2"]
        )
        let slow = try (0..<2).map { try Slow(DCloudClient(site: site), name: "slow\($0)") }
        usleep(300_000)
        let start = ContinuousClock.now
        let answers = try results(ContractDialect.allCases.count) { [port = site.port] index in
            let path = "/\(ContractDialect.allCases[index].rawValue)"
            return try HTTPConnection(port).post(path, "application/x-www-form-urlencoded", Array("a=b".utf8))
        }
        #expect(ContinuousClock.now - start > .seconds(25))
        #expect(ContinuousClock.now - start < .seconds(40))
        for answer in answers {
            #expect(answer.status == 503)
            #expect(answer.fields["retry-after"] == "5")
            #expect(answer.body.contains("too many requests are under way"), "\(answer.body)")
            #expect(try !answer.json.isEmpty)
        }
        for upload in slow { #expect(try upload.finish().status == 200) }
    }

    @Test("forms of more files than may be open are stored whole, and leave descriptors to others")
    func openFiles() throws {
        let site = try Site(arguments: ["--workers", "24"])
        let id = String(site.responder.processIdentifier)
        try #require(run("prlimit", ["--pid", id, "--nofile=256:256"]).status == 0)
        let port = site.port
        let client = DCloudClient(site: site)
        let (path, contentType) = (client.path, client.contentType)
        let bodies = (0..<20).map { form in
            client.body(
                (0..<255).map { .file(Array("\(form) \($0)".utf8), name: "f\($0)", fileName: "\(form)-\($0).txt") }
            )
        }
        let connections = try bodies.map { body in
            let connection = try HTTPConnection(port)
            try connection.sendHead("POST", path, contentType, length: body.count)
            try connection.send(Array(body.dropLast(100)))
            return connection
        }
        usleep(500_000)
        for index in 0..<10 {
            #expect(try client.upload(.file([1], fileName: "other\(index)")).status == 200)
            #expect(try HTTPConnection(port).request("GET", "/fermata/healthz").status == 200)
        }
        for (connection, body) in zip(connections, bodies) { try connection.send(Array(body.suffix(100))) }
        for connection in connections {
            let answer = try connection.receive()
            #expect(answer.status == 200, "\(answer.body.prefix(200))")
        }
        for form in 0..<20 {
            for file in [0, 100, 254] {
                let content = FileManager.default.contents(atPath: site.files.path + "/\(form)-\(file).txt")
                #expect(content == Data("\(form) \(file)".utf8))
            }
        }
        let staged = try FileManager.default.contentsOfDirectory(atPath: site.files.path + "/.fermata")
        #expect(staged == [".mark"])
    }

    @Test("each principal has as many requests at once as the mount allows", arguments: ContractDialect.allCases)
    func requests(dialect: ContractDialect) throws {
        let plain = ["FERMATA_MAX_REQUESTS": "2", "FERMATA_MOUNT": "shared"]
        let site = try Site(mounts: ["/m": dialect.parameters.merging(plain) { $1 }, "/plain": plain])
        let ann = DCloudClient(site: site, path: "/plain", user: "ann")
        let slow = try (0..<2).map { try Slow(ann, name: "slow\($0)") }
        usleep(300_000)
        let request = { (user: String) in
            try HTTPConnection(site.port).post("/m", "application/octet-stream", [], ["X-Test-User: \(user)"])
        }
        let refused = try request("ann")
        #expect(refused.status == 429)
        #expect(refused.fields["retry-after"] == "5")
        #expect(refused.body.contains("at most 2 requests at the same time"), "\(refused.body)")
        #expect(try request("bob").status != 429)
        // A slow client is told at once, too, and holds nothing.
        let third = try Slow(ann, name: "third", size: 100_000)
        #expect(try third.connection.receive().status == 429)
        for upload in slow { #expect(try upload.finish().status == 200) }
        #expect(try request("ann").status != 429)
    }

    @Test("a client that is gone holds no worker for its rate, and a stop does not wait for it")
    func rateOfTheGone() throws {
        let site = try Site(
            mounts: ["/slow": ["FERMATA_RATE": "8k"], "/fast": [:]],
            arguments: ["--workers", "2"]
        )
        let client = DCloudClient(site: site, path: "/slow")
        do {
            let gone = try (0..<8).map { try Slow(client, name: "gone\($0)", size: 400_000) }
            usleep(1_000_000)
            _ = gone
        }
        let start = ContinuousClock.now
        let fast = DCloudClient(site: site, path: "/fast")
        #expect(try fast.upload(.file([1], fileName: "fast")).status == 200)
        #expect(ContinuousClock.now - start < .seconds(5))
        // All of it has come, and would take 12 s.
        let last = try Slow(client, name: "last", size: 100_000)
        try last.sendRest()
        usleep(1_000_000)
        let stop = ContinuousClock.now
        #expect(try site.replaceResponder() == 0)
        #expect(ContinuousClock.now - stop < .seconds(5))
        #expect(try last.connection.receive().status == 200)
    }

    @Test("clients whose bytes have all come hear in time, however many of them share a rate")
    func rateInTime() throws {
        let site = try Site(mounts: ["/m": ["FERMATA_RATE": "16k"]])
        let client = DCloudClient(site: site, path: "/m")
        let start = ContinuousClock.now
        // 1.5 MB, for which the rate has 90 s.
        let bodies = (0..<15).map {
            client.body([.file([UInt8](repeating: 1, count: 100_000), fileName: "f\($0)")])
        }
        let statuses = try results(bodies.count) { [port = site.port, type = client.contentType] index in
            try HTTPConnection(port).post("/m", type, bodies[index]).status
        }
        let time = ContinuousClock.now - start
        #expect(statuses.allSatisfy { $0 == 200 })
        #expect(time > .seconds(30))
        #expect(time < .seconds(60), "many web servers wait for 60 s")
    }

    @Test("a responder whose terminal hangs up finishes what runs")
    func hangUp() throws {
        let site = try Site()
        let slow = try Slow(DCloudClient(site: site), name: "slow")
        usleep(300_000)
        kill(site.responder.processIdentifier, SIGHUP)
        usleep(300_000)
        #expect(try slow.finish().status == 200)
        site.responder.waitUntilExit()
        #expect(site.responder.terminationReason == .exit && site.responder.terminationStatus == 0)
    }
}
