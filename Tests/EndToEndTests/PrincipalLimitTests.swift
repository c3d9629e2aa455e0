import Foundation
import Testing

/// What each principal may have, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct PrincipalLimitTests {
    typealias Dialect = ContractDialect

    /// Begins an upload and sends its first piece; the status of what was refused, or 200.
    private func start(_ conversation: any Conversation) throws -> HTTPConnection.Answer {
        let begun = try conversation.begin()
        return begun.status == 200 ? try conversation.send(0) : begun
    }

    private func finish(_ conversation: any Conversation) throws -> HTTPConnection.Answer {
        for index in conversation.pieces.indices.dropFirst() {
            let answer = try conversation.send(index)
            if answer.status != 200 { return answer }
        }
        return try conversation.finish()
    }

    @Test("as many open uploads as the mount allows, each principal by itself", arguments: Dialect.allCases)
    func openUploads(dialect: Dialect) throws {
        let site = try Site(mounts: ["/m": dialect.parameters.merging(["FERMATA_MAX_OPEN": "2"]) { $1 }])
        let first = dialect.conversation(site, name: "1.bin")
        #expect(try start(first).status == 200)
        #expect(try start(dialect.conversation(site, name: "2.bin")).status == 200)
        let third = dialect.conversation(site, name: "3.bin")
        let refused = try start(third)
        #expect(refused.status == 403)
        #expect(refused.body.contains("at most 2 uploads at the same time"), "\(refused.body)")
        #expect(try start(dialect.conversation(site, user: "bob", name: "4.bin")).status == 200)
        #expect(try finish(first).status == 200)
        #expect(try start(third).status == 200)
        #expect(try finish(third).status == 200)
    }

    @Test(
        "as many bytes as the mount allows, finished files included; what is stored stays",
        arguments: Dialect.allCases
    )
    func quota(dialect: Dialect) throws {
        let bytes = Dialect.content.count
        let parameters = dialect.parameters.merging(["FERMATA_QUOTA": "\(2 * bytes + 100)"]) { $1 }
        let site = try Site(mounts: ["/m": parameters])
        for name in ["1.bin", "2.bin"] {
            let conversation = dialect.conversation(site, name: name)
            #expect(try start(conversation).status == 200)
            #expect(try finish(conversation).status == 200)
        }
        let third = dialect.conversation(site, name: "3.bin")
        let refused = try start(third)
        #expect(refused.status == 507)
        #expect(refused.body.contains("your quota of \(2 * bytes + 100) bytes is used up"), "\(refused.body)")
        #expect(FileManager.default.contents(atPath: site.files.path + "/1.bin") != nil || dialect != .dcloud)
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        let state = site.directory.path + "/state"
        let list = try run(binary, ["usage", "list", "--state", state]).output.split(separator: "\t").map(String.init)
        #expect(list.first == "\(2 * bytes)" && list.dropFirst().first == "/m")
        // The site has removed a file.
        let principal = try #require(list.last).trimmingCharacters(in: .newlines)
        let set = ["usage", "set", "--state", state, "--mount", "/m", "--principal", principal, "\(bytes)"]
        #expect(try run(binary, set).status == 0)
        #expect(try start(third).status == 200)
        #expect(try finish(third).status == 200)
    }

    @Test("a plain file is cut at what is left, and counted")
    func plainQuota() throws {
        let site = try Site(mounts: ["/m": ["FERMATA_QUOTA": "1000"]])
        let client = DCloudClient(site: site, path: "/m")
        #expect(try client.upload(.file([UInt8](repeating: 1, count: 600), fileName: "a")).status == 200)
        let refused = try client.upload(.file([UInt8](repeating: 1, count: 600), fileName: "b"))
        #expect(refused.status == 507 && refused.body.contains("quota"), "\(refused.body)")
        #expect(try client.upload(.file([UInt8](repeating: 1, count: 400), fileName: "c")).status == 200)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: site.files.path).sorted() == [".fermata", "a", "c"]
        )
    }

    @Test("bytes that go to a part URL count for the principal that the URL names, whoever sends them")
    func rateOfURL() throws {
        let part = 2 << 20
        let parameters = [
            "FERMATA_DIALECT": "signed", "FERMATA_MIN_PART": "1", "FERMATA_CHUNK": "\(part)", "FERMATA_RATE": "1m",
            "FERMATA_QUOTA": "\(3 * part)",
        ]
        let site = try Site(mounts: ["/m": parameters])
        let (alice, bob) = (SignedClient(site, path: "/m", user: "alice"), SignedClient(site, path: "/m", user: "bob"))
        let upload = try SignedClient.Upload(alice.begin("a.bin", size: 2 * part))
        let other = try SignedClient.Upload(bob.begin("b.bin", size: part))
        func seconds(_ upload: SignedClient.Upload, _ number: Int) throws -> Double {
            // The PUT has no user of its own.
            let start = ContinuousClock.now
            #expect(try alice.put(upload.url(number), [UInt8](repeating: 1, count: part)).status == 200)
            return (ContinuousClock.now - start) / .seconds(1)
        }
        // A second's worth may come at once.
        #expect(try seconds(upload, 1) > 0.7)
        #expect(try seconds(other, 1) < 1.7, "another principal has a second's worth of its own")
        #expect(try seconds(upload, 2) > 0.7)
        let body = [UInt8](repeating: 1, count: part)
        #expect(try alice.complete(upload, [(1, md5(body)), (2, md5(body))]).status == 200)
        let refused = try alice.begin("c.bin", size: 2 * part)
        #expect(refused.status == 507, "\(refused.body)")
        #expect(try bob.begin("c.bin", size: 2 * part).status == 200, "bob has a quota of his own")
    }

    @Test("bytes come no faster than the mount allows, and nothing is refused")
    func rate() throws {
        let site = try Site(mounts: ["/m": ["FERMATA_RATE": "1m"]])
        let client = DCloudClient(site: site, path: "/m")
        let start = ContinuousClock.now
        #expect(try client.upload(.file([UInt8](repeating: 1, count: 3 << 20), fileName: "a")).status == 200)
        // A second's worth may come at once.
        #expect(ContinuousClock.now - start > .milliseconds(1700))
        #expect(try Data(contentsOf: site.files.appending(path: "a")).count == 3 << 20)
    }
}
