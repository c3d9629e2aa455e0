/// A JSON value whose members keep their order, as the dialects prescribe one (docs/dialects/README.md 0.2), and names that
/// differ in their bytes; Foundation's encoder keeps neither.
package enum JSON {
    case string(String)
    case integer(Int64)
    /// A number that is no integer of 64 bits, in the spelling that it was read in.
    case number(String)
    case boolean(Bool)
    case null
    case array([JSON])
    case object([(String, JSON)])

    /// The value as strict JSON in UTF-8 (RFC 8259). `<` and `>` are escaped, so that no browser takes it for HTML.
    package var encoded: [UInt8] { encoded(asHTML: false) }

    /// - Parameter asHTML: whether `&` is escaped too, as in a text that is sent as HTML to a hidden frame.
    package func encoded(asHTML: Bool) -> [UInt8] {
        var bytes: [UInt8] = []
        write(to: &bytes, asHTML: asHTML)
        return bytes
    }

    private func write(to bytes: inout [UInt8], asHTML: Bool) {
        switch self {
        case .string(let text): Self.write(text, to: &bytes, asHTML: asHTML)
        case .integer(let number): bytes += String(number).utf8
        case .number(let text): bytes += text.utf8
        case .null: bytes += "null".utf8
        case .boolean(let flag): bytes += (flag ? "true" : "false").utf8
        case .array(let elements):
            bytes.append(UInt8(ascii: "["))
            for (index, element) in elements.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                element.write(to: &bytes, asHTML: asHTML)
            }
            bytes.append(UInt8(ascii: "]"))
        case .object(let members):
            bytes.append(UInt8(ascii: "{"))
            for (index, (name, value)) in members.enumerated() {
                if index > 0 { bytes.append(UInt8(ascii: ",")) }
                Self.write(name, to: &bytes, asHTML: asHTML)
                bytes.append(UInt8(ascii: ":"))
                value.write(to: &bytes, asHTML: asHTML)
            }
            bytes.append(UInt8(ascii: "}"))
        }
    }

    private static func write(_ text: String, to bytes: inout [UInt8], asHTML: Bool) {
        bytes.append(UInt8(ascii: "\""))
        if text.utf8.contains(where: { isEscaped($0, asHTML: asHTML) }) {
            for byte in text.utf8 { write(byte, to: &bytes, asHTML: asHTML) }
        } else {
            bytes += text.utf8
        }
        bytes.append(UInt8(ascii: "\""))
    }

    private static func isEscaped(_ byte: UInt8, asHTML: Bool) -> Bool {
        switch byte {
        case 0..<0x20, 0x7F, UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "<"), UInt8(ascii: ">"): true
        case UInt8(ascii: "&"): asHTML
        default: false
        }
    }

    private static func write(_ byte: UInt8, to bytes: inout [UInt8], asHTML: Bool) {
        switch byte {
        case UInt8(ascii: "\""): bytes += "\\\"".utf8
        case UInt8(ascii: "\\"): bytes += "\\\\".utf8
        case _ where isEscaped(byte, asHTML: asHTML):
            let digits = String(byte, radix: 16)
            bytes += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
        default: bytes.append(byte)
        }
    }
}

extension JSON: Equatable {
    /// Objects are equal when they have the same members, in whatever order.
    package static func == (one: JSON, other: JSON) -> Bool {
        switch (one, other) {
        case (.string(let one), .string(let other)): one.isSame(as: other)
        case (.integer(let one), .integer(let other)): one == other
        case (.number(let one), .number(let other)): one == other
        case (.boolean(let one), .boolean(let other)): one == other
        case (.null, .null): true
        case (.array(let one), .array(let other)): one == other
        case (.object(let one), .object(let other)):
            one.count == other.count
                && byName(one) == byName(other)
        case (_, _): false
        }
    }

    private static func byName(_ members: [(String, JSON)]) -> [ByBytes: JSON] {
        Dictionary(members.map { (ByBytes($0.0), $0.1) }) { $1 }
    }
}

extension JSON {
    /// Data fields as an object of name and value; a field of several values has them in an array.
    package static func fields(_ fields: [FormField]) -> JSON {
        .object(
            fields.valuesByName().map { name, values in
                (name, values.count == 1 ? .string(values[0]) : .array(values.map { .string($0) }))
            }
        )
    }
}
