import Foundation
import Fuzzing
import Testing

/// Values of settings that nobody has thought of.
@Suite struct SettingTests {
    /// How many values each setting is given, besides each piece alone.
    private static let valueCount = 100
    private static let dialects = ["dcloud", "fileid", "parts", "offset", "signed"]
    /// What values are made of.
    private static let pieces =
        [
            "0", "1", "9", "10", "64", "1023", "65535", "1000001", "9223372036854775807", "9223372036854775808",
            "18446744073709551616", "00", "-", "+", ".", ",", ";", "/", "//", "..", "\\", "\"", " ", "\t", "\r", "\0",
            "=", "%", "%00", "*",
            "k", "m", "g", "t", "T", "s", "h", "d", "on", "off", "true", "publish", "segment", "json", "html", "text",
            "null",
            "http://", "https://", "a.example", ":", ":0", ":99999", "?", "#", "@", "[::1]", "jpg", "image/", "/tmp",
            "/bin/true",
            "\u{663}", "\u{301}", "\u{202E}", "\u{FEFF}", "\u{1F600}", String(repeating: "a", count: 5000),
        ]

    /// All settings of a location, as the page of settings has them.
    private static let names: [String] = {
        let page = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "docs/settings.md")
        let text = (try? String(contentsOf: page, encoding: .utf8)) ?? ""
        return Set(text.matches(of: /FERMATA_[A-Z0-9_]+/).map { String($0.output) }).sorted()
    }()

    @Test("any text in any setting gives a mount whose limits hold, or an error that names the setting")
    func anyText() throws {
        try #require(Self.names.count > 35 && Self.names.contains("FERMATA_SAME_SITE"))
        let run = try FuzzTarget.settings.prepare()
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = Generator(state: seed)
        for name in Self.names where name != "FERMATA_DIALECT" {
            let values =
                Self.pieces
                + (0..<Self.valueCount).map { _ in
                    let count = Int.random(in: 0...4, using: &generator)
                    return (0..<count).compactMap { _ in Self.pieces.randomElement(using: &generator) }.joined()
                }
            for value in values {
                let dialect = Self.dialects.randomElement(using: &generator) ?? "dcloud"
                let lines = "FERMATA_DIALECT=\(dialect)\n\(name)=\(value)"
                #expect(throws: Never.self, "\(dialect) \(name) '\(value.prefix(80))', seed \(seed)") {
                    try run(Array(lines.utf8))
                }
            }
        }
    }
}

/// The same numbers for the same seed (SplitMix64).
private struct Generator: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var number = state
        number = (number ^ (number >> 30)) &* 0xBF58_476D_1CE4_E5B9
        number = (number ^ (number >> 27)) &* 0x94D0_49BB_1331_11EB
        return number ^ (number >> 31)
    }
}
