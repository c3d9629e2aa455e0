/// The text of a parameter in whichever spelling it was sent (docs/dialects/README.md 0.4): `filename`, `filename*`
/// (RFC 5987), or `filename*0`, `filename*1*` ... (RFC 2231 3).
///
/// The plain one counts, unless it is made of encoded words (RFC 2047): clients that write these know what others read,
/// and send the extended one besides.
struct ParameterText {
    /// The text; what cannot be decoded is replaced (`Charset.substitute`).
    let text: String
    /// Whether all of it could be decoded.
    let isWhole: Bool

    private init(text: String, isWhole: Bool) {
        self.text = text
        self.isWhole = isWhole
    }

    /// The text of a parameter; `nil` when there is none in any spelling.
    ///
    /// - Throws: `parameterRepeated`.
    init?(_ name: String, in parameters: HeaderParameters) throws(MultipartError) {
        let plain = try parameters.value(of: name)
        let words = plain.flatMap { EncodedWords.decode($0) }
        if let plain, words == nil {
            self.init(text: Self.decodingFormEscapes(plain), isWhole: true)
            return
        }
        let extended = parameters.hasExtended ? try Self.extended(name, in: parameters) : nil
        if let extended, extended.isWhole || words == nil {
            self = extended
        } else if let words {
            self.init(text: words.text, isWhole: words.isWhole)
        } else {
            return nil
        }
    }

    /// Decodes what browsers encode in names: `%22`, `%0D`, `%0A` and nothing else (WHATWG HTML, multipart encoding).
    private static func decodingFormEscapes(_ bytes: ArraySlice<UInt8>) -> String {
        guard bytes.contains(UInt8(ascii: "%")) else { return clientText(bytes) }
        return clientText(FormURLEncoded.decodingPercent(bytes) { $0 == 0x22 || $0 == 0x0D || $0 == 0x0A })
    }

    /// The extended form: in one piece, or else in numbered sections.
    private static func extended(
        _ name: String,
        in parameters: HeaderParameters
    ) throws(MultipartError) -> ParameterText? {
        if let value = try parameters.value(of: name + "*") { return joining([(value, true)], isWhole: true) }
        let sections = parameters.extensions(of: name).map { Section($0.suffix, $0.value) }
        guard !sections.isEmpty else { return nil }
        // Encoders number them in order; the same number twice, or one left out, makes the name unclear.
        let sorted = sections.compactMap(\.self).sorted { $0.number < $1.number }
        let isWhole = sorted.count == sections.count && sorted.indices.allSatisfy { sorted[$0].number == $0 }
        return joining(sorted.map { ($0.value, $0.isEncoded) }, isWhole: isWhole)
    }

    /// Joins sections, of which the first names the character set of all: `utf-8'en'%C3%A4`.
    private static func joining(
        _ sections: [(value: ArraySlice<UInt8>, isEncoded: Bool)],
        isWhole: Bool
    ) -> ParameterText {
        var label: ArraySlice<UInt8> = []
        var bytes: [UInt8] = []
        for (index, section) in sections.enumerated() {
            guard section.isEncoded else {
                bytes += section.value
                continue
            }
            var value = section.value
            let quotes = value.indices.filter { value[$0] == UInt8(ascii: "'") }
            if index == 0, quotes.count >= 2 {
                label = value[..<quotes[0]]
                value = value[(quotes[1] + 1)...]
            }
            bytes += FormURLEncoded.decodingPercent(value)
        }
        if isWhole, let text = Charset.decode(bytes, label: label) { return ParameterText(text: text, isWhole: true) }
        return ParameterText(text: Charset.substitute(for: bytes), isWhole: false)
    }

    /// One section of a value, `filename*1*=%C3%A4`.
    private struct Section {
        let number: Int
        /// Whether it is percent-encoded.
        let isEncoded: Bool
        let value: ArraySlice<UInt8>

        /// - Parameter suffix: `1*` of the name.
        init?(_ suffix: ArraySlice<UInt8>, _ value: ArraySlice<UInt8>) {
            isEncoded = suffix.last == UInt8(ascii: "*")
            let digits = isEncoded ? suffix.dropLast() : suffix
            guard let number = IntegerField.parse(String(decoding: digits, as: UTF8.self)) else { return nil }
            self.number = Int(clamping: number)
            self.value = value
        }
    }
}
