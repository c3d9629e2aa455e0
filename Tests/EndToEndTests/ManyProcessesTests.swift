import Foundation
import Synchronization
import Testing

/// Four responders on one state directory, behind one upstream; any of them may be killed at any time.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ManyProcessesTests {
    private static let processes = 4

    /// The responders, each on a socket of its own, as mod_fcgid or several services have it.
    private final class Fleet: @unchecked Sendable {
        let directory: String
        private let lock = NSLock()
        private var running: [Process] = []
        private(set) var killed = 0

        convenience init(_ site: Site) throws { try self.init(in: site.directory.path) }

        /// - Parameter directory: where their sockets are, and their state.
        init(in directory: String) throws {
            self.directory = directory
            for index in 0..<ManyProcessesTests.processes { running.append(try start(index)) }
            for index in 0..<ManyProcessesTests.processes { waitForSocket(index) }
        }

        deinit {
            for process in running {
                process.terminate()
                process.waitUntilExit()
            }
        }

        private func start(_ index: Int) throws -> Process {
            let process = Process()
            let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
            process.executableURL = URL(fileURLWithPath: binary)
            process.arguments = [
                "serve", "--state", directory + "/state", "--listen=unix:\(directory)/p\(index).sock", "--workers=16",
                "--log-level=error",
            ]
            process.standardError = FileHandle.nullDevice
            try process.run()
            return process
        }

        /// Whether all of them still run.
        var isComplete: Bool { running.allSatisfy(\.isRunning) }

        private func waitForSocket(_ index: Int) {
            for _ in 0..<200 where !FileManager.default.fileExists(atPath: "\(directory)/p\(index).sock") {
                usleep(10_000)
            }
        }

        /// Kills one of them, and starts another in its place.
        func killOne() throws {
            try lock.withLock {
                let index = Int.random(in: 0..<running.count)
                kill(running[index].processIdentifier, SIGKILL)
                running[index].waitUntilExit()
                running[index] = try start(index)
                killed += 1
            }
        }
    }

    private func site(_ port: UInt16) throws -> Site {
        try Site(servers: { directory in
            let servers = (0..<Self.processes)
                .map { "server unix:\(directory.path)/p\($0).sock max_fails=0;" }.joined(separator: " ")
            var text = "upstream many { \(servers) } server { listen 127.0.0.1:\(port);"
            for dialect in ContractDialect.allCases {
                let parameters = dialect.parameters.map { "fastcgi_param \($0) \"\($1)\";" }.joined(separator: " ")
                text += """
                    location /\(dialect.rawValue) {
                        include fermata/fermata_params.conf;
                        fastcgi_split_path_info ^(/\(dialect.rawValue))(.*)$;
                        fastcgi_param SCRIPT_NAME /\(dialect.rawValue);
                        fastcgi_param PATH_INFO $fastcgi_path_info;
                        fastcgi_param FERMATA_PRINCIPAL $http_x_test_user;
                        \(parameters)
                        fastcgi_pass many;
                    }

                    """
            }
            return text + "}"
        })
    }

    /// The server behind which all of them are.
    private struct Front: UploadServer {
        let files: URL
        let port: UInt16
    }

    /// Does something until it succeeds, as clients do.
    private static func insist(_ body: () throws -> HTTPConnection.Answer) throws -> HTTPConnection.Answer {
        var last: HTTPConnection.Answer?
        for _ in 0..<100 {
            do {
                let answer = try body()
                if answer.status == 200 { return answer }
                last = answer
                // A sequential dialect that has the bytes already says so.
                if answer.body.contains("Invalid offset") || answer.body.contains("NoSuchUpload") { return answer }
            } catch {
                // The connection broke, or nginx answered for a responder that is gone.
            }
            usleep(20_000)
        }
        Issue.record("not in 100 tries: \(last?.body ?? "")")
        throw HTTPConnection.Failure(what: "insist")
    }

    @Test("processes that start at once on a new directory make one ledger")
    func newDirectory() throws {
        for _ in 0..<10 {
            let directory = URL(fileURLWithPath: "/tmp/fermata-many-" + UUID().uuidString)
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            let fleet = try Fleet(in: directory.path)
            #expect(fleet.isComplete)
            _ = consume fleet
            try FileManager.default.removeItem(at: directory)
        }
    }

    @Test("uploads of all dialects spread over four processes, of which one is killed every 50 ms, are all whole")
    func killed() throws {
        let port = try Site.freePort()
        let site = try site(port)
        let fleet = try Fleet(site)
        let front = Front(files: site.files, port: port)
        let isDone = Atomic<Bool>(false)
        let uploads = ContractDialect.allCases.flatMap { dialect in (0..<40).map { (dialect, $0) } }
        let finished = Atomic<Int>(0)
        concurrently(5) { worker in
            do {
                guard worker > 0 else {
                    while !isDone.load(ordering: .relaxed) {
                        usleep(50_000)
                        try fleet.killOne()
                    }
                    return
                }
                for (index, (dialect, number)) in uploads.enumerated() where index % 4 == worker - 1 {
                    let conversation = dialect.conversation(
                        front,
                        path: "/" + dialect.rawValue,
                        name: "\(dialect.rawValue)\(number).bin"
                    )
                    _ = try Self.insist { try conversation.begin() }
                    for piece in conversation.pieces.indices {
                        _ = try Self.insist { try conversation.send(piece) }
                    }
                    _ = try Self.insist { try conversation.finish() }
                    let path = front.files.appending(path: conversation.publishedPath).path
                    #expect(
                        FileManager.default.contents(atPath: path) == ContractDialect.content,
                        "\(conversation.publishedPath)"
                    )
                    if finished.wrappingAdd(1, ordering: .relaxed).newValue == uploads.count {
                        isDone.store(true, ordering: .relaxed)
                    }
                }
            } catch {
                Issue.record("\(error)")
                isDone.store(true, ordering: .relaxed)
            }
        }
        #expect(finished.load(ordering: .relaxed) == uploads.count)
        #expect(fleet.killed > 5)
        Tally.processesKilled.add(fleet.killed)
        Tally.bytesCompared.add(uploads.count * ContractDialect.content.count)
        Tally.tell()
        // No file was made twice, but for those that add a number by rule.
        let names = try FileManager.default.subpathsOfDirectory(atPath: site.files.path).filter { $0.hasSuffix(".bin") }
        #expect(names.filter { !$0.contains("[") }.count == uploads.count, "\(names)")
    }

    @Test(
        "completions and pieces at once, in several processes, have one file and one answer",
        arguments: ContractDialect.allCases
    )
    func atOnce(dialect: ContractDialect) throws {
        let port = try Site.freePort()
        let site = try site(port)
        let fleet = try Fleet(site)
        let front = Front(files: site.files, port: port)
        for round in 0..<5 {
            let conversation = dialect.conversation(front, path: "/" + dialect.rawValue, name: "r\(round).bin")
            #expect(try conversation.begin().status == 200)
            for piece in conversation.pieces.indices {
                let request = try conversation.request(piece)
                let statuses = Mutex<[Int]>([])
                concurrently(3) { _ in
                    do {
                        let status = try request.send(port).status
                        statuses.withLock { $0.append(status) }
                    } catch { Issue.record("\(error)") }
                }
                #expect(statuses.withLock { $0.contains(200) })
            }
            let bodies = Mutex<Set<String>>([])
            let finisher = Finisher(conversation)
            concurrently(4) { _ in
                do {
                    let answer = try finisher.conversation.finish()
                    #expect(answer.status == 200, "\(answer.body)")
                    bodies.withLock { _ = $0.insert(answer.body) }
                } catch { Issue.record("\(error)") }
            }
            #expect(bodies.withLock { $0.count } == 1)
            let path = site.files.appending(path: conversation.publishedPath).path
            #expect(FileManager.default.contents(atPath: path) == ContractDialect.content)
        }
        withExtendedLifetime(fleet) {}
    }

    private struct Finisher: @unchecked Sendable {
        let conversation: any Conversation

        init(_ conversation: any Conversation) { self.conversation = conversation }
    }
}
