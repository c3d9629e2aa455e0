import Digests
import Engine
import Foundation
import HTTPTypes
import Ledger
import Synchronization
import Testing
import Uploads

@testable import Dialects

/// A service of signed part URLs without a web server: calls and parts go from the dialect straight to an engine.
private final class TaskBench: Sendable {
    let directory = "/tmp/fermata-tasks-" + UUID().uuidString
    let ledger: SQLiteLedger
    let engine: Engine
    let mount: Mount

    init() throws {
        try FileManager.default.createDirectory(atPath: directory + "/root", withIntermediateDirectories: true)
        ledger = try SQLiteLedger(stateDirectory: directory)
        let start = surroundings.now
        engine = Engine(ledger: ledger, now: { start })
        var mount = Mount(name: "m", root: directory + "/root")
        ShippedDialect.signed.configure(&mount)
        mount.partBytesMin = 1
        mount.chunkBytes = 4
        self.mount = mount
    }

    deinit {
        do { try FileManager.default.removeItem(atPath: directory) } catch { print("left behind: \(directory)") }
    }

    struct File {
        let task: String
        let id: String
        let key: String

        init(_ answer: Answer) throws {
            let json = try JSONReader.read(answer.body)
            task = try #require(json["task_id"]?.text, "\(answer.code)")
            id = try #require(json["upload_id"]?.text)
            key = try #require(json["object_key"]?.text)
        }

        var members: String { #""task_id":"\#(task)","upload_id":"\#(id)","object_key":"\#(key)""# }
    }

    func call(_ path: String, _ json: String, after look: () -> Void = {}) throws -> Answer {
        var exchange = exchange(.signed, "application/json", path: "/" + path, on: mount)
        exchange.documentEnded(Array(json.utf8))
        return try perform(exchange.bodyEnded(.whole), Intake(engine, for: mount), after: look)
    }

    /// Carries out the steps of a request.
    ///
    /// - Parameter look: called when the request has looked at the session, before it goes on.
    private func perform(_ first: Step, _ intake: Intake, after look: () -> Void) throws -> Answer {
        var step = first
        while true {
            switch step {
            case .answer(let answer): return answer
            case .perform(let command, let then):
                let result: Result<Outcome, UploadError>
                do throws(UploadError) { result = .success(try intake.perform(command)) } catch {
                    result = .failure(error)
                }
                if case .describe = command { look() }
                step = then(result)
            }
        }
    }

    func begin(
        _ name: String,
        task: String? = nil,
        kind: String = "master",
        after look: () -> Void = {}
    ) throws -> Answer {
        let more = task.map { #","task_id":"\#($0)""# } ?? ""
        return try call(
            "multipart/init",
            #"{"filename":"\#(name)","file_size":4,"file_type":"\#(kind)"\#(more)}"#,
            after: look
        )
    }

    /// Sends the one part of a file, and completes it.
    func finish(_ file: File, _ text: String, kind: String = "master") throws -> Answer {
        let key = FileKey(SessionKey(on: mount, id: file.task), field: file.id)
        let intake = Intake(engine, for: mount)
        try intake.begin(.part(PartDestination(key, number: 1, bytesMax: 4, sizeHint: nil)))
        try intake.write(Array(text.utf8).span)
        guard case .held(let held, _, _) = try intake.end(isCutOff: false) else { throw UploadError.superseded }
        _ = try intake.perform(.commitPart(held, key, number: 1, expected: nil))
        return try call(
            "multipart/complete",
            #"{\#(file.members),"file_type":"\#(kind)","parts":[{"part_number":1,"etag":"\#(MD5.digest(of: text))"}]}"#
        )
    }

    func confirm(_ file: File, _ more: String, after look: () -> Void = {}) throws -> Answer {
        try call("confirm", #"{"task_id":"\#(file.task)","master_object_key":"\#(file.key)",\#(more)}"#, after: look)
    }

    func stored(_ path: String) throws -> String {
        try String(contentsOfFile: directory + "/root/" + path, encoding: .utf8)
    }

    func confirmation(of task: String) throws -> String? {
        try ledger.progress(of: SessionKey(on: mount, id: task), now: surroundings.now)?.value("confirmation")
    }
}

/// Tasks of the protocol of signed part URLs: their files and their confirmation (docs/dialects/signed.md 5.2, 5.6).
@Suite struct SignedTaskTests {
    private let bench: TaskBench

    init() throws { bench = try TaskBench() }

    private func finishedFile() throws -> TaskBench.File {
        let file = try TaskBench.File(bench.begin("a.zip"))
        #expect(try bench.finish(file, "0123").status == .ok)
        return file
    }

    // MARK: confirm

    @Test(
        "of confirmations of different content that look at the task at once, one is told OK, and its content is stored"
    )
    func confirmationRace() throws {
        let file = try finishedFile()
        var late: Answer?
        let early = try bench.confirm(file, #""job_name":"early""#) {
            late = try? bench.confirm(file, #""job_name":"late""#)
        }
        #expect(late?.status == .ok)
        #expect(early.status == .conflict)
        #expect(String(decoding: early.body, as: UTF8.self).contains(#"{"detail":""#))
        let stored = try bench.stored("tasks/\(file.task)/task.json")
        #expect(stored.contains("late"))
        #expect(try bench.confirmation(of: file.task) == stored)
    }

    @Test("a confirmation that is repeated, even at once and with its members in another order, is told OK")
    func repeatedConfirmation() throws {
        let file = try finishedFile()
        var other: Answer?
        let one = try bench.confirm(file, #""a":"1","b":2"#) { other = try? bench.confirm(file, #""b":2,"a":"1""#) }
        #expect(one.status == .ok)
        #expect(other?.status == .ok)
        #expect(try bench.confirm(file, #""a":"1","b":2"#).status == .ok)
        #expect(try bench.confirmation(of: file.task) == bench.stored("tasks/\(file.task)/task.json"))
        #expect(try bench.confirm(file, #""a":"1","b":"2""#).status == .conflict)
    }

    @Test("of many different confirmations by as many threads one is told OK, and file and ledger have its content")
    func manyConfirmations() throws {
        for _ in 0..<10 {
            let file = try finishedFile()
            let bench = bench
            let (task, key) = (file.task, file.key)
            let winners = Mutex<[Int]>([])
            let ended = DispatchGroup()
            for index in 0..<8 {
                ended.enter()
                Thread {
                    let json = #"{"task_id":"\#(task)","master_object_key":"\#(key)","job_name":"job \#(index)"}"#
                    if let answer = try? bench.call("confirm", json), answer.status == .ok {
                        winners.withLock { $0.append(index) }
                    }
                    ended.leave()
                }.start()
            }
            ended.wait()
            let told = winners.withLock { $0 }
            #expect(told.count == 1)
            let stored = try bench.stored("tasks/\(task)/task.json")
            #expect(stored.contains("job \(told.first ?? -1)\""))
            #expect(try bench.confirmation(of: task) == stored)
        }
    }

    @Test("a confirmation whose task has gone meanwhile is of an unknown task")
    func confirmationOfNothing() throws {
        let file = try finishedFile()
        let key = SessionKey(on: bench.mount, id: file.task)
        #expect(try bench.confirm(file, #""a":"1""#) { _ = try? bench.ledger.remove(key) }.status == .notFound)
        #expect(throws: (any Error).self) { try bench.stored("tasks/\(file.task)/task.json") }
    }

    // MARK: init

    @Test("files of one name in a task have keys of their own, and each keeps its bytes")
    func sameName() throws {
        let first = try TaskBench.File(bench.begin("a.zip"))
        let others = try (0..<3).map { _ in try TaskBench.File(bench.begin("a.zip", task: first.task)) }
        let files = [first] + others
        #expect(first.key == "tasks/\(first.task)/master/a.zip")
        #expect(others.map(\.key) == (1...3).map { "tasks/\(first.task)/master/a[\($0)].zip" })
        for (index, file) in files.enumerated().reversed() {
            let answer = try bench.finish(file, "abc\(index)")
            #expect(answer.status == .ok)
            #expect(String(decoding: answer.body, as: UTF8.self).contains(file.key))
        }
        for (index, file) in files.enumerated() { #expect(try bench.stored(file.key) == "abc\(index)") }
        #expect(try bench.confirm(others[1], #""a":"1""#).status == .ok)
        let include = try TaskBench.File(bench.begin("a.zip", task: first.task, kind: "include"))
        #expect(include.key == "tasks/\(first.task)/include/a.zip", "another kind has names of its own")
    }

    @Test("files of one name that are added at once have keys of their own")
    func sameNameAtOnce() throws {
        let first = try TaskBench.File(bench.begin("a.zip"))
        var late: Answer?
        let early = try TaskBench.File(
            bench.begin("a.zip", task: first.task) {
                if late == nil { late = try? bench.begin("a.zip", task: first.task) }
            }
        )
        let other = try TaskBench.File(try #require(late))
        #expect(Set([first.key, early.key, other.key]).count == 3)
    }

    @Test("a file that was given up leaves its name to the next one")
    func nameOfAbortedFile() throws {
        let first = try TaskBench.File(bench.begin("a.zip"))
        #expect(try bench.call("multipart/abort", "{\(first.members)}").status == .ok)
        let second = try TaskBench.File(bench.begin("a.zip", task: first.task))
        #expect(second.key == first.key)
        #expect(try bench.finish(second, "0123").status == .ok)
    }

    @Test("a finished file that the ledger has forgotten is not replaced by one of its name")
    func forgottenFile() throws {
        let file = try finishedFile()
        #expect(try bench.ledger.removeTombstones(now: surroundings.now + 100_000, countMax: 10) == 1)
        let second = try TaskBench.File(bench.begin("a.zip", task: file.task))
        #expect(second.key == "tasks/\(file.task)/master/a[1].zip")
        #expect(try bench.finish(second, "wxyz").status == .ok)
        #expect(try bench.stored(file.key) == "0123")
    }
}
