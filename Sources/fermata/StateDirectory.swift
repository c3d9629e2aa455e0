import ArgumentParser
import Engine
import Foundation
import Ledger
import Metrics

/// The directory that all commands on one service share.
struct StateDirectory: ParsableArguments {
    /// How long a file that is published by a command, or at the start of `serve`, answers its client, in seconds; its
    /// mount is not known then, so it is as long as any dialect needs.
    static let tombstoneSeconds: Int64 = 24 * 3600

    @Option(help: ArgumentHelp("Directory for the ledger, and for finished files in STATE/files.", valueName: "dir"))
    var state: String

    /// Opens the ledger, which names principals and so is for this user alone.
    ///
    /// - Parameter meters: counts the times of what the engine does.
    func openEngine(meters: Meters = Meters()) throws -> Engine {
        let mask = umask(0o077)
        defer { umask(mask) }
        do {
            let ledger = try SQLiteLedger(stateDirectory: state, meters: meters)
            return Engine(ledger: ledger, meters: meters, now: { Int64(time(nil)) })
        } catch {
            throw ValidationError("--state \(state): the ledger can not be opened: \(error)")
        }
    }

    /// The same, where there is a ledger already.
    func openExistingEngine() throws -> Engine {
        guard FileManager.default.fileExists(atPath: state + "/" + SQLiteLedger.fileName) else {
            throw ValidationError("--state \(state): there is no ledger; give the directory that serve was given")
        }
        return try openEngine()
    }
}
