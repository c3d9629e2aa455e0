/// The value of a structured header field: a first token and parameters behind semicolons, read as leniently as clients
/// write them (dialects.md 0.4).
///
/// Inside quotes only `\"` and `\\` are escapes, as others are Windows paths; a quote that is not followed by optional
/// white space and `;` or the end is a character of the value, as some clients do not escape. Of a parameter that is
/// given twice the last counts.
struct HeaderParameters {
    /// What stands before the first semicolon, lower case.
    let token: String
    private var values: [(name: ArraySlice<UInt8>, value: [UInt8])] = []

    /// The raw value of a parameter, unquoted; names are case-insensitive and given in lower case.
    subscript(name: String) -> [UInt8]? { values.last { $0.name.isSame(asLowercase: name) }?.value }

    init(_ field: [UInt8]) {
        var rest = field[...]
        token = clientText(Self.take(&rest, until: UInt8(ascii: ";")).trimmingWhiteSpace()).lowercased()
        while !rest.isEmpty {
            let name = Self.take(&rest, until: UInt8(ascii: "="), orBefore: UInt8(ascii: ";")).trimmingWhiteSpace()
            if rest.first == UInt8(ascii: ";") {
                rest.removeFirst()
                continue
            }
            while let first = rest.first, first.isWhiteSpace { rest.removeFirst() }
            let value =
                rest.first == UInt8(ascii: "\"")
                ? Self.takeQuoted(&rest) : Array(Self.take(&rest, until: UInt8(ascii: ";")).trimmingWhiteSpace())
            values.append((name, value))
        }
    }

    /// Takes bytes up to a separator, which is dropped; stops before `barrier`, which is left.
    private static func take(
        _ rest: inout ArraySlice<UInt8>,
        until separator: UInt8,
        orBefore barrier: UInt8? = nil
    ) -> ArraySlice<UInt8> {
        let end = rest.firstIndex { $0 == separator || $0 == barrier } ?? rest.endIndex
        let taken = rest[..<end]
        rest = rest[end...]
        if rest.first == separator { rest.removeFirst() }
        return taken
    }

    private static func takeQuoted(_ rest: inout ArraySlice<UInt8>) -> [UInt8] {
        rest.removeFirst()
        var value: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\\"):
                if let next = rest.first, next == UInt8(ascii: "\"") || next == UInt8(ascii: "\\") {
                    value.append(next)
                    rest.removeFirst()
                } else {
                    value.append(byte)
                }
            case UInt8(ascii: "\""):
                let after = rest.drop { $0.isWhiteSpace }
                if after.isEmpty || after.first == UInt8(ascii: ";") {
                    rest = after.dropFirst()
                    return value
                }
                value.append(byte)
            default:
                value.append(byte)
            }
        }
        return value
    }
}
