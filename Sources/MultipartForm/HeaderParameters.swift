/// The value of a structured header field: a first token and parameters behind semicolons, read as leniently as clients
/// write them (docs/dialects/README.md 0.4).
///
/// Inside quotes only `\"` and `\\` are escapes, as others are Windows paths; a quote that is not followed by optional
/// white space and `;` or the end is a character of the value, as some clients do not escape. Of a parameter that is
/// given twice the last counts.
struct HeaderParameters {
    /// What stands before the first semicolon, lower case.
    let token: String
    private let bytes: [UInt8]
    private var parameters: [Parameter] = []

    /// Where a parameter stands.
    private struct Parameter {
        let name: Range<Int>
        /// The value, without the quotes around it.
        let value: Range<Int>
        let hasEscapes: Bool
    }

    /// The raw value of a parameter, unquoted; names are case-insensitive and given in lower case.
    subscript(name: String) -> ArraySlice<UInt8>? {
        guard let parameter = parameters.last(where: { bytes.isSame($0.name, asLowercase: name) }) else { return nil }
        let value = bytes[parameter.value]
        return parameter.hasEscapes ? Self.unescaping(value) : value
    }

    /// The parameters of a field whose value is a range of these bytes; all of them by default.
    init(_ bytes: [UInt8], in range: Range<Int>? = nil) {
        let range = range ?? bytes.indices
        self.bytes = bytes
        var scanner = Scanner(bytes: bytes, index: range.lowerBound, end: range.upperBound)
        let token = bytes.trimmingWhiteSpace(scanner.take { $0 == UInt8(ascii: ";") })
        self.token = clientText(bytes[token]).lowercased()
        scanner.skip()
        while !scanner.isAtEnd {
            let name = bytes.trimmingWhiteSpace(scanner.take { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ";") })
            let hasValue = scanner.isAt(UInt8(ascii: "="))
            scanner.skip()
            guard hasValue else { continue }
            _ = scanner.take { !$0.isWhiteSpace }
            let parameter: Parameter
            if scanner.isAt(UInt8(ascii: "\"")) {
                let (value, hasEscapes) = scanner.takeQuoted()
                parameter = Parameter(name: name, value: value, hasEscapes: hasEscapes)
            } else {
                let value = bytes.trimmingWhiteSpace(scanner.take { $0 == UInt8(ascii: ";") })
                scanner.skip()
                parameter = Parameter(name: name, value: value, hasEscapes: false)
            }
            parameters.append(parameter)
        }
    }

    /// The bytes without the backslash of each `\"` and `\\`.
    private static func unescaping(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var unescaped: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), let next = rest.first, next.isEscapable {
                unescaped.append(next)
                rest.removeFirst()
            } else {
                unescaped.append(byte)
            }
        }
        return unescaped[...]
    }
}

/// Goes through a field.
private struct Scanner {
    let bytes: [UInt8]
    var index: Int
    let end: Int

    var isAtEnd: Bool { index == end }

    func isAt(_ byte: UInt8) -> Bool { index < end && bytes[index] == byte }

    /// Goes on by a byte, if there is one.
    mutating func skip() { if index < end { index += 1 } }

    /// Goes on to a byte that is wanted, or to the end; what stands before it.
    mutating func take(until isWanted: (UInt8) -> Bool) -> Range<Int> {
        let start = index
        while index < end, !isWanted(bytes[index]) { index += 1 }
        return start..<index
    }

    /// Goes on from a quote to behind the `;` after its end; what stands in the quotes, and whether that has escapes.
    mutating func takeQuoted() -> (value: Range<Int>, hasEscapes: Bool) {
        skip()
        let start = index
        var hasEscapes = false
        while index < end {
            switch bytes[index] {
            case UInt8(ascii: "\\") where index + 1 < end && bytes[index + 1].isEscapable:
                hasEscapes = true
                index += 2
            case UInt8(ascii: "\""):
                let quote = index
                index += 1
                _ = take { !$0.isWhiteSpace }
                if isAtEnd || isAt(UInt8(ascii: ";")) {
                    skip()
                    return (start..<quote, hasEscapes)
                }
                index = quote + 1
            default: index += 1
            }
        }
        return (start..<end, hasEscapes)
    }
}

extension UInt8 {
    /// Whether a backslash before it is an escape.
    fileprivate var isEscapable: Bool { self == UInt8(ascii: "\"") || self == UInt8(ascii: "\\") }
}
