/// The bounds of settings, and the spellings of sizes and times.
public enum SettingBounds {
    /// The longest value of a setting in bytes.
    public static let valueBytesMax = 4096
    /// The largest size: 1 PiB. Sums of sizes and offsets do not overflow.
    static let sizeMax: Int64 = 1 << 50
    /// The longest time: ten years. Sums of times since 1970 do not overflow.
    static let secondsMax: Int64 = 3650 * 86_400
    /// The largest number of things.
    public static let countMax: Int64 = 1_000_000
    /// The sizes that may be set for the data fields of a form, which are read into memory.
    static let fieldBytes: ClosedRange<Int64> = 1 << 10...64 << 20
    /// The largest number of parts of a form.
    public static let formPartsMax: Int64 = 100_000

    /// `512`, `100k`, `20m`, `20g`, `1t`: bytes, in powers of 1024.
    static func size(_ text: String) -> Int64? {
        scaled(
            text,
            [
                UInt8(ascii: "k"): 1 << 10, UInt8(ascii: "m"): 1 << 20, UInt8(ascii: "g"): 1 << 30,
                UInt8(ascii: "t"): 1 << 40,
            ]
        )
    }

    /// `90`, `90s`, `15m`, `24h`, `7d`: seconds.
    static func seconds(_ text: String) -> Int64? {
        scaled(text, [UInt8(ascii: "s"): 1, UInt8(ascii: "m"): 60, UInt8(ascii: "h"): 3600, UInt8(ascii: "d"): 86_400])
    }

    /// A size with the largest unit that it is a multiple of.
    static func text(size: Int64) -> String {
        text(size, [("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)], "")
    }

    /// A time likewise; a day is 24h.
    static func text(seconds: Int64) -> String {
        text(seconds, seconds > 86_400 ? [("d", 86_400), ("h", 3600), ("m", 60)] : [("h", 3600), ("m", 60)], "s")
    }

    private static func text(_ number: Int64, _ units: [(String, Int64)], _ least: String) -> String {
        guard number != 0, let (name, factor) = units.first(where: { number.isMultiple(of: $0.1) }) else {
            return "\(number)\(number == 0 ? "" : least)"
        }
        return "\(number / factor)\(name)"
    }

    private static func scaled(_ text: String, _ units: [UInt8: Int64]) -> Int64? {
        var digits = text.lowercased().utf8[...]
        var factor: Int64 = 1
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits.removeLast()
        }
        guard !digits.isEmpty, digits.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains),
            let number = Int64(String(Substring(digits)))
        else { return nil }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : value
    }
}
