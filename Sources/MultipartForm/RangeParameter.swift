/// The `range` parameter of Content-Disposition (docs/dialects/dcloud.md 1.4.2):
///
///     range-value = [ "bytes" SP ] start OWS "-" OWS end OWS "/" OWS total
///
/// Half-open, in bytes: `0 <= start <= end <= total < 2^63`.
public struct RangeParameter: Hashable, Sendable {
    /// The first byte of the segment.
    public let start: Int64
    /// The first byte behind the segment.
    public let end: Int64
    /// The size of the whole file.
    public let total: Int64

    /// Why a text is no range.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// It does not follow the grammar.
        case syntax
        /// A number is 2^63 or more.
        case overflow
        /// `start` is above `end`.
        case startAfterEnd
        /// `end` is above `total`.
        case endAfterTotal

        /// One sentence fragment in English.
        public var description: String {
            switch self {
            case .syntax: "the range must be start-end/total"
            case .overflow: "a number in the range is too large"
            case .startAfterEnd: "the range starts after its end"
            case .endAfterTotal: "the range ends after the total"
            }
        }
    }

    /// Reads the value of the parameter, without quotes.
    public init(parsing text: String) throws(Failure) {
        var rest = Array(text.utf8)[...].trimmingWhiteSpace()
        let unit = "bytes "
        if String(decoding: rest.prefix(unit.utf8.count), as: UTF8.self).lowercased() == unit {
            rest.removeFirst(unit.utf8.count)
        }
        start = try Self.number(&rest)
        try Self.separator(UInt8(ascii: "-"), &rest)
        end = try Self.number(&rest)
        try Self.separator(UInt8(ascii: "/"), &rest)
        total = try Self.number(&rest)
        guard rest.isEmpty else { throw .syntax }
        guard start <= end else { throw .startAfterEnd }
        guard end <= total else { throw .endAfterTotal }
    }

    private static func number(_ rest: inout ArraySlice<UInt8>) throws(Failure) -> Int64 {
        var number: Int64 = 0
        var digits = 0
        while let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) {
            let (tens, overflow) = number.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int64(byte - UInt8(ascii: "0")))
            guard !overflow, !carry else { throw .overflow }
            number = sum
            digits += 1
            rest.removeFirst()
        }
        guard digits > 0 else { throw .syntax }
        return number
    }

    private static func separator(_ byte: UInt8, _ rest: inout ArraySlice<UInt8>) throws(Failure) {
        rest = rest.drop(while: \.isBlank)
        guard rest.first == byte else { throw .syntax }
        rest = rest.dropFirst().drop(while: \.isBlank)
    }
}

/// An integer field of a form (docs/dialects/README.md 0.5).
public enum IntegerField {
    /// Decimal digits, perhaps between white space, perhaps in one pair of double quotes: 0 ... 2^63-1; else `nil`.
    public static func parse(_ text: String) -> Int64? {
        var bytes = Array(text.utf8)[...].trimmingWhiteSpace()
        if bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") {
            bytes = bytes.dropFirst().dropLast()
        }
        guard !bytes.isEmpty, bytes.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else {
            return nil
        }
        return Int64(String(decoding: bytes, as: UTF8.self))
    }
}

/// File names as clients send them, made safe to store under (docs/dialects/README.md 0.4).
public enum FileName {
    /// The last component after `/` or `\`; `nil` when that is empty, `.`, `..` or holds a control character.
    public static func sanitized(_ original: String) -> String? {
        let component = original.unicodeScalars.split(
            omittingEmptySubsequences: false,
            whereSeparator: { $0 == "/" || $0 == "\\" }
        ).last.map(String.init)
        guard let name = component, !["", ".", ".."].contains(name) else { return nil }
        guard !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else { return nil }
        return name
    }

    /// The longest extension that a new name takes over, in bytes.
    private static let extensionBytesMax = 16

    /// A new name for a file whose own can not be used; it keeps an extension of ASCII letters and digits.
    public static func generated(like original: String) -> String {
        let number = String(UInt64.random(in: 0...UInt64.max), radix: 16)
        let name = "upload-" + String(repeating: "0", count: 16 - number.count) + number
        guard let dot = original.utf8.lastIndex(of: UInt8(ascii: ".")) else { return name }
        let suffix = Array(original.utf8[dot...].dropFirst())
        let isSafe = (1...extensionBytesMax).contains(suffix.count) && suffix.allSatisfy(\.isLetterOrDigit)
        return isSafe ? name + "." + String(decoding: suffix, as: UTF8.self) : name
    }
}

extension UInt8 {
    /// Whether it is a letter or digit of ASCII.
    fileprivate var isLetterOrDigit: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: false
        }
    }
}
