import MultipartForm

/// The session key of a DCloud upload (docs/dialects/dcloud.md 1.3, "Canonical boundary").
///
/// Clients send their boundary in a query as it is or percent-encoded, and some boundaries hold a `+`: so `%XX` is
/// decoded, `+` is left alone, and a space that is left over was a `+`.
struct CanonicalBoundary: Hashable {
    /// The longest boundary in bytes.
    static let bytesMax = 200

    let text: String

    /// The boundary as the undecoded value of a form field; `nil` when it is not of 1-200 bytes.
    init?(fieldValue raw: [UInt8]) {
        self.init(canonical: FormURLEncoded.decodingPercent(raw[...]))
    }

    /// The boundary as the parameter of a Content-Type field, without its quotes.
    init?(parameter: [UInt8]) {
        self.init(canonical: parameter)
    }

    private init?(canonical bytes: [UInt8]) {
        let isSpace = { (byte: UInt8) in byte == 0x20 || (0x09...0x0D).contains(byte) }
        let trimmed = bytes.drop(while: isSpace).reversed().drop(while: isSpace).reversed()
        let plus = trimmed.map { $0 == 0x20 ? UInt8(ascii: "+") : $0 }
        guard (1...Self.bytesMax).contains(plus.count), let text = String(validating: plus, as: UTF8.self) else {
            return nil
        }
        self.text = text
    }
}
