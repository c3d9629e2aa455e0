import Foundation
public import Uploads

/// How a setting is written, and within which bounds.
public struct SettingForm<Value: Sendable>: Sendable {
    /// What a value must be, such as `a time from 1s to 3650d, such as 24h`.
    public let description: String
    /// Reads a value; `nil` when it is not of the form, or out of bounds.
    public let parse: @Sendable (String) -> Value?
    /// Writes a value as it would be read; empty for nothing.
    public let write: @Sendable (Value) -> String

    public init(
        _ description: String,
        parse: @escaping @Sendable (String) -> Value?,
        write: @escaping @Sendable (Value) -> String
    ) {
        self.description = description
        self.parse = parse
        self.write = write
    }
}

extension SettingForm where Value == String {
    /// Text that stands for itself.
    public init(_ description: String, parse: @escaping @Sendable (String) -> String?) {
        self.init(description, parse: parse, write: { $0 })
    }
}

extension SettingForm where Value == Int64 {
    /// A size in bytes.
    public static func size(from least: Int64 = 0, suchAs example: String) -> SettingForm {
        let bounds = least...SettingBounds.sizeMax
        return SettingForm(
            "a size from \(SettingBounds.text(size: least)) to \(SettingBounds.text(size: bounds.upperBound)), such as \(example)",
            parse: { text in SettingBounds.size(text).flatMap { bounds.contains($0) ? $0 : nil } },
            write: { SettingBounds.text(size: $0) }
        )
    }

    /// A time in seconds.
    public static func seconds(from least: Int64, suchAs example: String) -> SettingForm {
        let bounds = least...SettingBounds.secondsMax
        return SettingForm(
            "a time from \(least)s to \(SettingBounds.secondsMax / 86_400)d, such as \(example)",
            parse: { text in SettingBounds.seconds(text).flatMap { bounds.contains($0) ? $0 : nil } },
            write: { SettingBounds.text(seconds: $0) }
        )
    }
}

extension SettingForm where Value == Int {
    /// A number of things.
    public static func count(to most: Int64 = SettingBounds.countMax) -> SettingForm {
        SettingForm(
            "a number from 1 to \(most)",
            parse: { text in
                // As sizes are read, but without a unit.
                guard text.utf8.allSatisfy((UInt8(ascii: "0")...UInt8(ascii: "9")).contains), let number = Int64(text),
                    (1...most).contains(number)
                else { return nil }
                return Int(number)
            },
            write: { String($0) }
        )
    }

    /// A size in bytes of the data fields of a form.
    public static func fieldBytes(suchAs example: String) -> SettingForm {
        let bounds = SettingBounds.fieldBytes
        let least = SettingBounds.text(size: bounds.lowerBound)
        let most = SettingBounds.text(size: bounds.upperBound)
        return SettingForm(
            "a size from \(least) to \(most), such as \(example)",
            parse: { text in SettingBounds.size(text).flatMap { bounds.contains($0) ? Int($0) : nil } },
            write: { SettingBounds.text(size: Int64($0)) }
        )
    }
}

extension SettingForm where Value == Bool {
    /// A switch.
    public static var flag: SettingForm {
        SettingForm(
            "on or off",
            parse: { text in
                switch text.lowercased() {
                case "on": true
                case "off": false
                default: nil
                }
            },
            write: { $0 ? "on" : "off" }
        )
    }
}

extension SettingForm where Value == String {
    /// One of a few words, each of which stands for a value.
    public static func word(_ values: [(word: String, value: String)]) -> SettingForm {
        let names = values.map(\.word)
        let list = names.dropLast().joined(separator: ", ") + " or " + (names.last ?? "")
        return SettingForm(
            list,
            parse: { text in values.first { $0.word.lowercased() == text.lowercased() }?.value },
            write: { value in values.first { $0.value == value }?.word ?? "" }
        )
    }

    /// A path of this site, which goes into a header field.
    public static var sitePath: SettingForm {
        SettingForm("a path of this site without a query, such as /uploaded") { text in
            let isPlain = text.utf8.allSatisfy { $0 > 0x20 && $0 != 0x7F } && !text.contains { $0 == "?" || $0 == "#" }
            return text.hasPrefix("/") && isPlain ? text : nil
        }
    }

    /// The URL of a mount.
    public static var url: SettingForm {
        SettingForm("a URL without a query and a slash at its end, such as https://example.org/up") { text in
            guard !text.hasSuffix("/"), let url = URLComponents(string: text), let scheme = url.scheme?.lowercased(),
                scheme == "http" || scheme == "https", url.host?.isEmpty == false, url.query == nil, url.fragment == nil
            else { return nil }
            return text
        }
    }
}

extension SettingForm where Value == Set<String> {
    /// `jpg,.png image/webp`: lower case, without leading dots.
    public static var types: SettingForm {
        list("a list of extensions and media types, such as jpg png image/webp") { text in
            let types = words(text.lowercased()).map { $0.hasPrefix(".") ? String($0.dropFirst()) : $0 }
            return types.isEmpty ? nil : Set(types)
        }
    }

    /// `master include`: names that are safe as a component of a path.
    public static var names: SettingForm {
        list("a list of names, such as master include") { text in
            let names = words(text)
            return names.isEmpty || names.contains { RelativePath(component: $0) == nil } ? nil : Set(names)
        }
    }

    /// `https://example.org http://localhost:3000`, or `*`: lower case.
    public static var origins: SettingForm {
        list("a list of origins such as https://example.org, or *") { text in
            let origins = words(text.lowercased())
            let areAll = origins.allSatisfy { origin in
                if origin == Mount.anyOrigin { return true }
                guard let url = URLComponents(string: origin), url.scheme != nil, url.host != nil else { return false }
                return url.path.isEmpty && url.query == nil
            }
            return origins.isEmpty || !areAll ? nil : Set(origins)
        }
    }

    private static func list(
        _ description: String,
        _ parse: @escaping @Sendable (String) -> Set<String>?
    ) -> SettingForm {
        SettingForm(description, parse: parse, write: { $0.sorted().joined(separator: " ") })
    }

    private static func words(_ text: String) -> [String] {
        text.split { $0 == "," || $0 == " " }.map(String.init)
    }
}

extension SettingForm where Value == Durability {
    /// When segments are durable.
    public static var durability: SettingForm {
        SettingForm("publish or segment", parse: { Durability(rawValue: $0) }, write: { $0.rawValue })
    }
}
