/// The header block of one part (RFC 7578 4.2, dialects.md 0.4).
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
    /// The `range` parameter as sent (dialects.md 1.4.2); `nil` when there is none.
    public let range: String?

    /// True when the part has a `filename` or `filename*` parameter, even an empty one.
    public var hasFileName: Bool { fileName != nil }

    /// Reads a header block without the blank line that ends it.
    public init(_ block: [UInt8]) {
        var disposition: HeaderParameters?
        var contentType: String?
        for (name, value) in Self.fields(block) {
            if name.isSame(asLowercase: "content-disposition") {
                disposition = HeaderParameters(value)
            } else if name.isSame(asLowercase: "content-type") {
                contentType = clientText(value)
            }
        }
        self.disposition = disposition?.token ?? ""
        name = disposition?["name"].map { clientText(Self.decodingFormEscapes($0)) }
        fileName =
            disposition?["filename"].map { clientText(Self.decodingFormEscapes($0)) }
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

    /// The fields of a block, values trimmed.
    private static func fields(_ block: [UInt8]) -> [(name: ArraySlice<UInt8>, value: [UInt8])] {
        var fields: [(name: ArraySlice<UInt8>, value: [UInt8])] = []
        var lastIsIgnored = true
        for line in lines(block) {
            if let first = line.first, first.isBlank {
                guard !lastIsIgnored, let last = fields.indices.last else { continue }
                fields[last].value += [0x20] + line.trimmingWhiteSpace()
                continue
            }
            lastIsIgnored = true
            guard let colon = line.firstIndex(of: UInt8(ascii: ":")) else { continue }
            let name = line[..<colon]
            guard !name.isEmpty, !name.contains(where: \.isWhiteSpace) else { continue }
            lastIsIgnored = false
            let value = line[(colon + 1)...].trimmingWhiteSpace()
            fields.append((name, Array(value)))
        }
        return fields
    }

    /// The lines between CRLFs; a bare CR or LF is part of a line.
    private static func lines(_ block: [UInt8]) -> [ArraySlice<UInt8>] {
        var lines: [ArraySlice<UInt8>] = []
        var start = 0
        var index = 0
        while index + 1 < block.count {
            if block[index] == 0x0D, block[index + 1] == 0x0A {
                lines.append(block[start..<index])
                index += 2
                start = index
            } else {
                index += 1
            }
        }
        lines.append(block[start...])
        return lines
    }

    /// Decodes what browsers encode in names: `%22`, `%0D`, `%0A` and nothing else (WHATWG HTML, multipart encoding).
    private static func decodingFormEscapes(_ bytes: [UInt8]) -> [UInt8] {
        FormURLEncoded.decodingPercent(bytes[...]) { $0 == 0x22 || $0 == 0x0D || $0 == 0x0A }
    }

    /// `UTF-8''na%C3%AFve.txt` (RFC 5987 3.2); `nil` when it is not of that form.
    private static func extendedValue(_ bytes: [UInt8]) -> String? {
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
