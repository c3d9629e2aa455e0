/// Goes through a field with parameters, in linear time.
struct ParameterScanner {
    let bytes: [UInt8]
    var index: Int
    let end: Int

    init(bytes: [UInt8], index: Int, end: Int) {
        self.bytes = bytes
        self.index = index
        self.end = end
    }

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

    /// Goes on from a quote to behind the `;` after its end.
    ///
    /// - Returns: what stands in the quotes, and whether that has escapes; `nil` when the value seems to have swallowed
    ///   other parameters, as its quote is not closed.
    mutating func takeQuoted() -> (value: Range<Int>, hasEscapes: Bool)? {
        skip()
        let start = index
        var hasEscapes = false
        var plainQuote: PlainQuote?
        while index < end {
            switch bytes[index] {
            case UInt8(ascii: "\\") where isEscape(at: index):
                if bytes[index + 1] == UInt8(ascii: "\""), let behind = behindClosing(quote: index + 1) {
                    // What the next plain quote is holds for all escapes before it.
                    if plainQuote.map({ $0.index < index }) ?? true { plainQuote = nextPlainQuote(from: index + 2) }
                    if plainQuote?.isClosing != true {
                        defer { index = behind }
                        return (start..<index + 1, hasEscapes)
                    }
                }
                hasEscapes = true
                index += 2
            case UInt8(ascii: "\""):
                if let behind = behindClosing(quote: index) {
                    defer { index = behind }
                    return (start..<index, hasEscapes)
                }
                if opensParameter(quote: index, from: start) { return nil }
                index += 1
            default: index += 1
            }
        }
        return bytes[start..<end].contains(UInt8(ascii: ";")) ? nil : (start..<end, hasEscapes)
    }

    /// A quote without a backslash before it.
    private struct PlainQuote {
        /// The end of the field when there is none.
        let index: Int
        let isClosing: Bool
    }

    private func isEscape(at index: Int) -> Bool { index + 1 < end && bytes[index + 1].isEscapable }

    private func nextPlainQuote(from start: Int) -> PlainQuote {
        var index = start
        while index < end, bytes[index] != UInt8(ascii: "\"") {
            index += bytes[index] == UInt8(ascii: "\\") && isEscape(at: index) ? 2 : 1
        }
        return PlainQuote(index: index, isClosing: index < end && behindClosing(quote: index) != nil)
    }

    /// Where the next parameter begins, if a quote is followed by optional white space and `;` or the end.
    private func behindClosing(quote: Int) -> Int? {
        var index = quote + 1
        while index < end, bytes[index].isWhiteSpace { index += 1 }
        if index == end { return end }
        return bytes[index] == UInt8(ascii: ";") ? index + 1 : nil
    }

    /// Whether `;`, a name and `=` stand before a quote, so that it seems to open the value of another parameter.
    private func opensParameter(quote: Int, from start: Int) -> Bool {
        var index = quote - 1
        while index > start, bytes[index].isWhiteSpace { index -= 1 }
        guard index > start, bytes[index] == UInt8(ascii: "=") else { return false }
        index -= 1
        let nameEnd = index
        while index >= start, bytes[index].isToken || bytes[index].isWhiteSpace { index -= 1 }
        return index >= start && index < nameEnd && bytes[index] == UInt8(ascii: ";")
    }
}

extension UInt8 {
    /// Whether a backslash before it is an escape.
    var isEscapable: Bool { self == UInt8(ascii: "\"") || self == UInt8(ascii: "\\") }

    /// Whether it may be in a token (RFC 9110 5.6.2).
    var isToken: Bool {
        switch self {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        case _: "!#$%&'*+-.^_`|~".utf8.contains(self)
        }
    }
}
