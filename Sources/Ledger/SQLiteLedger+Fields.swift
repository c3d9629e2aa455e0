import GRDB
import Uploads

// The data fields of sessions: all values of each, those of one name numbered in their order.

extension Database {
    /// The data fields of a session, with all values of each.
    func fields(of session: Int64) throws -> [FormField] {
        try rows("SELECT name, value FROM field WHERE session = ? ORDER BY id", [session]) {
            FormField(name: $0[0], value: $0[1])
        }
    }

    /// The names of the data fields of a session, each once.
    func fieldNames(of session: Int64) throws -> [String] {
        try rows("SELECT name FROM field WHERE session = ? AND number = 0 ORDER BY id", [session]) { $0[0] }
    }

    /// Stores data fields in a session, in the place of all values that their names have.
    ///
    /// Clients send the same fields with each segment, so what is there already is not written again.
    ///
    /// - Parameter limits: how much all fields of the session may come to; `nil` for those that a dialect has bounded.
    func store(_ fields: [FormField], in session: Int64, limits: FieldLimits?) throws {
        if fields.isEmpty { return }
        let known = try self.fields(of: session)
        try limits?.check(known.replacing(with: fields))
        let before = Dictionary(known.valuesByName().map { (ByBytes($0.name), $0.values) }) { $1 }
        var counts: [ByBytes: Int] = [:]
        for field in fields {
            let (old, number) = (before[ByBytes(field.name)] ?? [], counts[ByBytes(field.name)] ?? 0)
            counts[ByBytes(field.name)] = number + 1
            if number < old.count, old[number].isSame(as: field.value) { continue }
            try run(
                """
                INSERT INTO field (session, name, number, value) VALUES (?, ?, ?, ?)
                ON CONFLICT (session, name, number) DO UPDATE SET value = excluded.value
                """,
                [session, field.name, number, field.value]
            )
        }
        for (name, count) in counts where before[name]?.count ?? 0 > count {
            try run(
                "DELETE FROM field WHERE session = ? AND name = ? AND number >= ?",
                [session, name.wrappedValue, count]
            )
        }
    }
}

/// How much the data fields of a session may come to.
public struct FieldLimits: Hashable, Sendable {
    let bytesMax: Int
    let valuesMax: Int

    /// - Parameters:
    ///   - bytesMax: how many bytes names and values may have together.
    ///   - valuesMax: how many values there may be.
    public init(bytesMax: Int, valuesMax: Int) {
        self.bytesMax = bytesMax
        self.valuesMax = valuesMax
    }

    /// Refuses fields that are more.
    fileprivate func check(_ fields: [FormField]) throws(UploadError) {
        guard fields.count <= valuesMax else { throw .tooManyFields(max: valuesMax) }
        let bytes = fields.reduce(0) { $0 + $1.name.utf8.count + $1.value.utf8.count }
        guard bytes <= bytesMax else { throw .fieldsTooLarge(bytesMax: bytesMax) }
    }
}
