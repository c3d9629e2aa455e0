import GRDB
import Glibc
public import Metrics
import SystemPackage
import Uploads

/// The ledger was made by a newer version: this one does not know what it means, and leaves it as it is.
public struct NewerLedger: Error, CustomStringConvertible {
    public var description: String { "it was made by a newer version of Fermata; install that one again" }
}

/// The ledger in an SQLite database in WAL mode, which several processes may have open.
///
/// A commit is written without a sync, as the checksums of its segments tell what a power cut has spared; what must be
/// on disk before the next step (publishing, `Durability.segment`) is committed with `synchronous=FULL`.
public struct SQLiteLedger: Ledger {
    /// How long a transaction waits for one of another process, in seconds.
    public static let busySecondsMax: Double = 10
    /// The name of the database in the state directory.
    public static let fileName = "ledger.sqlite"

    let pool: DatabasePool
    public let identity: LedgerIdentity
    /// Whether there were sessions of an older version when the ledger was opened; nobody makes such any more.
    let hasFormerSessions: Bool
    private let meters: Meters

    /// Opens, or makes, the ledger of a state directory.
    ///
    /// - Parameter meters: counts the times of transactions.
    public init(stateDirectory: String, meters: Meters = Meters()) throws {
        self.meters = meters
        var configuration = Configuration()
        configuration.busyMode = .timeout(Self.busySecondsMax)
        configuration.label = "fermata-ledger"
        configuration.maximumReaderCount = 8
        // Of processes that start at once on a new directory, one makes the ledger while the others wait: a switch to WAL
        // fails at once when another is making it, and a migration that two begin fails for the second.
        let directory = try FileDescriptor.open(
            FilePath(stateDirectory),
            .readOnly,
            options: [.directory, .closeOnExec]
        )
        defer {
            // With its descriptor the lock goes.
            try? directory.close()
        }
        guard flock(directory.rawValue, LOCK_EX) == 0 else { throw Errno(rawValue: errno) }
        pool = try DatabasePool(path: stateDirectory + "/" + Self.fileName, configuration: configuration)
        let migrator = Schema.migrator
        if try pool.read(migrator.hasBeenSuperseded) { throw NewerLedger() }
        try migrator.migrate(pool)
        (identity, hasFormerSessions) = try pool.read { db in
            guard let id = try String.fetchOne(db, sql: "SELECT ledger FROM identity") else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the ledger has no identity")
            }
            let former = try Int.fetchOne(db, sql: "SELECT 1 FROM session WHERE isFormer = 1 LIMIT 1")
            return (LedgerIdentity(id: id, state: stateDirectory), former != nil)
        }
    }

    /// One transaction that sees the same state throughout, beside those that write.
    func read<Value>(_ operation: String, _ body: (Database) throws -> Value) throws(UploadError) -> Value {
        do { return try pool.unsafeRead { try $0.read(body) } } catch { throw Self.uploadError(operation, error) }
    }

    /// One statement, which needs no transaction, on the connection that writes, which has at hand what it wrote: for what
    /// every segment asks.
    func lookUp<Value>(_ operation: String, _ body: (Database) throws -> Value) throws(UploadError) -> Value {
        do { return try pool.writeWithoutTransaction(body) } catch { throw Self.uploadError(operation, error) }
    }

    /// One transaction on the connection that writes.
    func readAtHand<Value>(_ operation: String, _ body: (Database) throws -> Value) throws(UploadError) -> Value {
        do { return try pool.writeWithoutTransaction { try $0.read(body) } } catch {
            throw Self.uploadError(operation, error)
        }
    }

    /// One transaction. With `durable`, it is on disk when the call returns.
    func write<Value>(
        _ operation: String,
        durable: Bool = false,
        _ body: (Database) throws -> Value
    ) throws(UploadError) -> Value {
        do {
            let start = ContinuousClock.now
            defer { meters.count(.ledger, since: start) }
            return try pool.writeWithoutTransaction { db in
                if durable { try db.execute(sql: "PRAGMA synchronous=FULL") }
                defer {
                    if durable {
                        // Leaving FULL on would cost speed, never safety.
                        try? db.execute(sql: "PRAGMA synchronous=NORMAL")
                    }
                }
                do {
                    try db.run("BEGIN IMMEDIATE")
                    let value = try body(db)
                    try db.run("COMMIT")
                    return value
                } catch {
                    db.rollBack()
                    throw error
                }
            }
        } catch {
            throw Self.uploadError(operation, error)
        }
    }

    private static func uploadError(_ operation: String, _ error: any Error) -> UploadError {
        if let error = error as? UploadError { return error }
        let failure = StorageFailure(operation: "ledger: " + operation, reason: "\(error)")
        if let error = error as? DatabaseError, error.resultCode == .SQLITE_FULL { return .noSpace(failure) }
        return .storage(failure)
    }
}
