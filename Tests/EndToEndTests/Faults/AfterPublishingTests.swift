#if DEBUG
import Engine
import Foundation
import Ledger
import Staging
import Testing

/// Once a file has its name it is stored, and its client hears so: whatever call fails after that, in every dialect, with
/// all that a site can want of finished files.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct AfterPublishingTests {
    private static let callsMax = 2000

    /// Fails call after call of a request that completes an upload, until none is left to fail.
    private func sweep(_ dialect: ContractDialect, _ fault: (Int, () throws -> Void) throws -> Bool) throws -> Int {
        let more = ["FERMATA_HOOK": "/bin/true", "FERMATA_MANIFEST": "on"]
        for number in 0..<Self.callsMax {
            let server = try InProcessServer(dialect, more)
            let conversation = dialect.conversation(server)
            _ = try conversation.begin()
            for index in conversation.pieces.indices.dropLast() { _ = try conversation.send(index) }
            // The dialects whose last piece completes the file do so with it.
            let last = conversation.pieces.count - 1
            if ![.dcloud, .offset].contains(dialect) { _ = try conversation.send(last) }
            let path = server.files.appending(path: conversation.publishedPath).path
            var answer: HTTPConnection.Answer?
            let hasFired = try fault(number) { answer = try conversation.finish() }
            let note: Comment = "\(dialect.rawValue), call \(number): \(answer?.body ?? "")"
            let isNamed = FileManager.default.fileExists(atPath: path)
            if isNamed { #expect(answer?.status == 200, note) }
            #expect(isNamed == (answer?.status == 200), note)
            if !hasFired { return number }
            // What has no name may have lost bytes, and is asked for again: FaultTests.
            if !isNamed { continue }
            // A repeat is acknowledged, not stored twice; what was postponed is done by a sweep and from the outbox.
            let repeated = try conversation.finish()
            #expect(repeated.status == 200, "\(note); \(repeated.body)")
            _ = try server.engine.sweep()
            while try server.engine.deliverNext() != nil {}
            let names = try FileManager.default.subpathsOfDirectory(atPath: server.files.path)
            #expect(names.filter { $0.hasSuffix(".bin") }.count == 1, "\(note); \(names)")
            #expect(names.filter { $0.hasSuffix(".bin.json") }.count == 1, "\(note); \(names)")
            let told = try server.engine.events().filter { $0.program == "/bin/true" }
            #expect(told.count == 1, note)
        }
        Issue.record("a completion has more than \(Self.callsMax) calls")
        return Self.callsMax
    }

    @Test(
        "a system call that fails after the rename changes no answer",
        arguments: ContractDialect.allCases,
        [EIO, EMFILE]
    )
    func systemCalls(dialect: ContractDialect, code: CInt) throws {
        let count = try sweep(dialect) { number, body in
            try FaultInjection.run(failing: number, with: .error(code), body) > 0
        }
        #expect(count > 20)
    }

    @Test(
        "no descriptor and no room from some call on changes no answer after the rename",
        arguments: ContractDialect.allCases,
        [ENOSPC, EMFILE]
    )
    func lasting(dialect: ContractDialect, code: CInt) throws {
        _ = try sweep(dialect) { number, body in
            try FaultInjection.run(failing: number, with: .error(code), isLasting: true, body) > 0
        }
    }

    @Test(
        "a statement of the ledger that fails after the rename changes no answer",
        arguments: ContractDialect.allCases
    )
    func statements(dialect: ContractDialect) throws {
        let count = try sweep(dialect) { number, body in try LedgerFaults.run(failing: number, with: 10, body) }
        #expect(count > 10)
    }

    @Test("of several plain files all are stored or none, or the answer names those that are")
    func forms() throws {
        for isLedger in [false, true] {
            for number in 0..<Self.callsMax {
                let server = try InProcessServer(.dcloud, ["FERMATA_HOOK": "/bin/true", "FERMATA_MANIFEST": "on"])
                let client = DCloudClient(site: server, path: "/m")
                var answer: HTTPConnection.Answer?
                let send = {
                    answer = try client.upload(
                        .file([1], fileName: "a"),
                        .file([2], fileName: "b"),
                        .file([3], fileName: "c")
                    )
                }
                let hasFired =
                    isLedger
                    ? try LedgerFaults.run(failing: number, with: 10, send)
                    : try FaultInjection.run(failing: number, with: .error(EIO), send) > 0
                let body = try #require(answer)
                let listed = (try body.json["files"] as? [String: Any])?.count ?? 0
                let names = try FileManager.default.contentsOfDirectory(atPath: server.files.path)
                let stored = names.filter { ["a", "b", "c"].contains($0) }
                let note: Comment = "\(isLedger), call \(number): \(body.body), \(names)"
                #expect(stored.count == listed, note)
                #expect((body.status == 200) == (stored.count == 3), note)
                _ = try server.engine.sweep()
                while try server.engine.deliverNext() != nil {}
                let events = try server.engine.events()
                #expect(events.filter { $0.program == "/bin/true" }.count == listed, note)
                let all = try FileManager.default.contentsOfDirectory(atPath: server.files.path)
                #expect(all.filter { $0.hasSuffix(".json") }.count == listed, note)
                #expect(try server.staged().isEmpty || hasFired, note)
                if !hasFired { break }
            }
        }
    }
}
#endif
