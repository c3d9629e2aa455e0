/// How the bytes of a part were made fit for mail (Content-Transfer-Encoding, RFC 2045 6; RFC 7578 4.7 has dropped it, yet
/// clients send it).
public enum TransferEncoding: Hashable, Sendable {
    /// `7bit`, `8bit`, `binary` or nothing: the bytes are as they are.
    case identity
    case base64
    case quotedPrintable

    /// Reads the value of the field, in any case, perhaps in quotes, perhaps with comments (RFC 822 3.4.3); `nil` for any
    /// other encoding.
    init?(_ value: ArraySlice<UInt8>) {
        guard var bytes = Self.removingComments(value)?.trimmingWhiteSpace() else { return nil }
        if bytes.count >= 2, bytes.first == UInt8(ascii: "\""), bytes.last == UInt8(ascii: "\"") {
            bytes = bytes.dropFirst().dropLast().trimmingWhiteSpace()
        }
        switch String(decoding: bytes.map(\.lowercase), as: UTF8.self) {
        case "", "7bit", "8bit", "binary": self = .identity
        case "base64": self = .base64
        case "quoted-printable": self = .quotedPrintable
        case _: return nil
        }
    }

    /// The name that the header field has.
    var name: String {
        switch self {
        case .identity: "binary"
        case .base64: "base64"
        case .quotedPrintable: "quoted-printable"
        }
    }

    /// How many bytes a decoded byte may take, with line breaks, where an encoder does not waste any.
    public var bytesPerByteMax: Int64 {
        switch self {
        case .identity: 1
        case .base64: 2
        case .quotedPrintable: 4
        }
    }

    /// A value without `(comments)`; `nil` when one is not closed.
    private static func removingComments(_ value: ArraySlice<UInt8>) -> ArraySlice<UInt8>? {
        guard value.contains(UInt8(ascii: "(")) else { return value }
        var depth = 0
        var rest: [UInt8] = []
        for byte in value {
            switch byte {
            case UInt8(ascii: "("): depth += 1
            case UInt8(ascii: ")") where depth > 0: depth -= 1
            case _ where depth == 0: rest.append(byte)
            case _: break
            }
        }
        return depth == 0 ? rest[...] : nil
    }
}

/// Why bytes are not in the encoding that their part claims.
public enum TransferFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// A byte that the encoding does not have.
    case byte(UInt8)
    /// Padding where none may be.
    case padding
    /// Data behind the padding.
    case behindPadding
    /// A `=` that neither two hexadecimal digits nor the end of a line follow.
    case escape
    /// More blanks than `max` in a row.
    case blanks(max: Int)
    /// The data ends in the middle of what stands for a byte.
    case truncated

    /// One sentence fragment in English.
    public var description: String {
        switch self {
        case .byte(let byte): "the byte \(byte) is none of its characters"
        case .padding: "a padding character stands where none may be"
        case .behindPadding: "data follows the padding"
        case .escape: "a = is followed neither by two hexadecimal digits nor by the end of its line"
        case .blanks(let max): "a line has more than \(max) blanks in a row"
        case .truncated: "it ends too early"
        }
    }
}

/// Undoes the transfer encoding of one part.
enum TransferDecoder {
    case base64(Base64Decoder)
    case quotedPrintable(QuotedPrintableDecoder)

    /// A decoder at the start of a part; `nil` when there is nothing to decode.
    init?(_ encoding: TransferEncoding) {
        switch encoding {
        case .identity: return nil
        case .base64: self = .base64(Base64Decoder())
        case .quotedPrintable: self = .quotedPrintable(QuotedPrintableDecoder())
        }
    }

    /// Appends what some bytes stand for.
    mutating func decode(_ bytes: Span<UInt8>, into decoded: inout [UInt8]) throws(TransferFailure) {
        switch self {
        case .base64(var decoder):
            try decoder.decode(bytes, into: &decoded)
            self = .base64(decoder)
        case .quotedPrintable(var decoder):
            try decoder.decode(bytes, into: &decoded)
            self = .quotedPrintable(decoder)
        }
    }

    /// Ends the data.
    mutating func finish(into decoded: inout [UInt8]) throws(TransferFailure) {
        switch self {
        case .base64(let decoder): try decoder.finish()
        case .quotedPrintable(var decoder):
            try decoder.finish(into: &decoded)
            self = .quotedPrintable(decoder)
        }
    }
}
