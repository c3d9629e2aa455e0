#if DEBUG
import Foundation
import Ledger
import Staging
import Testing

/// Every n-th system call and every n-th statement of each dialect's whole conversation goes wrong, once.
///
/// Each run ends in success or in an error of the dialect, and the client that then simply does what it would do after any
/// error gets its file, with the right bytes.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct FaultTests {
    /// How many calls of a conversation are tried at most; every one has fewer.
    private static let callsMax = 2000

    /// One upload from begin to finish, as far as it goes; the answers that were no success.
    private func talk(_ conversation: any Conversation) throws -> [HTTPConnection.Answer] {
        var failures: [HTTPConnection.Answer] = []
        let begun = try conversation.begin()
        guard begun.status == 200 else { return [begun] }
        for index in conversation.pieces.indices {
            let answer = try conversation.send(index)
            if answer.status != 200 { failures.append(answer) }
        }
        let finished = try conversation.finish()
        if finished.status != 200 { failures.append(finished) }
        return failures
    }

    /// Goes on until the upload is done, as a client does: what is not acknowledged is sent again.
    private func retry(_ conversation: any Conversation, _ note: Comment) throws {
        // An upload whose begin was refused has no identifier yet.
        if try conversation.acknowledged() == nil { #expect(try conversation.begin().status == 200, note) }
        // All that was acknowledged may be waiting for its completion only.
        let isAcknowledged = try conversation.acknowledged() == ContractDialect.content.count
        for index in conversation.pieces.indices where !isAcknowledged {
            let answer = try conversation.send(index)
            #expect(
                answer.status == 200 || answer.body.contains("Invalid offset") || isFinished(conversation),
                "\(note): \(answer.body)"
            )
        }
        let finished = try conversation.finish()
        #expect(finished.status == 200, "\(note): \(finished.body)")
    }

    private func isFinished(_ conversation: any Conversation) -> Bool {
        let path = conversation.server.files.appending(path: conversation.publishedPath).path
        return FileManager.default.contents(atPath: path) == ContractDialect.content
    }

    /// Breaks call after call until none is left to break; how many were.
    private func sweep(
        _ dialect: ContractDialect,
        _ name: String,
        allowed: Set<Int>,
        fault: (Int, () throws -> Void) throws -> Bool
    ) throws -> Int {
        for number in 0..<Self.callsMax {
            let server = try InProcessServer(dialect)
            let conversation = dialect.conversation(server)
            var failures: [HTTPConnection.Answer] = []
            let hasFired = try fault(number) { failures = try talk(conversation) }
            let note: Comment = "\(dialect.rawValue), \(name), call \(number): \(failures.map(\.body))"
            for failure in failures {
                #expect(allowed.contains(failure.status), "\(note): \(failure.body)")
                #expect(!failure.body.contains("injected"), note)
            }
            #expect(hasFired || failures.isEmpty, note)
            try retry(conversation, note)
            #expect(isFinished(conversation), note)
            // Exactly one file, however often it was tried, but for those that never replace one.
            let files = try FileManager.default.subpathsOfDirectory(atPath: server.files.path)
                .filter { $0.hasSuffix(".bin") }
            #expect(
                files.allSatisfy { name in
                    FileManager.default.contents(atPath: server.files.path + "/" + name) == ContractDialect.content
                },
                "\(note): \(files)"
            )
            Tally.bytesCompared.add(files.count * ContractDialect.content.count)
            guard hasFired else {
                Tally.tell()
                return number
            }
            Tally.faultsInjected.add()
        }
        Issue.record("a conversation has more than \(Self.callsMax) calls")
        return Self.callsMax
    }

    /// The statuses that may follow the failure of a call: those of storage, and those of what it made impossible.
    private let statuses: Set<Int> = [400, 404, 409, 422, 500, 503, 507]

    @Test(
        "every system call fails once, in each way that it can",
        arguments: ContractDialect.allCases,
        [ENOSPC, EIO, EDQUOT, EMFILE]
    )
    func systemCalls(dialect: ContractDialect, code: CInt) throws {
        let count = try sweep(dialect, "errno \(code)", allowed: statuses) { number, body in
            try FaultInjection.run(failing: number, with: .error(code), body) > 0
        }
        #expect(count > 30)
    }

    @Test(
        "every system call is interrupted once, or does less than it was asked to: nobody notices",
        arguments: ContractDialect.allCases
    )
    func harmless(dialect: ContractDialect) throws {
        for fault in [FaultInjection.Fault.error(EINTR), .short] {
            _ = try sweep(dialect, "\(fault)", allowed: []) { number, body in
                try FaultInjection.run(failing: number, with: fault, body) > 0
            }
        }
    }

    @Test(
        "a disk that is full from some call on is told as full, and uploads go on afterwards",
        arguments: ContractDialect.allCases
    )
    func lasting(dialect: ContractDialect) throws {
        _ = try sweep(dialect, "full from there on", allowed: statuses) { number, body in
            try FaultInjection.run(failing: number, with: .error(ENOSPC), isLasting: true, body) > 0
        }
    }

    /// SQLITE_BUSY, SQLITE_FULL, SQLITE_IOERR (sqlite3.h).
    @Test("every statement of the ledger fails once", arguments: ContractDialect.allCases, [5, 13, 10] as [CInt])
    func statements(dialect: ContractDialect, code: CInt) throws {
        let count = try sweep(dialect, "SQLite \(code)", allowed: statuses) { number, body in
            try LedgerFaults.run(failing: number, with: code, body)
        }
        #expect(count > 30)
    }
}
#endif
