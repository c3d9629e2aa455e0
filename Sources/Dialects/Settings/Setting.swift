public import Uploads

/// A setting of a mount: a `FERMATA_*` parameter of the web server.
///
/// It is declared once, here or in the folder of its dialect, and all that is said of it anywhere is made of this or tested
/// against it: `fermata settings`, the man page, docs/settings.md, the location files.
public struct Setting: Sendable {
    /// `FERMATA_…`.
    public let name: String
    /// How it is written and within which bounds, such as `a time from 1s to 3650d, such as 24h`.
    public let form: String
    /// What it does, in Markdown, without a full stop at its end.
    public let help: String
    /// What is said where a mount has no value by default.
    private let none: String
    private let read: (@Sendable (String, inout Mount) -> Bool)?
    private let written: @Sendable (Mount) -> String

    /// A setting with a property of mounts.
    ///
    /// - Parameters:
    ///   - none: what is said where a mount has no value by default.
    ///   - adjust: what else changes with it.
    public init<Value>(
        _ name: String,
        _ path: any WritableKeyPath<Mount, Value> & Sendable,
        _ form: SettingForm<Value>,
        none: String = "none",
        _ help: String,
        adjust: @escaping @Sendable (inout Mount) -> Void = { _ in }
    ) {
        self.name = name
        self.form = form.description
        self.help = help
        self.none = none
        read = { text, mount in
            guard let value = form.parse(text) else { return false }
            mount[keyPath: path] = value
            adjust(&mount)
            return true
        }
        written = { form.write($0[keyPath: path]) }
    }

    /// A setting with a property of mounts that may have no value.
    public init<Value>(
        _ name: String,
        optional path: any WritableKeyPath<Mount, Value?> & Sendable,
        _ form: SettingForm<Value>,
        none: String,
        _ help: String
    ) {
        let form = SettingForm<Value?>(
            form.description,
            parse: { text in form.parse(text).map(Optional.some) },
            write: { $0.map(form.write) ?? "" }
        )
        self.init(name, path, form, none: none, help)
    }

    /// A setting of a dialect's own, which reads it from `Mount.own`, written as the form writes it.
    ///
    /// - Parameter usual: what a mount has by default.
    public init<Value>(own name: String, _ form: SettingForm<Value>, usual: String, _ help: String) {
        self.name = name
        self.form = form.description
        self.help = help
        none = "none"
        read = { text, mount in
            guard let value = form.parse(text) else { return false }
            mount.own[name] = form.write(value)
            return true
        }
        written = { $0.own[name] ?? usual }
    }

    /// A setting that depends on more than its own text, which whoever makes mounts reads.
    public init(_ name: String, readElsewhere form: String, none: String, _ help: String) {
        self.name = name
        self.form = form
        self.help = help
        self.none = none
        read = nil
        written = { _ in "" }
    }

    /// Whether a mount takes it from its text alone.
    public var isPlain: Bool { read != nil }

    /// Sets it; false when the text is not of its form, or out of its bounds.
    public func set(_ text: String, in mount: inout Mount) -> Bool { read?(text, &mount) ?? false }

    /// What a mount has, as it would be written; words where it has nothing.
    public func value(in mount: Mount) -> (text: String, isWritten: Bool) {
        let text = written(mount)
        return text.isEmpty ? (none, false) : (text, true)
    }
}

// Settings of more than one dialect.
extension Setting {
    public static let cancel = Setting("FERMATA_CANCEL", \.allowsCancel, .flag, "whether clients may cancel an upload")

    public static let chunk = Setting(
        "FERMATA_CHUNK",
        \.chunkBytes,
        .size(from: 1, suchAs: "20m"),
        "size of parts that clients are told to send"
    )

    public static let partMin = Setting(
        "FERMATA_MIN_PART",
        \.partBytesMin,
        .size(suchAs: "100k"),
        "least size of a part but the last"
    )
}
