/// Undoes base64 (RFC 2045 6.8), piece by piece and in constant memory.
///
/// White space may stand anywhere, as lines are broken in many ways. A byte outside of the alphabet, data behind the
/// padding and a group that is not full are refused: the bytes are not what was meant.
struct Base64Decoder {
    /// The bits of the group that has begun.
    private var bits: UInt32 = 0
    /// How many characters the group has, padding included.
    private var count = 0
    private var paddingCount = 0

    /// Appends what some bytes stand for, three bytes for four at most.
    mutating func decode(_ bytes: Span<UInt8>, into decoded: inout [UInt8]) throws(TransferFailure) {
        let values = Self.values.span
        for index in bytes.indices {
            let value = values[Int(bytes[index])]
            if value < 64 {
                guard paddingCount == 0 else { throw .behindPadding }
                bits = bits << 6 | UInt32(value)
                count += 1
                if count == 4 { endGroup(&decoded) }
            } else if value == Self.padding {
                // One or two characters of four, and only at the end.
                guard count >= 2, count < 4 else { throw .padding }
                paddingCount += 1
                bits <<= 6
                count += 1
                if count == 4 {
                    endGroup(&decoded)
                    count = 4
                }
            } else if value != Self.whiteSpace {
                throw .byte(bytes[index])
            }
        }
    }

    /// Ends the data.
    func finish() throws(TransferFailure) {
        guard count == 0 || count == 4 && paddingCount > 0 else { throw .truncated }
    }

    private mutating func endGroup(_ decoded: inout [UInt8]) {
        decoded.append(UInt8(truncatingIfNeeded: bits >> 16))
        if paddingCount < 2 { decoded.append(UInt8(truncatingIfNeeded: bits >> 8)) }
        if paddingCount < 1 { decoded.append(UInt8(truncatingIfNeeded: bits)) }
        bits = 0
        count = 0
    }

    private static let padding: UInt8 = 64
    private static let whiteSpace: UInt8 = 65
    /// The value of each byte: 0-63, padding, white space, or more.
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 255, count: 256)
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for (value, byte) in alphabet.utf8.enumerated() { values[Int(byte)] = UInt8(value) }
        values[Int(UInt8(ascii: "="))] = padding
        for byte in [0x20, 0x09, 0x0D, 0x0A] { values[byte] = whiteSpace }
        return values
    }()
}
