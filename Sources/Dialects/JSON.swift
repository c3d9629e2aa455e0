import MultipartForm

/// A JSON value whose members keep their order, as the dialects prescribe one (docs/dialects/README.md 0.2);
/// Foundation's encoder does not keep it.
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
    var encoded: [UInt8] { encoded(asHTML: false) }

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

extension JSON {
    /// The last member of a name; `nil` when there is none, or this is no object.
    subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.0 == name }?.1
    }

    /// The text of a string.
    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// An integer of 0 ... 2^63-1, which may be sent as a decimal string (docs/dialects/README.md 0.3).
    var natural: Int64? {
        switch self {
        case .integer(let number): number >= 0 ? number : nil
        case .string(let text): IntegerField.parse(text)
        case .number, .boolean, .null, .array, .object: nil
        }
    }

    /// A scalar as a form would have it.
    package var fieldValue: String? {
        switch self {
        case .string(let text), .number(let text): text
        case .integer(let number): String(number)
        case .boolean(let flag): flag ? "true" : "false"
        case .null, .array, .object: nil
        }
    }
}

extension JSON: Equatable {
    /// Objects are equal when they have the same members, in whatever order.
    package static func == (one: JSON, other: JSON) -> Bool {
        switch (one, other) {
        case (.string(let one), .string(let other)): one == other
        case (.integer(let one), .integer(let other)): one == other
        case (.number(let one), .number(let other)): one == other
        case (.boolean(let one), .boolean(let other)): one == other
        case (.null, .null): true
        case (.array(let one), .array(let other)): one == other
        case (.object(let one), .object(let other)):
            one.count == other.count
                && Dictionary(one, uniquingKeysWith: { $1 }) == Dictionary(other, uniquingKeysWith: { $1 })
        case (_, _): false
        }
    }
}
