import GRDB
import GRDBSQLite

// How statements are run. GRDB prepares them, once a connection, and says what their errors are; what a request does
// dozens of times, to bind and to read values, goes straight to SQLite.

/// What a statement takes or a column gives.
protocol ColumnValue {
    /// Gives the value to a parameter, counted from 1; the result code of SQLite.
    func bind(to statement: SQLiteStatement, at index: CInt) -> CInt
    /// The value of a column, counted from 0.
    init(_ statement: SQLiteStatement, column: CInt)
}

extension Int64: ColumnValue {
    func bind(to statement: SQLiteStatement, at index: CInt) -> CInt {
        unsafe sqlite3_bind_int64(statement, index, self)
    }
    init(_ statement: SQLiteStatement, column: CInt) { self = unsafe sqlite3_column_int64(statement, column) }
}

extension Int: ColumnValue {
    func bind(to statement: SQLiteStatement, at index: CInt) -> CInt {
        unsafe Int64(self).bind(to: statement, at: index)
    }
    init(_ statement: SQLiteStatement, column: CInt) { self = unsafe Int(Int64(statement, column: column)) }
}

extension Bool: ColumnValue {
    func bind(to statement: SQLiteStatement, at index: CInt) -> CInt {
        unsafe Int64(self ? 1 : 0).bind(to: statement, at: index)
    }
    init(_ statement: SQLiteStatement, column: CInt) { self = unsafe Int64(statement, column: column) != 0 }
}

extension String: ColumnValue {
    func bind(to statement: SQLiteStatement, at index: CInt) -> CInt {
        var text = self
        return text.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) { characters in
                unsafe sqlite3_bind_text(statement, index, characters.baseAddress, CInt(characters.count), copying)
            }
        }
    }

    init(_ statement: SQLiteStatement, column: CInt) {
        let count = unsafe Int(sqlite3_column_bytes(statement, column))
        let bytes = unsafe UnsafeBufferPointer(start: sqlite3_column_text(statement, column), count: count)
        self = unsafe String(decoding: bytes, as: UTF8.self)
    }
}

extension [UInt8]: ColumnValue {
    func bind(to statement: SQLiteStatement, at index: CInt) -> CInt {
        unsafe withUnsafeBytes { unsafe sqlite3_bind_blob(statement, index, $0.baseAddress, CInt($0.count), copying) }
    }

    init(_ statement: SQLiteStatement, column: CInt) {
        let start = unsafe sqlite3_column_blob(statement, column)
        self = unsafe Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(statement, column))))
    }
}

extension Optional: ColumnValue where Wrapped: ColumnValue {
    func bind(to statement: SQLiteStatement, at index: CInt) -> CInt {
        switch self {
        case .some(let value): unsafe value.bind(to: statement, at: index)
        case .none: unsafe sqlite3_bind_null(statement, index)
        }
    }

    init(_ statement: SQLiteStatement, column: CInt) {
        let isNull = unsafe sqlite3_column_type(statement, column) == SQLITE_NULL
        self = unsafe isNull ? nil : Wrapped(statement, column: column)
    }
}

/// SQLITE_TRANSIENT: SQLite copies the value at once.
private var copying: sqlite3_destructor_type { unsafe unsafeBitCast(-1, to: sqlite3_destructor_type.self) }

/// The row that a statement stands on; of use only until it goes on.
@safe
struct Columns {
    fileprivate let statement: SQLiteStatement

    /// The value of a column, counted from 0.
    subscript<Value: ColumnValue>(index: Int) -> Value { unsafe Value(statement, column: CInt(index)) }
}

extension Database {
    /// Runs a statement that is prepared once a connection.
    func run(_ sql: String, _ arguments: [any ColumnValue] = []) throws {
        try checkFaults()
        try step(sql, arguments) { _ in }
    }

    /// What is made of each row of a statement that is prepared once a connection.
    func rows<Value>(
        _ sql: String,
        _ arguments: [any ColumnValue] = [],
        _ make: (Columns) throws -> Value
    ) throws -> [Value] {
        try checkFaults()
        var values: [Value] = []
        try step(sql, arguments) { values.append(try make($0)) }
        return values
    }

    /// What is made of the first row of a statement that is prepared once a connection.
    func row<Value>(
        _ sql: String,
        _ arguments: [any ColumnValue] = [],
        _ make: (Columns) throws -> Value
    ) throws -> Value? {
        try checkFaults()
        var value: Value?
        try step(sql, arguments) { columns in
            if value == nil { value = try make(columns) }
        }
        return value
    }

    /// Fails where a test wants it.
    func checkFaults() throws {
        #if DEBUG
        try LedgerFaults.check()
        #endif
    }

    /// One transaction that changes nothing.
    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        try run("BEGIN")
        // Nothing was written that could fail to be committed.
        defer { rollBack() }
        return try body(self)
    }

    /// Gives up a transaction, if there is one.
    func rollBack() {
        // SQLite may have done it already, because of the error that led here; closing the connection does it in any case.
        if isInsideTransaction { try? step("ROLLBACK", []) { _ in } }
    }

    /// Runs a statement, row by row.
    private func step(_ sql: String, _ arguments: [any ColumnValue], _ next: (Columns) throws -> Void) throws {
        let statement = unsafe try cachedStatement(sql: sql).sqliteStatement
        // The result is that of the last step, which has been looked at.
        defer { _ = unsafe sqlite3_reset(statement) }
        var index: CInt = 1
        for argument in arguments {
            try require(unsafe argument.bind(to: statement, at: index), SQLITE_OK, sql)
            index += 1
        }
        while true {
            let code = unsafe sqlite3_step(statement)
            if code == SQLITE_DONE { return }
            try require(code, SQLITE_ROW, sql)
            try next(unsafe Columns(statement: statement))
        }
    }

    private func require(_ code: CInt, _ expected: CInt, _ sql: String) throws {
        if code == expected { return }
        let message = unsafe sqlite3_errmsg(sqliteConnection).map { unsafe String(cString: $0) }
        throw DatabaseError(resultCode: ResultCode(rawValue: code), message: message, sql: sql)
    }
}
