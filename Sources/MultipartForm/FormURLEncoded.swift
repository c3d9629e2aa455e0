/// application/x-www-form-urlencoded, as in form bodies and URL queries (WHATWG URL 5.1).
public enum FormURLEncoded {
    /// A field in its two spellings.
    public struct Field: Hashable, Sendable {
        /// The name, decoded.
        public let name: String
        /// The value, decoded: `+` is a space, `%XX` a byte.
        public let value: String
        /// The value as sent.
        public let rawValue: [UInt8]
    }

    /// The fields in their order.
    ///
    /// - Throws: `tooManyParts`, `fieldTooLarge` or `fieldsTooLarge`.
    public static func parse(
        _ bytes: [UInt8],
        limits: MultipartLimits = MultipartLimits()
    ) throws(MultipartError) -> [Field] {
        guard bytes.count <= limits.allFieldBytesMax else { throw .fieldsTooLarge(max: limits.allFieldBytesMax) }
        var fields: [Field] = []
        for pair in bytes.split(separator: UInt8(ascii: "&")) {
            guard fields.count < limits.partsMax else { throw .tooManyParts(max: limits.partsMax) }
            let equals = pair.firstIndex(of: UInt8(ascii: "=")) ?? pair.endIndex
            let value = pair[equals...].dropFirst()
            let name = decode(pair[..<equals])
            let bytesMax = limits.bytesMax(ofField: name)
            guard value.count <= bytesMax else { throw .fieldTooLarge(max: bytesMax) }
            fields.append(Field(name: name, value: decode(value), rawValue: Array(value)))
        }
        return fields
    }

    /// Whether bytes are the start of a multipart body instead: a line that begins with two dashes, as no urlencoded body
    /// has lines.
    public static func isMultipart(_ bytes: [UInt8]) -> Bool {
        let line = bytes.prefix(Boundary.bytesMax + 4)
        guard line.starts(with: "--".utf8), let end = line.firstIndex(of: 0x0D) else { return false }
        return end + 1 < bytes.count && bytes[end + 1] == 0x0A
    }

    private static func decode(_ bytes: ArraySlice<UInt8>) -> String {
        clientText(decodingPercent(bytes.map { $0 == UInt8(ascii: "+") ? 0x20 : $0 }[...]))
    }

    /// The bytes with each `%XX` replaced by the byte it stands for; a `%` without two digits stands for itself.
    ///
    /// - Parameter isDecoded: whether the escape of a byte is decoded; all are by default.
    public static func decodingPercent(
        _ bytes: ArraySlice<UInt8>,
        where isDecoded: (UInt8) -> Bool = { _ in true }
    ) -> [UInt8] {
        decodingEscapes(bytes, escape: UInt8(ascii: "%"), where: isDecoded)
    }

    /// The same with another character than `%`.
    static func decodingEscapes(
        _ bytes: ArraySlice<UInt8>,
        escape: UInt8,
        where isDecoded: (UInt8) -> Bool = { _ in true }
    ) -> [UInt8] {
        var decoded: [UInt8] = []
        decoded.reserveCapacity(bytes.count)
        var index = bytes.startIndex
        while index < bytes.endIndex {
            if bytes[index] == escape, index + 2 < bytes.endIndex,
                let high = bytes[index + 1].hexadecimalValue, let low = bytes[index + 2].hexadecimalValue,
                isDecoded(high << 4 | low)
            {
                decoded.append(high << 4 | low)
                index += 3
            } else {
                decoded.append(bytes[index])
                index += 1
            }
        }
        return decoded
    }
}
