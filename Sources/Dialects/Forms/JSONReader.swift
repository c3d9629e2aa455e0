package import Uploads

/// Reads JSON (RFC 8259), or the relaxed literal that some clients send in its place (docs/dialects/README.md 0.3).
///
/// The relaxed literal is JSON and, beyond it: keys that are bare names or decimal digits, strings in single quotes,
/// and a comma behind the last member. Of members with one name, all are kept in their order; the last counts.
package struct JSONReader {
    /// How deep arrays and objects may be nested.
    static let nestingMax = 16
    /// The largest document in bytes.
    static let bytesMax = 1 << 20

    /// What is read.
    package enum Syntax {
        case strict
        case relaxed
    }

    /// Why a text could not be read.
    package enum Failure: Error, Hashable, CustomStringConvertible {
        /// Something else stands at this byte, counted from 0, than may stand there.
        case syntax(offset: Int)
        /// Arrays and objects are nested too deeply.
        case tooDeep
        /// A byte order mark stands before it (RFC 8259 8.1).
        case byteOrderMark

        package var description: String {
            switch self {
            case .syntax(let offset): "it can not be read from byte \(offset) on"
            case .byteOrderMark: "it begins with a byte order mark, which JSON must not have"
            case .tooDeep: "it is nested more than \(JSONReader.nestingMax) deep"
            }
        }
    }

    private let bytes: [UInt8]
    private let syntax: Syntax
    private var offset = 0

    /// The one value that a text consists of.
    package static func read(_ bytes: [UInt8], _ syntax: Syntax = .strict) throws(Failure) -> JSON {
        guard !bytes.starts(with: [0xEF, 0xBB, 0xBF]) else { throw .byteOrderMark }
        var reader = JSONReader(bytes: bytes, syntax: syntax)
        let value = try reader.value(depth: 0)
        reader.skipSpace()
        guard reader.offset == bytes.count else { throw .syntax(offset: reader.offset) }
        return value
    }

    private init(bytes: [UInt8], syntax: Syntax) {
        self.bytes = bytes
        self.syntax = syntax
    }

    private var next: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private mutating func skipSpace() {
        while let byte = next, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { offset += 1 }
    }

    private mutating func take(_ byte: UInt8) -> Bool {
        guard next == byte else { return false }
        offset += 1
        return true
    }

    private mutating func value(depth: Int) throws(Failure) -> JSON {
        skipSpace()
        if next == UInt8(ascii: "{") || next == UInt8(ascii: "[") {
            guard depth < Self.nestingMax else { throw .tooDeep }
        }
        switch next {
        case UInt8(ascii: "{"): return .object(try members(depth: depth))
        case UInt8(ascii: "["): return .array(try elements(depth: depth))
        case UInt8(ascii: "\""): return .string(try string(UInt8(ascii: "\"")))
        case UInt8(ascii: "'") where syntax == .relaxed: return .string(try string(UInt8(ascii: "'")))
        case let byte? where byte.isDigit || byte == UInt8(ascii: "-"): return try number()
        default:
            for (word, value) in [("true", JSON.boolean(true)), ("false", .boolean(false)), ("null", .null)]
            where bytes[offset...].starts(with: word.utf8) {
                offset += word.utf8.count
                return value
            }
            throw .syntax(offset: offset)
        }
    }

    private mutating func elements(depth: Int) throws(Failure) -> [JSON] {
        offset += 1
        var elements: [JSON] = []
        skipSpace()
        if take(UInt8(ascii: "]")) { return elements }
        while true {
            elements.append(try value(depth: depth + 1))
            if try ends(with: UInt8(ascii: "]")) { return elements }
        }
    }

    private mutating func members(depth: Int) throws(Failure) -> [(String, JSON)] {
        offset += 1
        var members: [(String, JSON)] = []
        skipSpace()
        if take(UInt8(ascii: "}")) { return members }
        while true {
            skipSpace()
            let name = try key()
            skipSpace()
            guard take(UInt8(ascii: ":")) else { throw .syntax(offset: offset) }
            members.append((name, try value(depth: depth + 1)))
            if try ends(with: UInt8(ascii: "}")) { return members }
        }
    }

    /// Takes what follows an element: the closing bracket, or a comma, which a relaxed literal may have before it.
    private mutating func ends(with bracket: UInt8) throws(Failure) -> Bool {
        skipSpace()
        if take(bracket) { return true }
        guard take(UInt8(ascii: ",")) else { throw .syntax(offset: offset) }
        guard syntax == .relaxed else { return false }
        skipSpace()
        return take(bracket)
    }

    private mutating func key() throws(Failure) -> String {
        let start = offset
        switch next {
        case UInt8(ascii: "\""): return try string(UInt8(ascii: "\""))
        case UInt8(ascii: "'") where syntax == .relaxed: return try string(UInt8(ascii: "'"))
        case let byte? where syntax == .relaxed && byte.isDigit:
            while let byte = next, byte.isDigit { offset += 1 }
        case let byte? where syntax == .relaxed && byte.isNameStart:
            while let byte = next, byte.isNameStart || byte.isDigit { offset += 1 }
        default: throw .syntax(offset: offset)
        }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    private mutating func number() throws(Failure) -> JSON {
        let start = offset
        _ = take(UInt8(ascii: "-"))
        if !take(UInt8(ascii: "0")) { try digits() }
        var isInteger = true
        if take(UInt8(ascii: ".")) {
            isInteger = false
            try digits()
        }
        if take(UInt8(ascii: "e")) || take(UInt8(ascii: "E")) {
            isInteger = false
            if !take(UInt8(ascii: "+")) { _ = take(UInt8(ascii: "-")) }
            try digits()
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        if isInteger, let number = Int64(text) { return .integer(number) }
        return .number(text)
    }

    private mutating func digits() throws(Failure) {
        guard next?.isDigit == true else { throw .syntax(offset: offset) }
        while next?.isDigit == true { offset += 1 }
    }

    private mutating func string(_ quote: UInt8) throws(Failure) -> String {
        offset += 1
        let start = offset
        var text: [UInt8] = []
        while let byte = next {
            switch byte {
            case quote:
                offset += 1
                guard let string = String(validating: text, as: UTF8.self) else { throw .syntax(offset: start) }
                return string
            case UInt8(ascii: "\\"):
                offset += 1
                text += try escaped().utf8
            case 0..<0x20: throw .syntax(offset: offset)
            default:
                text.append(byte)
                offset += 1
            }
        }
        throw .syntax(offset: offset)
    }

    private mutating func escaped() throws(Failure) -> String {
        guard let byte = next else { throw .syntax(offset: offset) }
        offset += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return String(Unicode.Scalar(byte))
        case UInt8(ascii: "'") where syntax == .relaxed: return "'"
        case UInt8(ascii: "b"): return "\u{8}"
        case UInt8(ascii: "f"): return "\u{C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try codePoint()
        default: throw .syntax(offset: offset - 1)
        }
    }

    /// What stands behind `\u`, with the low half of a surrogate pair behind its high one.
    private mutating func codePoint() throws(Failure) -> String {
        let start = offset
        let unit = try hexadecimal()
        guard UTF16.isLeadSurrogate(unit) else {
            guard let scalar = Unicode.Scalar(unit) else { throw .syntax(offset: start) }
            return String(scalar)
        }
        guard take(UInt8(ascii: "\\")), take(UInt8(ascii: "u")) else { throw .syntax(offset: offset) }
        let low = try hexadecimal()
        guard UTF16.isTrailSurrogate(low) else { throw .syntax(offset: start) }
        return String(decoding: [unit, low], as: UTF16.self)
    }

    private mutating func hexadecimal() throws(Failure) -> UInt16 {
        let digits = bytes[offset..<min(offset + 4, bytes.count)]
        guard digits.count == 4, digits.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
            let unit = UInt16(String(decoding: digits, as: UTF8.self), radix: 16)
        else { throw .syntax(offset: offset) }
        offset += 4
        return unit
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

    /// A letter, `_` or `$`.
    fileprivate var isNameStart: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"),
            UInt8(ascii: "$"):
            true
        default: false
        }
    }
}
