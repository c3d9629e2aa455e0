import Uploads

extension Setting {
    static let baseURL = Setting(
        "FERMATA_BASE_URL",
        \.baseURL,
        .url,
        none: "as requested",
        "what part URLs begin with, where clients do not reach the mount by its scheme, host and path"
    )

    static let urlExpires = Setting(
        "FERMATA_URL_EXPIRES",
        \.urlSeconds,
        .seconds(from: 1, suchAs: "1h"),
        "how long a part URL is valid"
    )

    static let fileKinds = Setting("FERMATA_FILE_KINDS", \.fileKinds, .names, "what `file_type` may be")

    static let keyPrefix = Setting(
        "FERMATA_KEY_PREFIX",
        \.keyPrefix,
        SettingForm("a path below the root, such as tasks") { text in
            RelativePath(parsing: text).flatMap { $0.name == nil ? nil : $0.text }
        },
        "first component of the paths that the server chooses"
    )
}
