import ArgumentParser
import Engine
import Foundation
import Ledger
import Metrics

/// The directory that all commands on one service share.
struct StateDirectory: ParsableArguments {
    /// How long a file that is published by a command, or at the start of `serve`, answers its client, in seconds.
    static let tombstoneSeconds = Engine.tombstoneSeconds

    @Option(help: ArgumentHelp("Directory for the ledger, and for finished files in STATE/files.", valueName: "dir"))
    var state: String

    /// Opens the ledger, which names principals and so is for this user alone.
    ///
    /// - Parameters:
    ///   - meters: counts the times of what the engine does.
    ///   - programs: those that may be run.
    ///   - notice: is told of what failed after a file had got its name.
    func openEngine(
        meters: Meters = Meters(),
        programs: Set<String> = [],
        notice: @escaping @Sendable (Postponement) -> Void = { _ in }
    ) throws -> Engine {
        let mask = umask(0o077)
        defer { umask(mask) }
        do {
            let path = URL(fileURLWithPath: state).resolvingSymlinksInPath().path
            let ledger = try SQLiteLedger(stateDirectory: path, meters: meters)
            return Engine(ledger: ledger, meters: meters, programs: programs, notice: notice, now: { Int64(time(nil)) })
        } catch {
            throw ValidationError("--state \(state): the ledger can not be opened: \(error)")
        }
    }

    /// The same, where there is a ledger already.
    func openExistingEngine(programs: Set<String> = []) throws -> Engine {
        guard FileManager.default.fileExists(atPath: state + "/" + SQLiteLedger.fileName) else {
            throw ValidationError("--state \(state): there is no ledger; give the directory that serve was given")
        }
        return try openEngine(programs: programs)
    }
}
