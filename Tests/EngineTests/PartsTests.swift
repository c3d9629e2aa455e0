import Digests
import Foundation
import Ledger
import Testing
import Threading
import Uploads

@testable import Engine

/// What an upload in parts is for these tests.
private struct Upload: Sendable {
    let bench: Bench
    let key: FileKey
    let mount: Mount

    init(
        _ bench: Bench,
        id: String = "u",
        target: Target = .test("folder/a", ifTaken: .replace),
        layout: PartLayout = PartLayout(stride: nil),
        handOff: HandOff = HandOff()
    ) throws {
        self.bench = bench
        var mount = bench.mount
        mount.handOff = handOff
        key = FileKey(SessionKey(mount: "m", principal: "ann", id: id))
        self.mount = mount
        let spec = FileSpec(field: "", fileName: "a", mediaType: "", target: target, total: layout.total ?? 0)
        let upload = NewUpload(key, spec, fields: [], kind: .parts(layout))
        _ = try Intake(bench.engine, for: mount).perform(.open(upload))
    }

    /// A part whose bytes are coming in.
    func begin(_ number: Int, hint: Int64? = nil) throws -> Intake {
        let intake = Intake(bench.engine, for: mount)
        try intake.begin(.part(PartDestination(key, number: number, bytesMax: 1 << 30, sizeHint: hint)))
        return intake
    }

    func end(_ intake: Intake, _ number: Int, expected: MD5Digest? = nil) throws {
        guard case .held(let held, _, _) = try intake.end(isCutOff: false) else {
            Issue.record("a part is held")
            return
        }
        _ = try intake.perform(.commitPart(held, key, number: number, expected: expected))
    }

    /// Sends a part in one piece.
    func send(_ number: Int, _ text: String, hint: Int64? = nil) throws {
        let intake = try begin(number, hint: hint ?? Int64(text.utf8.count))
        try intake.write(text)
        try end(intake, number)
    }

    /// Sends a part whose fields follow its file.
    func sendLateBound(_ number: Int, _ text: String) throws {
        let intake = Intake(bench.engine, for: mount)
        try intake.begin(.whole(bytesMax: 1 << 30, isHashed: true))
        try intake.write(text)
        try end(intake, number)
    }

    func complete(
        _ parts: [(Int, String)],
        _ change: (inout AssemblyRules) -> Void = { _ in }
    ) throws -> PublishedFile {
        var rules = AssemblyRules(totalMax: 1 << 40)
        change(&rules)
        let claims = parts.map { PartClaim(number: $0, digest: MD5.digest(of: $1)) }
        guard case .published(let file) = try Intake(bench.engine, for: mount).perform(.assemble(key, claims, rules))
        else {
            Issue.record("completion publishes")
            throw UploadError.superseded
        }
        return file
    }

    func numbers() throws -> [Int] {
        try bench.ledger.progress(of: key.session, now: 0)?.files.first?.parts.map(\.number) ?? []
    }

    func inode(_ path: String) throws -> UInt64 {
        var status = stat()
        try #require(lstat(bench.root + "/" + path, &status) == 0)
        return UInt64(status.st_ino)
    }

    /// The file that slots lie in.
    func staging() throws -> String {
        let found = try bench.ledger.upload(key, now: 0)
        return try #require(found).file.staging
    }

    /// The bytes that this process has given to write calls and copies, whatever became of them (proc(5), wchar).
    static func writtenBytes() throws -> Int {
        let text = try String(contentsOfFile: "/proc/thread-self/io", encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("wchar:") })
        return try #require(Int(line.dropFirst("wchar: ".count)))
    }
}

@Suite struct PartsEngineTests {
    private let bench: Bench
    private let kilo = String(repeating: "k", count: 1000)

    init() throws { bench = try Bench() }

    @Test("an upload that is removed while a file is made of its parts leaves no staging file")
    func removedDuringAssembly() throws {
        let veto = bench.directory + "/veto"
        let lines = [
            "#!/bin/sh", "touch \(bench.directory)/asked", "until [ -e \(bench.directory)/go ]; do sleep 0.02; done",
        ]
        try (lines.joined(separator: "\n") + "\n").write(toFile: veto, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: veto)
        let upload = try Upload(
            bench,
            layout: PartLayout(stride: 4),
            handOff: HandOff(hook: nil, veto: veto, hasManifest: false)
        )
        try upload.send(1, "aaaa")
        try upload.send(2, "bbbb")
        let bench = bench
        Thread {
            while !FileManager.default.fileExists(atPath: bench.directory + "/asked") { usleep(5000) }
            if let leftovers = try? bench.ledger.remove(upload.key.session) { bench.engine.discard(leftovers) }
            try? Data().write(to: URL(fileURLWithPath: bench.directory + "/go"))
        }.start()
        // The second part belongs where the first is, so that a new file is made.
        #expect(throws: (any Error).self) { try upload.complete([(2, "bbbb")]) }
        #expect(try bench.staged().isEmpty)
        #expect(!FileManager.default.fileExists(atPath: bench.root + "/folder/a"))
    }

    @Test("a check beside parts that are sent again and again finds nothing wrong")
    func checkedBesideReplacements() throws {
        let upload = try Upload(bench)
        try upload.sendLateBound(1, "first")
        let isDone = Locked(false)
        let ended = DispatchGroup()
        ended.enter()
        Thread {
            for number in 0..<400 { try? upload.sendLateBound(1, "again \(number)") }
            isDone.withLock { $0 = true }
            ended.leave()
        }.start()
        while !isDone.withLock({ $0 }) {
            let findings = try bench.engine.check(isRepairing: false, tombstoneSeconds: 900)
            #expect(findings.isEmpty, "\(findings)")
            if !findings.isEmpty { break }
        }
        ended.wait()
    }

    // MARK: Placement

    @Test("regular parts, in any order and at the same time, lie where they belong: completion writes no file data")
    func regular() throws {
        let upload = try Upload(bench)
        let texts = (1...5).map { String(repeating: "\($0)", count: $0 == 5 ? 300_001 : 1_024_000) }
        let numbers = [3, 1, 5, 2, 4]
        let intakes = try numbers.map { ($0, try upload.begin($0, hint: Int64(texts[$0 - 1].utf8.count))) }
        for (number, intake) in intakes { try intake.write(texts[number - 1]) }
        for (number, intake) in intakes.reversed() { try upload.end(intake, number) }
        #expect(try bench.staged().count == 1, "no scratch file")
        let inode = try upload.inode(".fermata/" + upload.staging())
        let before = try Upload.writtenBytes()
        let file = try upload.complete(texts.enumerated().map { ($0 + 1, $1) })
        #expect(try Upload.writtenBytes() - before < 200_000, "the ledger only")
        #expect(file.spec.total == 4 * 1_024_000 + 300_001)
        #expect(try upload.inode("folder/a") == inode)
        #expect(try bench.content("folder/a") == texts.joined())
        #expect(try bench.staged().isEmpty)
    }

    @Test("a single part of any size lies where it belongs")
    func single() throws {
        let upload = try Upload(bench)
        try upload.send(1, "12345")
        #expect(try bench.staged().count == 1)
        _ = try upload.complete([(1, "12345")])
        #expect(try bench.content("folder/a") == "12345")
    }

    @Test("a part that outgrows its slot moves aside, one that is smaller stays, and the file is right")
    func irregular() throws {
        let upload = try Upload(bench)
        let texts = [kilo, kilo + "more", "less", kilo]
        for (index, text) in texts.enumerated() {
            let intake = try upload.begin(index + 1, hint: 1000)
            for byte in text.utf8 { try intake.write([byte].span) }
            try upload.end(intake, index + 1)
        }
        #expect(try bench.staged().count == 2, "one scratch file")
        _ = try upload.complete(texts.enumerated().map { ($0 + 1, $1) })
        #expect(try bench.content("folder/a") == texts.joined())
        #expect(try bench.staged().isEmpty)
    }

    @Test("a part without its fields before it, or of unknown size, goes to a scratch file; completion moves only that")
    func scratch() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try upload.sendLateBound(2, kilo)
        try upload.send(3, kilo)
        #expect(try bench.staged().count == 2)
        let inode = try upload.inode(".fermata/" + upload.staging())
        let before = try Upload.writtenBytes()
        _ = try upload.complete([(1, kilo), (2, kilo), (3, kilo)])
        #expect(try Upload.writtenBytes() - before < 200_000)
        #expect(try upload.inode("folder/a") == inode)
        #expect(try bench.content("folder/a") == kilo + kilo + kilo)
        #expect(try bench.staged().isEmpty)
    }

    @Test("a replacement is aside until it is whole; the part before it stays readable until then")
    func replacement() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try upload.send(2, "two")
        let cut = try upload.begin(1, hint: 1000)
        try cut.write("XXXX")
        _ = try cut.end(isCutOff: true)
        let wrong = try upload.begin(1, hint: 1000)
        try wrong.write("YYYY")
        #expect(throws: UploadError.digestMismatch) { try upload.end(wrong, 1, expected: MD5.digest(of: "Z")) }
        let over = try upload.begin(2, hint: 1000)
        try over.write("second")
        try upload.end(over, 2)
        _ = try upload.complete([(1, kilo), (2, "second")])
        #expect(try bench.content("folder/a") == kilo + "second")
        #expect(try bench.staged().isEmpty)
    }

    @Test("of two requests for one part the one that ends last wins, as a whole", arguments: [false, true])
    func sameNumber(firstWins: Bool) throws {
        let upload = try Upload(bench)
        let (first, second) = (String(repeating: "1", count: 1000), String(repeating: "2", count: 1000))
        let one = try upload.begin(1, hint: 1000)
        try one.write(String(decoding: first.utf8.prefix(500), as: UTF8.self))
        let other = try upload.begin(1, hint: 1000)
        try other.write(second)
        try one.write(String(decoding: first.utf8.suffix(500), as: UTF8.self))
        if firstWins {
            try upload.end(other, 1)
            try upload.end(one, 1)
        } else {
            try upload.end(one, 1)
            try upload.end(other, 1)
        }
        _ = try upload.complete([(1, firstWins ? first : second)])
        #expect(try bench.content("folder/a") == (firstWins ? first : second))
    }

    @Test("fields that come after the file win over those before it")
    func rebound() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        let intake = try upload.begin(2, hint: 1000)
        try intake.write("three")
        try upload.end(intake, 3)
        #expect(try upload.numbers() == [1, 3])
        _ = try upload.complete([(1, kilo), (3, "three")])
        #expect(try bench.content("folder/a") == kilo + "three")
    }

    @Test("however parts come, the file is made of those that are listed", arguments: 0..<150)
    func random(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let upload = try Upload(bench, id: "\(seed)")
        let stride = Int.random(in: 1...40, using: &generator) * 1000
        var texts: [Int: String] = [:]
        var open: [(Int, String, Intake)] = []
        for _ in 0..<Int.random(in: 1...25, using: &generator) {
            let number = Int.random(in: 0...9, using: &generator)
            let isRegular = Int.random(in: 0..<4, using: &generator) > 0
            let count = isRegular ? stride : Int.random(in: 0...2 * stride, using: &generator)
            let letter = String("abcdefghijklmnopqrstuvwxyz".randomElement(using: &generator) ?? "a")
            let text = String(repeating: letter, count: count)
            switch Int.random(in: 0..<8, using: &generator) {
            case 0: try upload.sendLateBound(number, text)
            case 1, 2:
                // Stays in flight while others go on.
                let intake = try upload.begin(number, hint: Int64(count))
                try intake.write(String(decoding: text.utf8.prefix(count / 2), as: UTF8.self))
                open.append((number, text, intake))
                continue
            case 3:
                let intake = try upload.begin(number, hint: nil)
                try intake.write(text)
                try upload.end(intake, number)
            case _: try upload.send(number, text, hint: Int64(Bool.random(using: &generator) ? count : stride))
            }
            texts[number] = text
        }
        var late: [(Int, Intake)] = []
        for (number, text, intake) in open {
            if Bool.random(using: &generator) {
                late.append((number, intake))
                continue
            }
            try intake.write(String(decoding: text.utf8.suffix(text.utf8.count - text.utf8.count / 2), as: UTF8.self))
            try upload.end(intake, number)
            texts[number] = text
        }
        #expect(try upload.numbers() == texts.keys.sorted())
        let listed = texts.sorted { $0.key < $1.key }.filter { _ in Int.random(in: 0..<5, using: &generator) > 0 }
        guard !listed.isEmpty else { return }
        // A list that does not fit fails, and harms nothing.
        #expect(throws: UploadError.self) { try upload.complete([(listed[0].key, "other")]) }
        let file = try upload.complete(listed.map { ($0.key, $0.value) })
        let expected = listed.map(\.value).joined()
        #expect(file.spec.total == Int64(expected.utf8.count))
        #expect(try bench.content("folder/a") == expected, "seed \(seed)")
        for (number, intake) in late {
            // In its own words: the upload is finished, or its staging file is another one now.
            #expect(throws: UploadError.self) {
                try intake.write("late")
                try upload.end(intake, number)
            }
        }
        #expect(try bench.staged().isEmpty)
    }

    @Test("a completion that fails has not overwritten what a request had written and commits afterwards")
    func moveOverBytesOnTheirWay() throws {
        let upload = try Upload(bench)
        let first = String(repeating: "1", count: 1000)
        let intake = try upload.begin(1, hint: 1000)
        try intake.write(first)
        try upload.sendLateBound(2, kilo)
        #expect(throws: UploadError.digestMismatch) {
            try upload.complete([(2, kilo)]) { $0.digest = MD5.digest(of: "x") }
        }
        try upload.end(intake, 1)
        #expect(try bench.engine.check(isRepairing: false, tombstoneSeconds: 900).isEmpty)
        _ = try upload.complete([(1, first), (2, kilo)])
        #expect(try bench.content("folder/a") == first + kilo)
    }

    @Test("a completion that fails has not cut off what a request had written and commits afterwards")
    func cutOffBytesOnTheirWay() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        let intake = try upload.begin(2, hint: 1000)
        try intake.write("two")
        try FileManager.default.createDirectory(atPath: bench.root + "/folder/a", withIntermediateDirectories: true)
        #expect(throws: UploadError.pathBlocked) { try upload.complete([(1, kilo)]) }
        try upload.end(intake, 2)
        #expect(try bench.engine.check(isRepairing: false, tombstoneSeconds: 900).isEmpty)
        try FileManager.default.removeItem(atPath: bench.root + "/folder/a")
        _ = try upload.complete([(1, kilo), (2, "two")])
        #expect(try bench.content("folder/a") == kilo + "two")
        #expect(try bench.staged().isEmpty)
    }

    @Test("10,000 parts make one file")
    func manyParts() throws {
        let upload = try Upload(bench, layout: PartLayout(stride: 10, total: 100_000))
        for number in 1...10_000 { try upload.send(number, "0123456789") }
        _ = try upload.complete((1...10_000).map { ($0, "0123456789") }) { $0.total = 100_000 }
        #expect(try bench.content("folder/a") == String(repeating: "0123456789", count: 10_000))
    }

    // MARK: Declared size

    @Test("of a declared size each part has its own, and there is none beyond")
    func declared() throws {
        let upload = try Upload(bench, layout: PartLayout(stride: 4, total: 10))
        for (number, text) in [(1, "012"), (3, "8"), (3, "")] {
            #expect(throws: UploadError.self) { try upload.send(number, text) }
        }
        for (number, text) in [(1, "01234"), (3, "890")] {
            #expect(throws: UploadError.longerThanDeclared(declared: number == 1 ? 4 : 2)) {
                try upload.send(number, text)
            }
        }
        for number in [0, 4, 10_000] {
            #expect(throws: UploadError.noSuchPart(number: number)) { try upload.send(number, "0") }
        }
        for (number, text) in [(3, "89"), (1, "0123"), (2, "4567"), (2, "4567")] { try upload.send(number, text) }
        _ = try upload.complete([(1, "0123"), (2, "4567"), (3, "89")]) { $0.total = 10 }
        #expect(try bench.content("folder/a") == "0123456789")
    }

    // MARK: Completion

    @Test("the MD5 of the whole file is checked, and a wrong one changes nothing")
    func wholeDigest() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try upload.sendLateBound(2, "two")
        let list = [(1, kilo), (2, "two")]
        #expect(throws: UploadError.digestMismatch) { try upload.complete(list) { $0.digest = MD5.digest(of: "x") } }
        try upload.send(2, "2")
        let other = [(1, kilo), (2, "2")]
        _ = try upload.complete(other) { $0.digest = MD5.digest(of: kilo + "2") }
        #expect(try bench.content("folder/a") == kilo + "2")
    }

    @Test("a folder where the file belongs stops the completion, and the upload goes on elsewhere or later")
    func blocked() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try FileManager.default.createDirectory(atPath: bench.root + "/folder/a", withIntermediateDirectories: true)
        #expect(throws: UploadError.pathBlocked) { try upload.complete([(1, kilo)]) }
        try upload.send(2, "two")
        try FileManager.default.removeItem(atPath: bench.root + "/folder/a")
        _ = try upload.complete([(1, kilo), (2, "two")])
        #expect(try bench.content("folder/a") == kilo + "two")
    }

    @Test("a finished upload takes no part, and no completion but the same")
    func finished() throws {
        let upload = try Upload(bench)
        try upload.send(1, "one")
        let late = try upload.begin(2, hint: 1000)
        let file = try upload.complete([(1, "one")])
        #expect(try upload.complete([(1, "one")]) == file)
        #expect(throws: UploadError.finished) { try upload.complete([(1, "two")]) }
        #expect(throws: UploadError.finished) { try upload.send(1, "one") }
        try late.write("late")
        #expect(throws: UploadError.finished) { try upload.end(late, 2) }
        #expect(try bench.content("folder/a") == "one")
    }

    @Test("two completions at once are one, with one answer", arguments: [false, true])
    func twoCompletions(needsNewFile: Bool) throws {
        for round in 0..<20 {
            let upload = try Upload(bench, id: "\(needsNewFile)\(round)")
            try upload.send(1, needsNewFile ? "short" : kilo)
            try upload.send(2, kilo, hint: 1000)
            let list = [(1, needsNewFile ? "short" : kilo), (2, kilo)]
            let files = Locked<[PublishedFile]>([])
            DispatchQueue.concurrentPerform(iterations: 3) { _ in
                do {
                    let file = try upload.complete(list)
                    files.withLock { $0.append(file) }
                } catch { Issue.record("\(error)") }
            }
            #expect(Set(files.withLock { $0 }).count == 1)
            #expect(try bench.content("folder/a") == list.map(\.1).joined())
        }
    }

    // MARK: Giving up

    @Test("a cancelled upload leaves nothing but a tombstone")
    func cancelled() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try upload.sendLateBound(2, "two")
        let hanging = try upload.begin(3, hint: 1000)
        for _ in 0..<2 { _ = try Intake(bench.engine, for: upload.mount).perform(.cancel(upload.key)) }
        #expect(try bench.staged().isEmpty)
        try hanging.write("late")
        #expect(throws: UploadError.cancelled) { try upload.end(hanging, 3) }
        #expect(throws: UploadError.cancelled) { try upload.send(1, "x") }
        #expect(throws: UploadError.cancelled) { try upload.complete([(1, kilo)]) }
    }

    @Test("an expired upload goes with its scratch files")
    func expired() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try upload.sendLateBound(2, "two")
        bench.clock.seconds.withLock { $0 += upload.mount.idleSeconds + 60 }
        #expect(throws: UploadError.unknownUpload) { try upload.send(3, "x") }
        _ = try bench.engine.sweep()
        #expect(try bench.staged().isEmpty)
    }

    // MARK: Recovery

    @Test("a completion that died before or after its rename is finished at the next start", arguments: [0, 1, 2])
    func diedPublishing(step: Int) throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try upload.send(2, kilo)
        let found = try #require(try bench.ledger.upload(upload.key, now: 0))
        let inode = try upload.inode(".fermata/" + found.file.staging)
        chmod(bench.root + "/.fermata/" + found.file.staging, 0o644)
        if step > 0 {
            let assembly = Assembly(total: 2000, staging: found.file.staging, parts: found.parts, choosing: found.parts)
            _ = try bench.ledger.beginPublishing(found.file, as: "folder/a", inode: inode, assembly: assembly)
        }
        if step > 1 {
            try FileManager.default.createDirectory(atPath: bench.root + "/folder", withIntermediateDirectories: true)
            try #require(rename(bench.root + "/.fermata/" + found.file.staging, bench.root + "/folder/a") == 0)
        }
        #expect(try bench.recover().published == (step > 0 ? 1 : 0))
        // A file that was sealed too early takes parts again.
        if step == 0 { try upload.send(1, kilo) }
        let file = try upload.complete([(1, kilo), (2, kilo)])
        #expect(file.path == "folder/a")
        #expect(try bench.content("folder/a") == kilo + kilo)
        #expect(try bench.staged().isEmpty)
    }

    @Test("after a power cut the parts whose bytes are lost are asked for again, and only those")
    func powerCut() throws {
        let upload = try Upload(bench)
        _ = try bench.recover(boot: "first")
        for number in 1...3 { try upload.send(number, kilo) }
        for number in 4...6 { try upload.sendLateBound(number, kilo) }
        let found = try #require(try bench.ledger.upload(upload.key, now: 0))
        let folder = bench.root + "/.fermata/"
        let file = try FileHandle(forUpdating: URL(fileURLWithPath: folder + found.file.staging))
        try file.seek(toOffset: 1500)
        try file.write(contentsOf: Data("torn".utf8))
        guard case .scratch(let torn) = found.parts[3].place, case .scratch(let gone) = found.parts[4].place else {
            Issue.record("the fourth and fifth parts are in scratch files")
            return
        }
        try Data("torn".utf8).write(to: URL(fileURLWithPath: folder + torn))
        try FileManager.default.removeItem(atPath: folder + gone)
        #expect(try bench.recover(boot: "second").segmentsLost == 3)
        #expect(try upload.numbers() == [1, 3, 6])
        for number in [2, 4, 5] { try upload.send(number, kilo) }
        _ = try upload.complete((1...6).map { ($0, kilo) })
        #expect(try bench.content("folder/a") == String(repeating: kilo, count: 6))
        #expect(try bench.staged().isEmpty)
    }

    @Test("an expired upload to whose part bytes come in a scratch file is left alone")
    func liveScratch() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        let slow = try upload.begin(1, hint: 1000)
        bench.clock.seconds.withLock { $0 += upload.mount.idleSeconds + 60 }
        #expect(try bench.engine.sweep().inUse.count == 1)
        _ = consume slow
        #expect(try upload.bench.engine.sweep().expired.count == 1)
    }

    @Test("scratch files are known to the sweep")
    func sweep() throws {
        let upload = try Upload(bench)
        try upload.send(1, kilo)
        try upload.sendLateBound(2, "two")
        bench.clock.seconds.withLock { $0 = Int64(time(nil)) + 3600 }
        var mount = upload.mount
        mount.idleSeconds = 1 << 40
        let key = upload.key
        _ = try Intake(bench.engine, for: mount).perform(.store([], key.session))
        #expect(try bench.engine.sweep().orphans.isEmpty)
    }
}

/// A generator whose numbers depend on its seed alone (SplitMix64).
private struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed &* 0x9E37_79B9_7F4A_7C15 }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
