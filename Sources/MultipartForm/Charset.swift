import Foundation

/// The character sets that names come in (RFC 2978), by the labels that clients give them.
enum Charset {
    /// The text of bytes in a character set; `nil` when the set is not known, or the bytes are not of it.
    ///
    /// Without a label the text is a client's like any other (docs/dialects/README.md 0.4).
    static func decode(_ bytes: [UInt8], label: some Collection<UInt8>) -> String? {
        let label = String(decoding: label.map(\.lowercase), as: UTF8.self)
        switch label {
        case "": return clientText(bytes)
        case "utf-8", "utf8": return String(validating: bytes, as: UTF8.self)
        case "us-ascii", "ascii": return bytes.allSatisfy { $0 < 0x80 } ? clientText(bytes) : nil
        case "iso-8859-1", "iso8859-1", "iso_8859-1", "latin1": return latin1(bytes)
        case _: return encodings[label].flatMap { String(bytes: bytes, encoding: $0) }
        }
    }

    /// What stands for text that cannot be decoded. It holds the control character SUB, so no file gets this name; its
    /// ASCII characters are kept, for the sake of an extension.
    static func substitute(for bytes: [UInt8]) -> String {
        let substitute: Unicode.Scalar = "\u{1A}"
        let scalars = bytes.map { $0 < 0x80 ? Unicode.Scalar($0) : substitute }
        return String(String.UnicodeScalarView(scalars.contains(substitute) ? scalars : [substitute] + scalars))
    }

    /// What Foundation decodes, by label.
    private static let encodings: [String: String.Encoding] = {
        var encodings: [String: String.Encoding] = [
            "windows-1250": .windowsCP1250, "windows-1251": .windowsCP1251, "windows-1252": .windowsCP1252,
            "windows-1253": .windowsCP1253, "windows-1254": .windowsCP1254, "iso-8859-2": .isoLatin2,
            "shift_jis": .shiftJIS, "euc-jp": .japaneseEUC, "iso-2022-jp": .iso2022JP, "macintosh": .macOSRoman,
            "utf-16": .utf16, "utf-16be": .utf16BigEndian, "utf-16le": .utf16LittleEndian,
        ]
        // Foundation names no others; these are the numbers of Core Foundation (CFStringEncodingExt.h).
        let numbers: [String: UInt] = [
            "iso-8859-3": 0x0203, "iso-8859-4": 0x0204, "iso-8859-5": 0x0205, "iso-8859-6": 0x0206,
            "iso-8859-7": 0x0207, "iso-8859-8": 0x0208, "iso-8859-9": 0x0209, "iso-8859-10": 0x020A,
            "iso-8859-13": 0x020D, "iso-8859-15": 0x020F, "iso-8859-16": 0x0210, "windows-1255": 0x0505,
            "windows-1256": 0x0506, "windows-1257": 0x0507, "windows-1258": 0x0508, "windows-874": 0x041D,
            "ibm866": 0x0419, "koi8-r": 0x0A02, "koi8-u": 0x0A08, "big5": 0x0A03, "gb18030": 0x0632, "euc-kr": 0x0940,
            "windows-949": 0x0422,
        ]
        for (label, number) in numbers { encodings[label] = String.Encoding(rawValue: 0x8000_0000 | number) }
        let aliases = [
            "cp1250": "windows-1250", "cp1251": "windows-1251", "cp1252": "windows-1252", "sjis": "shift_jis",
            "shift-jis": "shift_jis", "windows-31j": "shift_jis", "eucjp": "euc-jp", "euckr": "euc-kr",
            "ks_c_5601-1987": "euc-kr", "cp949": "windows-949", "cp866": "ibm866", "tis-620": "windows-874",
            "iso-8859-11": "windows-874", "koi8r": "koi8-r", "big5-hkscs": "big5", "latin2": "iso-8859-2",
            "latin-9": "iso-8859-15", "iso8859-15": "iso-8859-15",
            // GB 18030 extends the two older sets.
            "gbk": "gb18030", "gb2312": "gb18030", "cp936": "gb18030", "windows-936": "gb18030",
        ]
        for (alias, label) in aliases { encodings[alias] = encodings[label] }
        return encodings
    }()
}

/// Text in ISO-8859-1.
func latin1(_ bytes: some Sequence<UInt8>) -> String {
    String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
}
