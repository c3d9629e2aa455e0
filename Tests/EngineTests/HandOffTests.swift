import Foundation
import Ledger
import Staging
import Testing
import Threading
import Uploads

@testable import Engine

/// What programs of the site are asked and told, with a clock that the test sets.
@Suite struct HandOffTests {
    private let bench: Bench

    init() throws { bench = try Bench() }

    /// Makes a program of these lines; `DIR` stands for the bench's directory.
    private func program(_ lines: String, name: String = "program") throws -> String {
        let path = bench.directory + "/" + name
        let text = "#!/bin/sh\n" + lines.replacingOccurrences(of: "DIR", with: bench.directory) + "\n"
        // Another process writes it: were it this one, a child that another test starts just then would have it open for
        // writing too, and until that has become its program ours cannot be executed.
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/bin/sh")
        process.arguments = ["-c", #"printf %s "$1" > "$0" && chmod 755 "$0""#, path, text]
        try process.run()
        process.waitUntilExit()
        return path
    }

    /// Has programs that look for it succeed from now on.
    private func permit() throws { try Data().write(to: URL(fileURLWithPath: bench.directory + "/works")) }

    private func mount(_ handOff: HandOff) -> Mount {
        var mount = bench.mount
        mount.handOff = handOff
        return mount
    }

    private func upload(_ handOff: HandOff) throws -> Outcome {
        let intake = Intake(bench.engine, for: mount(handOff))
        try intake.begin(bench.segment(0, 10))
        try intake.write("0123456789")
        _ = try intake.end(isCutOff: false)
        _ = try intake.perform(.store([FormField(name: "note", value: "a \"b\"")], bench.key))
        return try intake.perform(.publish(FileKey(bench.key, field: "f")))
    }

    private func plainUpload(_ handOff: HandOff) throws -> Outcome {
        let intake = Intake(bench.engine, for: mount(handOff))
        try intake.begin(.whole(bytesMax: 100, isHashed: false))
        try intake.write("0123456789")
        guard case .held(let held, _, _) = try intake.end(isCutOff: false) else { throw CancellationError() }
        let fields = [FormField(name: "note", value: "a \"b\"")]
        return try intake.perform(
            .publishForm(FormFiles(stored: [], held: [HeldUpload(held, bench.spec)], fields: fields))
        )
    }

    private func lines(_ name: String) -> [String] {
        let text = (try? String(contentsOfFile: bench.directory + "/" + name, encoding: .utf8)) ?? ""
        return text.split(separator: "\n").map(String.init)
    }

    private func object(_ text: String) throws -> [String: Any] {
        try #require(try JSONSerialization.jsonObject(with: Data(text.utf8)) as? [String: Any])
    }

    @Test("all values of a repeated field, and names that differ in their bytes alone, are in the document")
    func repeatedFields() throws {
        let hook = try program("cat > DIR/document")
        let intake = Intake(bench.engine, for: mount(HandOff(hook: hook, veto: nil, hasManifest: false)))
        try intake.begin(bench.segment(0, 10))
        try intake.write("0123456789")
        _ = try intake.end(isCutOff: false)
        let fields = [("t[]", "a"), ("\u{E9}", "1"), ("t[]", "b"), ("e\u{301}", "2")]
        _ = try intake.perform(.store(fields.map { FormField(name: $0.0, value: $0.1) }, bench.key))
        _ = try intake.perform(.publish(FileKey(bench.key, field: "f")))
        #expect(try #require(try bench.engine.deliverNext()).failure == nil)
        let text = try #require(lines("document").first)
        let expected = #""fields":{"t[]":["a","b"],"\#u{E9}":"1","e\#u{301}":"2"}"#
        #expect(Array(text.utf8).contains(Array(expected.utf8)), "\(text)")
    }

    @Test(
        "a program that was not allowed is not run, whoever has named it when: its event is kept, its file not published"
    )
    func notAllowed() throws {
        let hook = try program("touch DIR/ran", name: "hook")
        let veto = try program("touch DIR/ran", name: "veto")
        _ = try plainUpload(HandOff(hook: hook, veto: nil, hasManifest: false))
        let clock = bench.clock
        let ledger = bench.ledger
        let strict = Engine(ledger: ledger, programs: [veto + "2"], now: { clock.seconds.withLock { $0 } })
        let delivery = try #require(try strict.deliverNext())
        #expect(delivery.failure?.contains("--allow-program \(hook)") == true)
        #expect(try strict.events().map(\.state) == [.due(at: strict.now() + 1)])
        let intake = Intake(strict, for: mount(HandOff(hook: nil, veto: veto, hasManifest: false)))
        try intake.begin(bench.segment(0, 10))
        try intake.write("0123456789")
        _ = try intake.end(isCutOff: false)
        #expect(throws: UploadError.self) { try intake.perform(.publish(FileKey(bench.key, field: "f"))) }
        #expect(!FileManager.default.fileExists(atPath: bench.directory + "/ran"))
        #expect(!FileManager.default.fileExists(atPath: bench.root + "/a[1]"))
        clock.seconds.withLock { $0 += 1 }
        #expect(try bench.engine.deliverNext()?.failure == nil, "once it is allowed it is told")
        #expect(FileManager.default.fileExists(atPath: bench.directory + "/ran"))
    }

    @Test("an hour of failures, with a new process in between: told until it succeeds, then never again")
    func retries() throws {
        let hook = try program("cat >> DIR/told; echo >> DIR/told; test -e DIR/works")
        _ = try upload(HandOff(hook: hook, veto: nil, hasManifest: false))
        var engine = bench.engine
        var times: [Int64] = []
        let start = bench.clock.seconds.withLock { $0 }
        while true {
            let now = bench.clock.seconds.withLock { $0 }
            if now - start > 3600 { try permit() }
            if now - start > 1000 {
                // What a SIGKILL leaves: the ledger alone.
                let clock = bench.clock
                engine = Engine(
                    ledger: try SQLiteLedger(stateDirectory: bench.directory),
                    now: { clock.seconds.withLock { $0 } }
                )
            }
            if let delivery = try engine.deliverNext() {
                times.append(now - start)
                if delivery.failure == nil { break }
                try #require(times.count < 100)
            }
            bench.clock.seconds.withLock { $0 += 1 }
        }
        #expect(times == [0, 1, 3, 7, 15, 31, 63, 127, 255, 511, 1023, 1923, 2823, 3723])
        let told = lines("told")
        #expect(told.count == times.count)
        #expect(Set(told).count == 1, "the same document with the same key")
        let document = try object(told[0])
        #expect(document["name"] as? String == "a")
        #expect(document["path"] as? String == bench.root + "/a")
        #expect(document["size"] as? Int == 10)
        #expect(document["fields"] as? [String: String] == ["note": "a \"b\""])
        bench.clock.seconds.withLock { $0 += 100_000 }
        #expect(try engine.deliverNext() == nil)
        #expect(try engine.events().map(\.attempts) == [times.count])
        // They are kept for a week.
        _ = try engine.sweep()
        #expect(try engine.events().count == 1)
        bench.clock.seconds.withLock { $0 += 8 * 86_400 }
        _ = try engine.sweep()
        #expect(try engine.events().isEmpty)
    }

    @Test("an event that a process has taken with it into its death is told by another, later")
    func leased() throws {
        _ = try upload(HandOff(hook: "/bin/true", veto: nil, hasManifest: false))
        let taken = try #require(try bench.ledger.takeDueEvent(now: bench.engine.now(), leaseSeconds: 360))
        #expect(try bench.engine.deliverNext() == nil)
        bench.clock.seconds.withLock { $0 += 361 }
        #expect(try bench.engine.deliverNext()?.event.key == taken.key)
    }

    @Test("a late end of an attempt says nothing of the attempts after it", arguments: [false, true])
    func lateSettlement(isReplayed: Bool) throws {
        _ = try upload(HandOff(hook: "/bin/true", veto: nil, hasManifest: false))
        let late = try #require(try bench.ledger.takeDueEvent(now: bench.engine.now(), leaseSeconds: 360))
        let last: Event
        if isReplayed {
            #expect(try bench.engine.replay(late.id))
            last = try #require(try bench.engine.events().first)
        } else {
            bench.clock.seconds.withLock { $0 += 361 }
            last = try #require(try bench.ledger.takeDueEvent(now: bench.engine.now(), leaseSeconds: 360))
        }
        try bench.ledger.settle(late, as: .delivered(at: bench.engine.now()), failure: nil)
        #expect(try bench.engine.events() == [last])
        try bench.ledger.settle(last, as: .delivered(at: bench.engine.now()), failure: nil)
        #expect(try bench.engine.events().map(\.state) == [.delivered(at: bench.engine.now())])
    }

    @Test("a crash between the last segment and the name, or between the name and the ledger, loses no event")
    func recovered() throws {
        let handOff = HandOff(hook: "/bin/true", veto: nil, hasManifest: true)
        let intake = Intake(bench.engine, for: mount(handOff))
        try intake.begin(bench.segment(0, 10))
        try intake.write("0123456789")
        _ = try intake.end(isCutOff: false)
        #expect(try bench.recover().published == 1)
        #expect(try bench.engine.events().count == 1)
        #expect(try object(bench.content("a.json"))["size"] as? Int == 10)
    }

    private func announce(_ staging: String, _ path: String, inode: UInt64) throws {
        let event = NewEvent(key: staging, task: .tell(program: "/bin/true"), document: "{}", now: bench.engine.now())
        let file = NamedFile(root: bench.root, path: path, inode: inode)
        try bench.ledger.announce([event], of: AnnouncedFile(staging: staging, file: file))
    }

    @Test(
        "a plain file that got its name before a crash is told of, one that did not is forgotten",
        arguments: [true, false]
    )
    func announced(isPublished: Bool) throws {
        _ = try plainUpload(HandOff())
        let status = try FileManager.default.attributesOfItem(atPath: bench.root + "/a")
        let inode = try #require(status[.systemFileNumber] as? UInt64)
        if !isPublished { try Data().write(to: URL(fileURLWithPath: bench.root + "/.fermata/k")) }
        try announce("k", "a", inode: inode)
        #expect(try bench.engine.deliverNext() == nil)
        _ = try bench.recover()
        #expect(try bench.engine.events().count == (isPublished ? 1 : 0))
        #expect(try (bench.engine.deliverNext() != nil) == isPublished)
    }

    @Test("a plain file that was fetched before its process could tell of it is told of")
    func fetched() throws {
        try announce("k", "gone", inode: 1)
        _ = try bench.engine.sweep()
        #expect(try bench.engine.deliverNext() != nil)
    }

    @Test("a plain file whose process still lives is that one's to tell of, under the name that it gets in the end")
    func announcedByAnother() throws {
        _ = try plainUpload(HandOff())
        let area = try StagingArea.open(root: bench.root)
        do {
            var file = try StagingFile.anonymous(in: area)
            try file.link(as: "k", in: area)
            try file.markInUse()
            try announce("k", "b", inode: try file.inode())
            _ = try bench.recover()
            let event = try #require(try bench.engine.events().first)
            #expect(event.state == .waiting)
            #expect(try !bench.engine.replay(event.id))
            // Another path was taken for it meanwhile: what is known of the first decides nothing any more.
            let stale = try #require(try bench.ledger.announcedFiles().first)
            let now = bench.engine.now()
            try bench.ledger.settleAnnounced(stale, isPublished: false, without: [], now: now)
            try announce("k", "c", inode: try file.inode())
            try bench.ledger.settleAnnounced(stale, isPublished: false, without: [], now: now)
            #expect(try bench.engine.events().count == 1)
        }
        // A child that another test starts at this moment has the file open until it is another program.
        for _ in 0..<200 where try !bench.engine.events().isEmpty {
            usleep(10_000)
            _ = try bench.recover()
        }
        #expect(try bench.engine.events().isEmpty)
    }

    @Test("plain files have events and manifests, too, and leave nothing behind")
    func plain() throws {
        let hook = try program("cat > DIR/told")
        for number in 0..<2 {
            _ = try plainUpload(HandOff(hook: hook, veto: nil, hasManifest: true))
            #expect(try bench.engine.deliverNext()?.failure == nil)
            let name = number == 0 ? "a" : "a[1]"
            #expect(try object(lines("told")[0])["name"] as? String == name)
            #expect(try object(bench.content(name + ".json"))["path"] as? String == bench.root + "/" + name)
        }
        #expect(try bench.staged().isEmpty)
    }

    @Test("a veto sees the bytes, and refuses with its first line", arguments: [true, false])
    func refused(isPlain: Bool) throws {
        let veto = try program(
            #"cat > DIR/asked; path=$(sed 's/.*"path":"\([^"]*\)".*/\1/' DIR/asked); echo "no $(cat "$path")"; echo more; exit 1"#
        )
        let handOff = HandOff(hook: "/bin/true", veto: veto, hasManifest: true)
        #expect(throws: UploadError.refused(message: "no 0123456789")) {
            isPlain ? try plainUpload(handOff) : try upload(handOff)
        }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root) == [".fermata"])
        #expect(try bench.staged().isEmpty)
        #expect(try bench.engine.events().isEmpty)
        #expect(try object(lines("asked")[0])["event"] as? String == "whole")
        // The client may send another.
        _ = try isPlain ? plainUpload(HandOff()) : upload(HandOff())
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a veto that agrees lets the file pass", arguments: [true, false])
    func agreed(isPlain: Bool) throws {
        let handOff = HandOff(hook: nil, veto: "/bin/true", hasManifest: false)
        _ = try isPlain ? plainUpload(handOff) : upload(handOff)
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a veto that fails publishes nothing and loses nothing: the next completion asks again")
    func brokenVeto() throws {
        let veto = try program("test -e DIR/works || kill -9 $$")
        let handOff = HandOff(hook: nil, veto: veto, hasManifest: false)
        #expect(throws: UploadError.self) { try upload(handOff) }
        #expect(try bench.prefix() == 10)
        try permit()
        _ = try bench.publish()
        #expect(try bench.content("a") == "0123456789")
    }

    @Test("a repair goes on behind a file whose veto may not be run, and gives it no name")
    func forbiddenVeto() throws {
        let handOff = HandOff(hook: nil, veto: "/bin/true", hasManifest: false)
        for (id, name) in [("1", "asks"), ("2", "free")] {
            let spec = FileSpec(field: "f", fileName: name, mediaType: "", target: .test(name), total: 4)
            let intake = Intake(bench.engine, for: mount(id == "1" ? handOff : HandOff()))
            try intake.begin(.segment(SessionKey(mount: "m", principal: "", id: id), spec, .first(4)))
            try intake.write("0123")
            _ = try intake.end(isCutOff: false)
        }
        let engine = Engine(ledger: bench.ledger, programs: [], now: { 1_000_000 })
        let findings = try engine.check(isRepairing: true, tombstoneSeconds: 900)
        #expect(findings.count == 2)
        #expect(findings.first?.failure?.contains("--allow-program /bin/true") == true, "\(findings)")
        #expect(findings.last?.failure == nil)
        #expect(try bench.content("free") == "0123")
        #expect(!FileManager.default.fileExists(atPath: bench.root + "/asks"))
        let allowed = Engine(ledger: bench.ledger, programs: ["/bin/true"], now: { 1_000_000 })
        _ = try allowed.check(isRepairing: true, tombstoneSeconds: 900)
        #expect(try bench.content("asks") == "0123")
    }

    @Test("events are replayed and dropped by their numbers")
    func replayed() throws {
        _ = try upload(HandOff(hook: "/bin/true", veto: nil, hasManifest: false))
        let first = try #require(try bench.engine.deliverNext())
        #expect(try bench.engine.replay(first.event.id))
        #expect(try bench.engine.deliverNext()?.event.key == first.event.key)
        #expect(try bench.engine.drop(first.event.id))
        #expect(try !bench.engine.drop(first.event.id))
        #expect(try !bench.engine.replay(first.event.id))
    }
}
