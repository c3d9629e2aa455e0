import Foundation
import Ledger
import Staging
import Testing
import Threading
import Uploads

@testable import Engine

/// Forms of more files than a process may have open.
@Suite struct ManyFilesTests {
    private static let count = 255
    /// How many files of a root one request may have open, with folders.
    private static let openMax = 8

    private let bench: Bench

    init() throws { bench = try Bench() }

    /// How many files below the root this process has open.
    private func openCount() throws -> Int {
        let folder = "/proc/self/fd"
        let root = bench.root
        return try FileManager.default.contentsOfDirectory(atPath: folder).count { name in
            let target = try? FileManager.default.destinationOfSymbolicLink(atPath: folder + "/" + name)
            return target?.hasPrefix(root + "/") == true
        }
    }

    private func text(_ index: Int) -> String { index % 10 == 0 ? "" : "file \(index)" }

    /// Has a request hold files; every tenth has no bytes.
    private func hold(_ intake: Intake, _ count: Int = count) throws -> [HeldUpload] {
        var uploads: [HeldUpload] = []
        for index in 0..<count {
            try intake.begin(.whole(bytesMax: 100, isHashed: false))
            if !text(index).isEmpty { try intake.write(text(index)) }
            guard case .held(let held, let size, _) = try intake.end(isCutOff: false) else {
                throw CancellationError()
            }
            let spec = FileSpec(
                field: "f\(index)",
                fileName: "n\(index)",
                mediaType: "",
                target: .test("n\(index)"),
                total: size
            )
            uploads.append(HeldUpload(held, spec))
            #expect(try openCount() <= Self.openMax)
        }
        return uploads
    }

    /// A veto that notes how many files its caller has open, and refuses the one of a name.
    private func veto(refusing name: String = "none") throws -> HandOff {
        let path = bench.directory + "/veto"
        let lines = """
            #!/bin/sh
            ls -l /proc/$PPID/fd 2> /dev/null | grep -c '\(bench.root)/' >> '\(bench.directory)/counts'
            if grep -q '"fileName":"\(name)"'; then echo no; exit 1; fi
            """
        try (lines + "\n").write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
        return HandOff(hook: nil, veto: path, hasManifest: false)
    }

    private func counts() -> [Int] {
        let text = (try? String(contentsOfFile: bench.directory + "/counts", encoding: .utf8)) ?? ""
        return text.split(separator: "\n").compactMap { Int($0) }
    }

    private func publish(_ uploads: [HeldUpload], _ intake: Intake, stored: [FileKey] = []) throws -> Int {
        let form = FormFiles(stored: stored, held: uploads, fields: [])
        guard case .publishedForm(let files, nil) = try intake.perform(.publishForm(form)) else { return 0 }
        return files.count
    }

    @Test("a form keeps few of its files open, and publishes all of them, with programs that are told and without")
    func held() throws {
        for handOff in [HandOff(), HandOff(hook: "/bin/true", veto: nil, hasManifest: true)] {
            var mount = bench.mount
            mount.handOff = handOff
            let intake = Intake(bench.engine, for: mount)
            #expect(try publish(hold(intake), intake) == Self.count)
            for index in 0..<Self.count {
                let name = handOff.isNothing ? "n\(index)" : "n\(index)[1]"
                #expect(try bench.content(name) == text(index))
            }
        }
        #expect(try bench.staged().isEmpty)
        #expect(try bench.engine.events().count == Self.count)
        #expect(try bench.engine.events().allSatisfy { if case .due = $0.state { true } else { false } })
    }

    @Test("one refused file of a form of many keeps all from their names, and nothing of them stays")
    func refused() throws {
        var mount = bench.mount
        mount.handOff = try veto(refusing: "n20")
        do {
            let intake = Intake(bench.engine, for: mount)
            let uploads = try hold(intake, 30)
            #expect(throws: UploadError.refused(message: "no")) { try publish(uploads, intake) }
        }
        #expect(counts().count == 21)
        #expect(counts().allSatisfy { $0 <= Self.openMax })
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root) == [".fermata"])
        #expect(try bench.staged().isEmpty)
    }

    @Test("a form that is broken off leaves nothing")
    func brokenOff() throws {
        do {
            let intake = Intake(bench.engine, for: bench.mount)
            _ = try hold(intake, 30)
            #expect(try bench.staged().count > 20)
        }
        #expect(try bench.staged().isEmpty)
    }

    @Test(
        "a sweep leaves the files of a form alone as long as its request goes on, and takes those of a process that died"
    )
    func swept() throws {
        let intake = Intake(bench.engine, for: bench.mount)
        let uploads = try hold(intake, 10)
        // As a process that died has left them.
        let area = try StagingArea.open(root: bench.root)
        for name in ["0123", "0123-0"] {
            var file = try StagingFile.anonymous(in: area)
            try file.link(as: name, in: area)
        }
        bench.clock.seconds.withLock { $0 = Int64(time(nil)) + 100_000 }
        #expect(try bench.engine.sweep().orphans.map(\.staging) == ["0123", "0123-0"])
        #expect(try publish(uploads, intake) == 10)
    }

    @Test("bytes that have rested can become a segment, or a part, as others can")
    func otherCommands() throws {
        let intake = bench.intake()
        let uploads = try hold(intake, 10)
        let key = SessionKey(mount: "m", principal: "", id: "s")
        let total = Int64(text(1).utf8.count)
        guard
            case .received(.committed(_, isWhole: true)) = try intake.perform(
                .adopt(uploads[1].file, key, uploads[1].spec.with(total: total))
            )
        else {
            Issue.record("a whole file")
            return
        }
        let parts = FileKey(SessionKey(mount: "m", principal: "", id: "p"))
        let spec = FileSpec(field: "", fileName: "p", mediaType: "", target: .test("p"), total: 0)
        _ = try intake.perform(.open(NewUpload(parts, spec, fields: [], kind: .parts(PartLayout(stride: nil)))))
        var held: [HeldFile] = []
        for number in 1...6 {
            try intake.begin(.whole(bytesMax: 100, isHashed: true))
            if number != 3 { try intake.write("\(number)") }
            guard case .held(let file, _, _) = try intake.end(isCutOff: false) else { throw CancellationError() }
            held.append(file)
        }
        var claims: [PartClaim] = []
        for (index, file) in held.enumerated() {
            let receipt = try intake.perform(.commitPart(file, parts, number: index + 1, expected: nil))
            guard case .received(.committed(let progress, _)) = receipt else { throw CancellationError() }
            claims += progress.parts.map { PartClaim(number: $0.number, digest: $0.digest) }
        }
        _ = try bench.intake().perform(.assemble(parts, claims, AssemblyRules(totalMax: 100)))
        #expect(try bench.content("p") == "12456")
    }

    // MARK: Files of sessions

    /// Has a session have whole files.
    private func receiveWhole(_ intake: Intake, _ count: Int) throws -> [FileKey] {
        try (0..<count).map { index in
            let spec = FileSpec(
                field: "s\(index)",
                fileName: "s\(index)",
                mediaType: "",
                target: .test("s\(index)"),
                total: 4
            )
            try intake.begin(.segment(bench.key, spec, .first(4)))
            try intake.write("sess")
            _ = try intake.end(isCutOff: false)
            return FileKey(bench.key, field: spec.field)
        }
    }

    @Test("a form that finishes many files of its session keeps few of them open, and publishes all")
    func stored() throws {
        var mount = bench.mount
        mount.handOff = try veto()
        do {
            let intake = Intake(bench.engine, for: mount)
            let keys = try receiveWhole(intake, 40)
            #expect(try publish(hold(intake, 3), intake, stored: keys) == 43)
        }
        #expect(counts().count == 43)
        #expect(counts().allSatisfy { $0 <= Self.openMax }, "\(counts())")
        for index in 0..<40 { #expect(try bench.content("s\(index)") == "sess") }
        #expect(try bench.staged().isEmpty)
    }

    @Test("one refused file of many keeps those of the session open for more, and they are published the next time")
    func storedRefused() throws {
        var mount = bench.mount
        mount.handOff = try veto(refusing: "s9")
        let intake = Intake(bench.engine, for: mount)
        let keys = try receiveWhole(intake, 10)
        #expect(throws: UploadError.refused(message: "no")) { try publish([], intake, stored: keys) }
        #expect(try FileManager.default.contentsOfDirectory(atPath: bench.root) == [".fermata"])
        let others = Array(keys.dropLast())
        #expect(try publish([], Intake(bench.engine, for: mount), stored: others) == 9)
    }

    /// Makes a file ready as a form does, and has it take bytes again.
    private func madeReady(_ file: StoredFile) throws -> (ReadyFile, StagingFile.Stamp) {
        let area = try bench.engine.area(bench.root)
        guard case .ready(let ready, let staging) = try bench.engine.prepare(file, in: area, 900) else {
            throw CancellationError()
        }
        let stamp = try staging.stamp()
        bench.engine.abandon(ready, staging)
        return (ready, stamp)
    }

    @Test("a file that others change while it waits for the rest of its form is looked at anew")
    func storedChanged() throws {
        let intake = bench.intake()
        let keys = try receiveWhole(intake, 3)
        let file = try #require(try bench.ledger.upload(keys[0], now: 0)?.file)
        let (ready, stamp) = try madeReady(file)
        #expect(try bench.engine.publish(ready, unchangedSince: stamp, 900).path == "s0")
        #expect(try bench.engine.publish(ready, unchangedSince: stamp, 900).path == "s0", "it has its name already")
        #expect(try publish([], intake, stored: keys) == 3)
    }
}
