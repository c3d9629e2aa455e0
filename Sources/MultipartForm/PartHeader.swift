/// The header block of one part (RFC 7578 4.2, docs/dialects/README.md 0.4).
///
/// Field names are case-insensitive; fields other than Content-Disposition and Content-Type are ignored, as is a line
/// whose name holds white space. A folded line (RFC 822) continues the one before.
public struct PartHeader: Hashable, Sendable {
    /// The disposition type, lower case, such as `form-data`; empty when there is no Content-Disposition.
    public let disposition: String
    /// The `name` parameter; `nil` when there is none, and the part is to be ignored.
    public let name: String?
    /// The client's own file name as sent; `nil` when it sent none.
    public let fileName: String?
    /// The Content-Type field as sent; `nil` when there is none.
    public let contentType: String?
    /// The `range` parameter as sent (docs/dialects/dcloud.md 1.4.2); `nil` when there is none.
    public let range: String?

    /// True when the part has a `filename` or `filename*` parameter, even an empty one.
    public var hasFileName: Bool { fileName != nil }

    /// Reads a header block without the blank line that ends it.
    public init(_ block: [UInt8]) {
        let block = Self.unfolding(block)
        var disposition: HeaderParameters?
        var contentType: String?
        Self.forEachField(block) { name, value in
            if block.isSame(name, asLowercase: "content-disposition") {
                disposition = HeaderParameters(block, in: value)
            } else if block.isSame(name, asLowercase: "content-type") {
                contentType = clientText(block[value])
            }
        }
        self.disposition = disposition?.token ?? ""
        name = disposition?["name"].map { Self.decodingFormEscapes($0) }
        fileName =
            disposition?["filename"].map { Self.decodingFormEscapes($0) }
            ?? disposition?["filename*"].flatMap { Self.extendedValue($0) }
        range = disposition?["range"].map { clientText($0) }
        self.contentType = contentType
    }

    /// Whether the part is a file: it has a range, a file name, or a media type other than `text/plain`.
    ///
    /// - Parameter scalarFields: names that are always fields unless they have a range or a file name.
    public func isFile(scalarFields: Set<String>) -> Bool {
        if range != nil || hasFileName { return true }
        guard let contentType, let name, !scalarFields.contains(name) else { return false }
        return MediaType(parsing: contentType) != .plainText
    }

    /// Calls `body` with the places of name and trimmed value of each field.
    private static func forEachField(_ block: [UInt8], _ body: (Range<Int>, Range<Int>) -> Void) {
        var start = 0
        while start < block.count {
            let end = lineEnd(block, from: start)
            if let colon = block[start..<end].firstIndex(of: UInt8(ascii: ":")), colon > start,
                !block[start..<colon].contains(where: \.isWhiteSpace)
            {
                body(start..<colon, block.trimmingWhiteSpace(colon + 1..<end))
            }
            start = end + 2
        }
    }

    /// Where the next CRLF is, or the end; a bare CR or LF is part of a line.
    private static func lineEnd(_ block: [UInt8], from start: Int) -> Int {
        var index = start
        while index + 1 < block.count {
            if block[index] == 0x0D, block[index + 1] == 0x0A { return index }
            index += 1
        }
        return block.count
    }

    /// The block with each folded line behind the one before, separated by a space; nearly always it has none.
    private static func unfolding(_ block: [UInt8]) -> [UInt8] {
        var unfolded: [UInt8] = []
        var start = 0
        // What stands before `done` is in `unfolded`.
        var done = 0
        while start < block.count {
            let next = lineEnd(block, from: start) + 2
            guard next < block.count else { break }
            if block[next].isBlank {
                let line = block.trimmingWhiteSpace(next..<lineEnd(block, from: next))
                unfolded += block[done..<next - 2] + [0x20]
                done = line.lowerBound
            }
            start = next
        }
        return done == 0 ? block : unfolded + block[done...]
    }

    /// Decodes what browsers encode in names: `%22`, `%0D`, `%0A` and nothing else (WHATWG HTML, multipart encoding).
    private static func decodingFormEscapes(_ bytes: ArraySlice<UInt8>) -> String {
        guard bytes.contains(UInt8(ascii: "%")) else { return clientText(bytes) }
        return clientText(FormURLEncoded.decodingPercent(bytes) { $0 == 0x22 || $0 == 0x0D || $0 == 0x0A })
    }

    /// `UTF-8''na%C3%AFve.txt` (RFC 5987 3.2); `nil` when it is not of that form.
    private static func extendedValue(_ bytes: ArraySlice<UInt8>) -> String? {
        let parts = bytes.split(separator: UInt8(ascii: "'"), maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        let decoded = FormURLEncoded.decodingPercent(parts[2])
        switch clientText(parts[0]).lowercased() {
        case "utf-8": return String(validating: decoded, as: UTF8.self)
        case "iso-8859-1": return String(String.UnicodeScalarView(decoded.map { Unicode.Scalar($0) }))
        default: return nil
        }
    }
}
