import Foundation
import Uploads

/// How a setting is written, and within which bounds: what is told of a value that is not.
struct SettingForm<Value> {
    /// What a value must be, such as `a time from 1s to 3650d, such as 24h`.
    let description: String
    /// Reads a value; `nil` when it is not of the form, or out of bounds.
    let parse: (String) -> Value?
}

/// The bounds of settings, and the spellings of sizes and times.
enum SettingBounds {
    /// The longest value of a setting in bytes.
    static let valueBytesMax = 4096
    /// The largest size: 1 PiB. Sums of sizes and offsets do not overflow.
    static let sizeMax: Int64 = 1 << 50
    /// The longest time: ten years. Sums of times since 1970 do not overflow.
    static let secondsMax: Int64 = 3650 * 86_400
    /// The largest number of things.
    static let countMax: Int64 = 1_000_000
    /// The sizes that may be set for the data fields of a form, which are read into memory.
    static let fieldBytes: ClosedRange<Int64> = 1 << 10...64 << 20
    /// The largest number of parts of a form.
    static let formPartsMax: Int64 = 100_000

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

extension SettingForm where Value == Int64 {
    /// A size in bytes.
    static func size(from least: Int64 = 0, suchAs example: String) -> SettingForm {
        SettingForm(description: "a size from \(least) to \(SettingBounds.sizeMax >> 40)t, such as \(example)") {
            text in
            SettingBounds.size(text).flatMap { (least...SettingBounds.sizeMax).contains($0) ? $0 : nil }
        }
    }

    /// A time in seconds.
    static func seconds(from least: Int64, suchAs example: String) -> SettingForm {
        let days = SettingBounds.secondsMax / 86_400
        return SettingForm(description: "a time from \(least)s to \(days)d, such as \(example)") { text in
            SettingBounds.seconds(text).flatMap { (least...SettingBounds.secondsMax).contains($0) ? $0 : nil }
        }
    }
}

extension SettingForm where Value == Int {
    /// A number of things.
    static func count(to most: Int64 = SettingBounds.countMax) -> SettingForm {
        SettingForm(description: "a number from 1 to \(most)") { text in
            // As sizes are read, but without a unit.
            guard text.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains), let number = Int64(text),
                (1...most).contains(number)
            else { return nil }
            return Int(number)
        }
    }

    /// A size in bytes of the data fields of a form.
    static func fieldBytes(suchAs example: String) -> SettingForm {
        let bounds = SettingBounds.fieldBytes
        let description = "a size from \(bounds.lowerBound >> 10)k to \(bounds.upperBound >> 20)m, such as \(example)"
        return SettingForm(description: description) { text in
            SettingBounds.size(text).flatMap { bounds.contains($0) ? Int($0) : nil }
        }
    }
}

extension SettingForm where Value == Bool {
    /// A switch.
    static var flag: SettingForm {
        SettingForm(description: "on or off") { text in
            switch text.lowercased() {
            case "on": true
            case "off": false
            default: nil
            }
        }
    }
}

extension SettingForm where Value == String {
    /// One of a few words, each of which stands for a value.
    static func word(_ values: KeyValuePairs<String, String>) -> SettingForm {
        let names = values.map(\.key)
        let list = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
        return SettingForm(description: list) { text in
            values.first { $0.key.lowercased() == text.lowercased() }?.value
        }
    }

    /// A path of this site, which goes into a header field.
    static var sitePath: SettingForm {
        SettingForm(description: "a path of this site without a query, such as /uploaded") { text in
            let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } && !text.contains { $0 == "?" || $0 == "#" }
            return text.hasPrefix("/") && isPlain ? text : nil
        }
    }

    /// The URL of a mount.
    static var url: SettingForm {
        SettingForm(description: "a URL without a query and a slash at its end, such as https://example.org/up") {
            text in
            guard !text.hasSuffix("/"), let url = URLComponents(string: text), let scheme = url.scheme?.lowercased(),
                scheme == "http" || scheme == "https", url.host?.isEmpty == false, url.query == nil, url.fragment == nil
            else { return nil }
            return text
        }
    }
}

extension SettingForm where Value == Set<String> {
    /// `jpg,.png image/webp`: lower case, without leading dots.
    static var types: SettingForm {
        SettingForm(description: "a list of extensions and media types, such as jpg png image/webp") { text in
            let types = words(text.lowercased()).map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 }
            return types.isEmpty ? nil : Set(types)
        }
    }

    /// `master include`: names that are safe as a component of a path.
    static var names: SettingForm {
        SettingForm(description: "a list of names, such as master include") { text in
            let names = words(text)
            return names.isEmpty || names.contains { RelativePath(component: $0) == nil } ? nil : Set(names)
        }
    }

    /// `https://example.org http://localhost:3000`, or `*`: lower case.
    static var origins: SettingForm {
        SettingForm(description: "a list of origins such as https://example.org, or *") { text in
            let origins = words(text.lowercased())
            let areAll = origins.allSatisfy { origin in
                if origin == CrossOrigin.any { return true }
                guard let url = URLComponents(string: origin), url.scheme != nil, url.host != nil else { return false }
                return url.path.isEmpty && url.query == nil
            }
            return origins.isEmpty || !areAll ? nil : Set(origins)
        }
    }

    private static func words(_ text: String) -> [String] {
        text.split { $0 == "," || $0 == " " }.map(String.init)
    }
}
