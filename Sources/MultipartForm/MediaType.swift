/// A media type without its parameters, lower case: `multipart/form-data` (RFC 9110 8.3.1).
public struct MediaType: Hashable, Sendable {
    /// The type and subtype.
    public let essence: String

    /// `multipart/form-data` (RFC 7578).
    public static let multipartForm = MediaType(parsing: "multipart/form-data")
    /// `application/x-www-form-urlencoded` (WHATWG URL 5).
    public static let formURLEncoded = MediaType(parsing: "application/x-www-form-urlencoded")
    /// `text/plain`.
    public static let plainText = MediaType(parsing: "text/plain")
    /// `multipart/mixed` (RFC 2046 5.1.3).
    static let multipartMixed = MediaType(parsing: "multipart/mixed")

    /// The media type of a Content-Type field; its parameters are ignored.
    public init(parsing text: String) {
        let bytes = text.utf8.prefix { $0 != UInt8(ascii: ";") }.map(\.lowercase)
        essence = String(decoding: bytes[...].trimmingWhiteSpace(), as: UTF8.self)
    }

    /// Whether clients give this type to fields: text, JSON, XML, nested forms and what is no media type at all
    /// (docs/dialects/README.md 0.4).
    public var isOfFields: Bool {
        let halves = essence.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard halves.count == 2, halves.allSatisfy({ !$0.isEmpty && $0.allSatisfy(\.isToken) }) else { return true }
        return essence.hasPrefix("text/") || isMultipart || essence.hasSuffix("+json")
            || ["application/json", "application/xml", "application/x-www-form-urlencoded"].contains(essence)
    }

    /// Whether it is made of parts (RFC 2046 5.1).
    var isMultipart: Bool { essence.hasPrefix("multipart/") }
}

extension String {
    /// The string without white space at its ends: space, tab, line feed, carriage return, form feed, vertical tab.
    public func trimmingWhiteSpace() -> String {
        let bytes = Array(utf8)
        let trimmed = bytes[...].trimmingWhiteSpace()
        return trimmed.count == bytes.count ? self : String(decoding: trimmed, as: UTF8.self)
    }
}

extension ArraySlice<UInt8> {
    /// The bytes without white space at their ends.
    func trimmingWhiteSpace() -> ArraySlice<UInt8> {
        var slice = self
        while let first = slice.first, first.isWhiteSpace { slice.removeFirst() }
        while let last = slice.last, last.isWhiteSpace { slice.removeLast() }
        return slice
    }
}

extension [UInt8] {
    /// A range without the white space at its ends.
    func trimmingWhiteSpace(_ range: Range<Int>) -> Range<Int> {
        var (start, end) = (range.lowerBound, range.upperBound)
        while start < end, self[start].isWhiteSpace { start += 1 }
        while start < end, self[end - 1].isWhiteSpace { end -= 1 }
        return start..<end
    }

    /// Whether the bytes of a range are those of an ASCII text in lower case, but for their case.
    func isSame(_ range: Range<Int>, asLowercase text: String) -> Bool {
        guard range.count == text.utf8.count else { return false }
        var index = range.lowerBound
        for byte in text.utf8 {
            if self[index].lowercase != byte { return false }
            index += 1
        }
        return true
    }
}

extension UInt8 {
    var isWhiteSpace: Bool { self == 0x20 || (0x09...0x0D).contains(self) }

    /// Space or tab.
    var isBlank: Bool { self == 0x20 || self == 0x09 }

    /// The value of a hexadecimal digit.
    var hexadecimalValue: UInt8? {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): self - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): self - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): self - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}

/// Text of a client: UTF-8 when it is that, else ISO-8859-1 (docs/dialects/README.md 0.4).
func clientText(_ bytes: ArraySlice<UInt8>) -> String {
    do { return String(copying: try UTF8Span(validating: bytes.span)) } catch {
        return latin1(bytes)
    }
}

/// The same of all bytes.
func clientText(_ bytes: [UInt8]) -> String { clientText(bytes[...]) }

extension UInt8 {
    /// The letter in lower case; any other byte as it is.
    var lowercase: UInt8 { (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) ? self | 0x20 : self }
}
