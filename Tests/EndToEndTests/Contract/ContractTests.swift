import Foundation
import Testing

/// What every dialect promises its clients, whatever its words are.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ContractTests {
    typealias Dialect = ContractDialect

    private func site(_ dialect: Dialect, _ more: [String: String] = [:]) throws -> Site {
        try Site(mounts: ["/m": dialect.parameters.merging(more) { $1 }])
    }

    private func expectPublished(
        _ conversation: any Conversation,
        on site: Site,
        root: URL? = nil,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let file = (root ?? site.files).appending(path: conversation.publishedPath)
        let content = FileManager.default.contents(atPath: file.path)
        #expect(content == Dialect.content, "\(content?.count ?? -1) bytes", sourceLocation: sourceLocation)
    }

    /// Sends all pieces that are not acknowledged, and completes.
    private func resume(_ conversation: any Conversation, _ site: Site) throws -> HTTPConnection.Answer {
        for index in conversation.pieces.indices {
            let answer = try conversation.send(index)
            #expect(answer.status == 200 || answer.body.contains("Invalid offset"), "\(answer.body)")
        }
        return try conversation.finish()
    }

    @Test("an upload goes through, in order", arguments: Dialect.allCases)
    func whole(dialect: Dialect) throws {
        let site = try site(dialect)
        let conversation = dialect.conversation(site)
        #expect(try conversation.begin().status == 200)
        for index in conversation.pieces.indices { #expect(try conversation.send(index).status == 200) }
        #expect(try conversation.finish().status == 200)
        try expectPublished(conversation, on: site)
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.files.path + "/.fermata") == [".mark"])
    }

    @Test("cut connection: what was acknowledged stays, and the upload goes on", arguments: Dialect.allCases)
    func cutConnection(dialect: Dialect) throws {
        let site = try site(dialect)
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        _ = try conversation.send(0)
        for dropped in [1, 2, 30, 500, 9000, 16_300] {
            for index in 0..<2 { _ = try conversation.request(index).begin(site.port, droppingLast: dropped) }
            usleep(30_000)
            let acknowledged = try #require(try conversation.acknowledged())
            #expect(acknowledged >= Dialect.pieceBytes, "\(dropped) bytes missing")
        }
        #expect(try resume(conversation, site).status == 200)
        try expectPublished(conversation, on: site)
    }

    @Test("retried request: every request twice has the same effect as once", arguments: Dialect.allCases)
    func retried(dialect: Dialect) throws {
        let site = try site(dialect)
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        for index in conversation.pieces.indices {
            #expect(try conversation.send(index).status == 200)
            let repeated = try conversation.send(index)
            #expect(repeated.status == 200 || repeated.body.contains("Invalid offset"), "\(repeated.body)")
            // A repeat at offset 0 starts a file anew, which is how that dialect has it.
            if dialect == .offset, index == 0 { #expect(try conversation.acknowledged() == Dialect.pieceBytes) }
        }
        let answer = try conversation.finish()
        #expect(answer.status == 200)
        #expect(try conversation.finish().body == answer.body)
        try expectPublished(conversation, on: site)
    }

    @Test("SIGKILL between any two steps: nothing that was acknowledged is lost", arguments: Dialect.allCases)
    func killedBetween(dialect: Dialect) throws {
        for step in 0...4 {
            let site = try site(dialect)
            let conversation = dialect.conversation(site)
            let restart = {
                site.killResponder()
                try site.restartResponder()
            }
            _ = try conversation.begin()
            if step == 0 { try restart() }
            for index in conversation.pieces.indices {
                #expect(try conversation.send(index).status == 200, "after step \(step)")
                if step == index + 1 { try restart() }
            }
            let answer = try conversation.finish()
            #expect(answer.status == 200, "\(answer.body)")
            if step == 4 {
                try restart()
                #expect(try conversation.finish().body == answer.body)
            }
            try expectPublished(conversation, on: site)
        }
    }

    @Test("SIGKILL in the middle of a request: the upload goes on", arguments: Dialect.allCases)
    func killedWithin(dialect: Dialect) throws {
        let site = try site(dialect)
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        for index in conversation.pieces.indices {
            let connection = try conversation.request(index).begin(site.port, droppingLast: 300)
            usleep(30_000)
            site.killResponder()
            try site.restartResponder()
            withExtendedLifetime(connection) {}
            #expect(try conversation.send(index).status == 200)
        }
        #expect(try conversation.finish().status == 200)
        try expectPublished(conversation, on: site)
    }

    @Test("wrong principal: a stranger never sees, extends, completes or aborts an upload", arguments: Dialect.allCases)
    func wrongPrincipal(dialect: Dialect) throws {
        let site = try site(dialect)
        let owner = dialect.conversation(site)
        _ = try owner.begin()
        for index in 0..<2 { _ = try owner.send(index) }
        let acknowledged = try owner.acknowledged()
        let stranger = owner.stolen(by: "eve")
        #expect(try stranger.acknowledged() == nil)
        let answer = try stranger.send(2)
        // What looks like a session of his own is one; it has nothing of the owner's.
        switch dialect {
        case .dcloud: #expect(answer.status == 200)
        case .offset: #expect(answer.body.contains("Invalid offset"))
        case .fileid, .parts: #expect(answer.status == 404)
        case .signed: #expect(answer.status == 403)
        }
        let finished = try stranger.finish()
        #expect(finished.status != 200 || dialect == .dcloud, "\(finished.body)")
        #expect(!finished.body.contains(#""files""#))
        try stranger.abort()
        #expect(try owner.acknowledged() == acknowledged)
        #expect(try owner.send(2).status == 200)
        #expect(try owner.finish().status == 200)
        try expectPublished(owner, on: site)
    }

    @Test(
        "limit exceeded: refused with 413 or the dialect's own word, and what was stored stays",
        arguments: Dialect.allCases
    )
    func limits(dialect: Dialect) throws {
        let site = try Site(mounts: [
            "/m": dialect.parameters,
            "/file": dialect.parameters.merging(["FERMATA_MAX_FILE": "25000"]) { $1 },
            "/part": dialect.parameters.merging(["FERMATA_MAX_PART": "15000"]) { $1 },
        ])
        let file = dialect.conversation(site, path: "/file")
        var statuses = [try file.begin().status]
        if statuses == [200] { statuses += try file.pieces.indices.map { try file.send($0).status } }
        switch dialect {
        case .dcloud: #expect(statuses == [200, 413, 413, 413])
        case .fileid, .parts: #expect(statuses == [200, 200, 413, 200])
        case .offset, .signed: #expect(statuses == [400])
        }
        let part = dialect.conversation(site, path: "/part", name: "p.bin")
        _ = try part.begin()
        #expect(try part.send(0).status == 413)
        #expect(try part.acknowledged() ?? 0 == 0)
    }

    @Test(
        "full disk: 507, what was stored stays, and the upload goes on when there is space again",
        .enabled(if: geteuid() == 0, "only root can mount a small file system"),
        arguments: Dialect.allCases
    )
    func fullDisk(dialect: Dialect) throws {
        var folder = ""
        let parameters = dialect.parameters.merging(["FERMATA_ROOT": "DIR/tiny"]) { $1 }
        let site = try Site(mounts: ["/m": parameters], arguments: ["--allow-root", "DIR/tiny"]) {
            folder = $0.path + "/tiny"
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try #require(run("mount", ["-t", "tmpfs", "-o", "size=200k", "tmpfs", folder]).status == 0)
        }
        let conversation = dialect.conversation(site)
        #expect(try conversation.begin().status == 200)
        #expect(try conversation.send(0).status == 200)
        let filler = folder + "/filler"
        try run("sh", ["-c", "head -c 1m /dev/zero > \(filler)"])
        let late = dialect.conversation(site, name: "late.bin")
        var statuses = [try late.begin().status]
        if statuses == [200] { statuses.append(try late.send(0).status) }
        #expect(statuses.contains(507), "\(statuses)")
        let refused = try conversation.send(1)
        // Where the size of the file is known from the start, its space is its own.
        #expect(refused.status == 507 || (refused.status == 200 && dialect != .fileid && dialect != .parts))
        #expect(try #require(try conversation.acknowledged()) >= Dialect.pieceBytes)
        try FileManager.default.removeItem(atPath: filler)
        #expect(try resume(conversation, site).status == 200)
        try expectPublished(conversation, on: site, root: URL(fileURLWithPath: folder))
    }

    @Test("unknown id: refused in the dialect's own way", arguments: Dialect.allCases)
    func unknown(dialect: Dialect) throws {
        let site = try site(dialect)
        let begun = dialect.conversation(site)
        _ = try begun.begin()
        if dialect == .signed {
            // Nobody has a URL for what was never begun; a call is what can name it.
            let client = SignedClient(site, path: "/m", user: "ann")
            try client.http.json(#"{"task_id":"x","upload_id":"y","object_key":"z"}"#, at: "/multipart/list")
                .expectDetail(404)
            return
        }
        let never = dialect.conversation(site, name: "never.bin")
        let answer = try never.send(1)
        #expect(dialect.unknownStatuses.contains(answer.status), "\(answer.body)")
        let finished = try never.finish()
        #expect(!finished.body.contains("File uploaded successfully"))
        #expect(!FileManager.default.fileExists(atPath: site.files.appending(path: never.publishedPath).path))
    }

    @Test("expired id: as if it had never been, and its bytes go", arguments: Dialect.allCases)
    func expired(dialect: Dialect) throws {
        let site = try site(dialect, ["FERMATA_EXPIRES": "1"])
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        _ = try conversation.send(0)
        sleep(2)
        if dialect != .offset {
            // Asking for the offset would begin the upload anew.
            #expect(try conversation.acknowledged() == nil)
        }
        let answer = try conversation.send(1)
        #expect(dialect.unknownStatuses.contains(answer.status), "\(answer.body)")
        #expect(try !conversation.finish().body.contains("uccessfully"))
        // The sweep at the start takes the bytes.
        sleep(2)
        site.killResponder()
        try site.restartResponder()
        let staged = try FileManager.default.contentsOfDirectory(atPath: site.files.path + "/.fermata")
        #expect(staged == [".mark"], "\(staged)")
    }

    @Test("two requests at once: every piece twice at the same time, and two completions", arguments: Dialect.allCases)
    func atOnce(dialect: Dialect) throws {
        let site = try site(dialect)
        let conversation = dialect.conversation(site)
        _ = try conversation.begin()
        let port = site.port
        for index in conversation.pieces.indices {
            let request = try conversation.request(index)
            let statuses = concurrently(2) { try request.send(port).status }
            #expect(statuses.contains(200), "\(statuses)")
            #expect(statuses.allSatisfy { $0 == 200 || dialect == .offset && $0 == 400 }, "\(statuses)")
        }
        let finish = UncheckedBox(conversation)
        let bodies = concurrently(2) {
            let answer = try finish.value.finish()
            #expect(answer.status == 200, "\(answer.body)")
            return answer.body
        }
        #expect(Set(bodies).count == 1, "\(bodies)")
        try expectPublished(conversation, on: site)
        let names = try FileManager.default.subpathsOfDirectory(atPath: site.files.path)
            .filter { $0.hasSuffix(".bin") }
        #expect(names.count == 1, "\(names)")
    }
}

/// Carries a conversation to threads that only read it.
private struct UncheckedBox<Value>: @unchecked Sendable {
    let value: Value

    init(_ value: Value) { self.value = value }
}

/// Runs something on several threads at once; what came of those that did not fail.
private func concurrently<Value: Sendable>(_ count: Int, _ body: @escaping @Sendable () throws -> Value) -> [Value] {
    let results = UncheckedBox(Results<Value>())
    concurrently(count) { _ in
        do { results.value.append(try body()) } catch { Issue.record("\(error)") }
    }
    return results.value.all
}

private final class Results<Value> {
    private let lock = NSLock()
    private(set) var all: [Value] = []

    func append(_ value: Value) { lock.withLock { all.append(value) } }
}
