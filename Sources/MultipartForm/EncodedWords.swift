/// Encoded words of RFC 2047 2, `=?utf-8?B?w6Q=?=`, which .NET, Unity and Indy write in parameters, though its section 5
/// forbids that.
enum EncodedWords {
    /// The text of a value that has at least one encoded word, and whether all of it could be decoded; else `nil`.
    ///
    /// White space between two words is none of the text (RFC 2047 6.2), and their bytes are decoded together where their
    /// character set is the same, as encoders cut characters in two.
    static func decode(_ value: ArraySlice<UInt8>) -> (text: String, isWhole: Bool)? {
        guard value.contains(UInt8(ascii: "?")) else { return nil }
        var text = ""
        var isWhole = true
        var pending: (label: [UInt8], bytes: [UInt8])?
        func flush() {
            guard let words = pending.take() else { return }
            if let decoded = Charset.decode(words.bytes, label: words.label) {
                text += decoded
            } else {
                text += Charset.substitute(for: words.bytes)
                isWhole = false
            }
        }
        var hasWords = false
        var rest = value
        // What stands between the last word and the next.
        var plain: [UInt8] = []
        while let byte = rest.first {
            guard byte == UInt8(ascii: "="), let word = Word(rest) else {
                plain.append(byte)
                rest.removeFirst()
                continue
            }
            let isBetweenWords = hasWords && plain.allSatisfy(\.isWhiteSpace)
            if !isBetweenWords || pending?.label != word.label { flush() }
            if !isBetweenWords { text += clientText(plain) }
            plain.removeAll()
            pending = (word.label, (pending?.bytes ?? []) + word.bytes)
            hasWords = true
            rest = rest[word.end...]
        }
        guard hasWords else { return nil }
        flush()
        return (text + clientText(plain), isWhole)
    }

    /// One word at the start of some bytes.
    private struct Word {
        /// The name of the character set, in lower case, without a language (RFC 2231 5).
        let label: [UInt8]
        let bytes: [UInt8]
        let end: Int

        init?(_ value: ArraySlice<UInt8>) {
            guard value.starts(with: "=?".utf8) else { return nil }
            let fields = value.dropFirst(2).split(
                separator: UInt8(ascii: "?"),
                maxSplits: 3,
                omittingEmptySubsequences: false
            )
            guard fields.count == 4, fields[3].first == UInt8(ascii: "="), !fields[0].isEmpty,
                fields[0].allSatisfy(\.isToken), fields[1].count == 1, let encoding = fields[1].first
            else { return nil }
            label = fields[0].prefix { $0 != UInt8(ascii: "*") }.map(\.lowercase)
            end = fields[3].startIndex + 1
            switch encoding.lowercase {
            case UInt8(ascii: "b"):
                guard let bytes = Self.base64(fields[2]) else { return nil }
                self.bytes = bytes
            case UInt8(ascii: "q"): bytes = Self.quoted(fields[2])
            case _: return nil
            }
        }

        /// Base64, of which some encoders leave the padding out.
        private static func base64(_ text: ArraySlice<UInt8>) -> [UInt8]? {
            var decoder = Base64Decoder()
            var bytes: [UInt8] = []
            let missing = (4 - text.count % 4) % 4
            let whole = text + [UInt8](repeating: UInt8(ascii: "="), count: missing)
            do throws(TransferFailure) {
                try decoder.decode(whole.span, into: &bytes)
                try decoder.finish()
            } catch { return nil }
            return bytes
        }

        /// `=XX` is a byte, `_` a space (RFC 2047 4.2).
        private static func quoted(_ text: ArraySlice<UInt8>) -> [UInt8] {
            FormURLEncoded.decodingEscapes(
                text.map { $0 == UInt8(ascii: "_") ? 0x20 : $0 }[...],
                escape: UInt8(ascii: "=")
            )
        }
    }
}
