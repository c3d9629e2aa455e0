import GRDB
import Glibc
import SystemPackage
import Uploads

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

    /// Opens, or makes, the ledger of a state directory.
    public init(stateDirectory: String) throws {
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
        try Schema.migrator.migrate(pool)
    }

    func read<Value>(_ operation: String, _ body: (Database) throws -> Value) throws(UploadError) -> Value {
        do { return try pool.read(body) } catch { throw Self.uploadError(operation, error) }
    }

    /// One transaction. With `durable`, it is on disk when the call returns.
    func write<Value>(
        _ operation: String,
        durable: Bool = false,
        _ body: (Database) throws -> Value
    ) throws(UploadError) -> Value {
        do {
            return try pool.writeWithoutTransaction { db in
                var value: Value?
                if durable { try db.execute(sql: "PRAGMA synchronous=FULL") }
                defer {
                    if durable {
                        // Leaving FULL on would cost speed, never safety.
                        do { try db.execute(sql: "PRAGMA synchronous=NORMAL") } catch { assertionFailure("\(error)") }
                    }
                }
                try db.inTransaction(.immediate) {
                    value = try body(db)
                    try db.checkFaults()
                    return .commit
                }
                guard let value else { preconditionFailure("a transaction that returned has run its body") }
                return value
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

extension Database {
    /// Runs a statement that is prepared once a connection.
    func run(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws {
        try checkFaults()
        try cachedStatement(sql: sql).execute(arguments: arguments)
    }

    /// The rows of a statement that is prepared once a connection.
    func rows(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws -> [Row] {
        try checkFaults()
        return try Row.fetchAll(try cachedStatement(sql: sql), arguments: arguments)
    }

    /// The first row of a statement that is prepared once a connection.
    func row(_ sql: String, _ arguments: StatementArguments = StatementArguments()) throws -> Row? {
        try checkFaults()
        return try Row.fetchOne(try cachedStatement(sql: sql), arguments: arguments)
    }

    /// Fails where a test wants it.
    func checkFaults() throws {
        #if DEBUG
        try LedgerFaults.check()
        #endif
    }
}
