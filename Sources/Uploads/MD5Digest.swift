/// The 16 bytes of an MD5, in whatever spelling a client sends them (docs/dialects/README.md 0.6).
public struct MD5Digest: Hashable, Sendable {
    /// How many bytes a digest has.
    public static let byteCount = 16

    /// The bytes.
    public let bytes: [UInt8]

    /// Fails unless there are 16 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// Reads 32 hexadecimal digits in any case, or Base64 of 16 bytes (24 characters); either in double quotes, or
    /// prefixed by `W/`.
    public init?(parsing text: String) {
        var characters = Array(text.utf8)[...]
        while let first = characters.first, first == 0x20 || first == 0x09 { characters.removeFirst() }
        while let last = characters.last, last == 0x20 || last == 0x09 { characters.removeLast() }
        if characters.starts(with: "W/".utf8) { characters = characters.dropFirst(2) }
        if characters.count >= 2, characters.first == UInt8(ascii: "\""), characters.last == UInt8(ascii: "\"") {
            characters = characters.dropFirst().dropLast()
        }
        switch characters.count {
        case 32: self.init(hexadecimal: characters)
        case 24: self.init(base64: characters)
        default: return nil
        }
    }

    private init?(hexadecimal digits: ArraySlice<UInt8>) {
        var bytes: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            guard let value = Self.value(ofHexadecimal: digit) else { return nil }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.init(bytes: bytes)
    }

    private init?(base64 characters: ArraySlice<UInt8>) {
        guard characters.suffix(2).allSatisfy({ $0 == UInt8(ascii: "=") }) else { return nil }
        var bytes: [UInt8] = []
        var (bits, bitCount): (UInt32, Int) = (0, 0)
        for character in characters.dropLast(2) {
            guard let value = Self.value(ofBase64: character) else { return nil }
            bits = bits << 6 | UInt32(value)
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(bitCount)))
            }
        }
        self.init(bytes: bytes)
    }

    private static func value(ofHexadecimal digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }

    private static func value(ofBase64 character: UInt8) -> UInt8? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): character - UInt8(ascii: "A")
        case UInt8(ascii: "a")...UInt8(ascii: "z"): character - UInt8(ascii: "a") + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): character - UInt8(ascii: "0") + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }
}

extension MD5Digest: CustomStringConvertible {
    /// 32 lower-case hexadecimal digits.
    public var description: String { bytes.hexadecimal }
}

extension [UInt8] {
    /// Two lower-case hexadecimal digits for each byte.
    public var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
