public import Dialects
import Uploads

/// All settings of mounts, and what is said of them for people: made here once, for every document.
public struct SettingTable: Sendable {
    private let dialects: [any Dialect]
    /// Those of every mount, then those that only some dialects have.
    public let settings: [Setting]

    public init(_ registry: DialectRegistry) {
        dialects = registry.dialects
        var settings = CommonSettings.all
        for setting in dialects.flatMap(\.settings) where !settings.contains(where: { $0.name == setting.name }) {
            settings.append(setting)
        }
        self.settings = settings
    }

    public var names: Set<String> { Set(settings.map(\.name)) }

    // MARK: For people

    /// A mount as a dialect has it before anything is set.
    private func mount(_ dialect: any Dialect) -> Mount { dialect.mount(name: "", root: "") }

    /// The dialects in which a setting means something; `nil` for all.
    private func users(of setting: Setting) -> [any Dialect]? {
        if CommonSettings.all.contains(where: { $0.name == setting.name }) { return nil }
        return dialects.filter { $0.settings.contains { $0.name == setting.name } }
    }

    private func quoted(_ value: (text: String, isWritten: Bool)) -> String {
        value.isWritten ? "`\(value.text)`" : value.text
    }

    /// What a setting is where it is not set: that of most dialects, then those that differ.
    private func value(of setting: Setting) -> String {
        let values = (users(of: setting) ?? dialects).map {
            (name: $0.name, value: quoted(setting.value(in: mount($0))))
        }
        let counts = Dictionary(grouping: values, by: \.value).mapValues(\.count)
        let usual = values.map(\.value).max { counts[$0, default: 0] < counts[$1, default: 0] } ?? ""
        let others = values.filter { $0.value != usual }.map { "`\($0.name)` \($0.value)" }
        return ([usual] + others).joined(separator: ", ")
    }

    /// The table of docs/settings.md.
    public var markdown: String {
        let rows = settings.map { setting in
            let users = users(of: setting).map { $0.map { "`\($0.name)`" }.joined(separator: ", ") + ": " } ?? ""
            return "| `\(setting.name)` | \(users)\(setting.help) | \(setting.form) | \(value(of: setting)) |"
        }
        return (["| Parameter | Meaning | Value | Default |", "| --- | --- | --- | --- |"] + rows)
            .joined(separator: "\n") + "\n"
    }

    /// What a terminal shows: all settings, or those of one dialect with its defaults.
    public func text(_ dialect: (any Dialect)? = nil) -> String {
        let shown = settings.filter { setting in
            guard let dialect, let users = users(of: setting) else { return true }
            return users.contains { $0.name == dialect.name }
        }
        return shown.map { setting in
            let value = dialect.map { quoted(setting.value(in: mount($0))) } ?? value(of: setting)
            let users =
                dialect == nil ? users(of: setting).map { " (\($0.map(\.name).joined(separator: ", ")))" } ?? "" : ""
            return """
                \(setting.name)\(users)
                  \(Self.plain(setting.help))
                  value: \(Self.plain(setting.form)); default: \(Self.plain(value))
                """
        }.joined(separator: "\n")
    }

    /// The comment of a dialect's location file: its own settings, and those whose defaults are its own.
    public func comment(_ dialect: any Dialect) -> String {
        let usual = Mount(name: "", root: "")
        let own = settings.filter { setting in
            if let users = users(of: setting) { return users.contains { $0.name == dialect.name } }
            return setting.value(in: mount(dialect)).text != setting.value(in: usual).text
        }
        let width = own.map(\.name.count).max() ?? 0
        let lines = own.map { setting in
            let name = setting.name + String(repeating: " ", count: width - setting.name.count)
            return "#   \(name)  \(Self.plain(setting.help)) (\(setting.value(in: mount(dialect)).text))"
        }
        let start =
            "# Settings are lines  fastcgi_param NAME VALUE;  they are listed by  fermata settings \(dialect.name)"
        let middle =
            lines.isEmpty ? [] : ["# and in docs/settings.md. Peculiar to this dialect are, with their defaults:"]
        return ([lines.isEmpty ? start + " and in docs/settings.md." : start] + middle + lines).joined(separator: "\n")
            + "\n"
    }

    /// Markdown as a terminal shows it: without backquotes, and a link as where it leads.
    ///
    /// Every command makes the help of all, so this takes no regular expression, whose making takes milliseconds.
    private static func plain(_ markdown: String) -> String {
        var (plain, rest) = ("", markdown[...])
        while let open = rest.firstIndex(of: "["), let close = rest[open...].firstIndex(of: "]"),
            let end = rest[close...].firstIndex(of: ")")
        {
            let name = rest[open..<close].dropFirst()
            let target = rest[close..<end].dropFirst(2)
            plain += rest[..<open] + (target.hasPrefix("#") ? "\(name) in docs/settings.md" : "docs/\(target)")
            rest = rest[end...].dropFirst()
        }
        plain += rest
        plain.unicodeScalars.removeAll { $0 == "`" }
        return plain
    }
}
