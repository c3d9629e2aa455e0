import Dialects
import Uploads

/// The settings of every mount, in the order in which they are read and told of.
enum CommonSettings {
    static let all: [Setting] =
        [dialect, root, principal, name] + files + fields + times + principals + browsers + handOff + [answerType]

    static let dialect = Setting(
        "FERMATA_DIALECT",
        readElsewhere: "the name of a dialect",
        none: "required",
        "the upload protocol that the site's clients speak"
    )

    static let root = Setting(
        "FERMATA_ROOT",
        readElsewhere: "an absolute path below an `--allow-root`; neither STATE nor above it",
        none: "`STATE/files`",
        "where finished files appear; must exist"
    )

    static let principal = Setting(
        "FERMATA_PRINCIPAL",
        readElsewhere: "any expression, such as `$ssl_client_s_dn`; its hash is kept",
        none: "`REMOTE_USER`",
        "who is uploading"
    )

    static let name = Setting(
        "FERMATA_MOUNT",
        readElsewhere: "a name that does not begin with `//`",
        none: "server, port and `SCRIPT_NAME`",
        "name in ledger and log, see [Mounts](#mounts)"
    )

    private static let files: [Setting] = [
        Setting(
            "FERMATA_MAX_FILE",
            \.fileBytesMax,
            .size(from: 1, suchAs: "20g"),
            "largest file",
            adjust: { $0.partBytesMax = min($0.partBytesMax, $0.fileBytesMax) }
        ),
        Setting(
            "FERMATA_MAX_PART",
            \.partBytesMax,
            .size(from: 1, suchAs: "100m"),
            "largest segment, part or PATCH, and largest file sent at once; where it is not set, at most `FERMATA_MAX_FILE`"
        ),
        Setting("FERMATA_TYPES", \.types, .types, none: "any", "what files may be, see [Types](#types)"),
        Setting(
            "FERMATA_DOT_FILES",
            \.allowsDotFiles,
            .flag,
            "whether names may begin with a dot, see [Names](#names)"
        ),
        Setting(
            "FERMATA_MAX_RANGES",
            \.disjointRangesMax,
            .count(),
            "into how many ranges an incomplete file may fall"
        ),
        Setting(
            "FERMATA_DURABILITY",
            \.durability,
            .durability,
            "when bytes are synced, see [Guarantees](guarantees.md)"
        ),
    ]

    private static let fields: [Setting] = [
        Setting("FERMATA_MAX_FIELD", \.fieldBytesMax, .fieldBytes(suchAs: "64k"), "longest value of a form's field"),
        Setting(
            "FERMATA_MAX_FIELDS",
            \.allFieldBytesMax,
            .fieldBytes(suchAs: "1m"),
            "all values of a form's fields; names and values of all fields of an upload; a JSON document"
        ),
        Setting(
            "FERMATA_MAX_PARTS_IN_FORM",
            \.formPartsMax,
            .count(to: SettingBounds.formPartsMax),
            "how many parts a form may have, and how many values of fields an upload"
        ),
    ]

    private static let times: [Setting] = [
        Setting("FERMATA_EXPIRES", \.idleSeconds, .seconds(from: 1, suchAs: "24h"), "how long an upload may rest"),
        Setting(
            "FERMATA_TOMBSTONE",
            \.tombstoneSeconds,
            .seconds(from: 0, suchAs: "15m"),
            "how long a finished file answers its client; 0 is not at all"
        ),
    ]

    private static let principals: [Setting] = [
        Setting(
            "FERMATA_MAX_OPEN",
            optional: \.principalLimits.openUploadsMax,
            .count(),
            none: "any number",
            "how many uploads each principal may have open; more are a 403"
        ),
        Setting(
            "FERMATA_MAX_REQUESTS",
            optional: \.principalLimits.requestsMax,
            .count(),
            none: "any number",
            "how many requests of each principal a process sees through at the same time; more are a 429"
        ),
        Setting(
            "FERMATA_QUOTA",
            optional: \.principalLimits.bytesMax,
            .size(suchAs: "100g"),
            none: "any number",
            "how many bytes each principal's open uploads are to have, and finished ones have had; more are a 507"
        ),
        Setting(
            "FERMATA_RATE",
            optional: \.bytesPerSecond,
            .size(from: 1024, suchAs: "10m"),
            none: "any number",
            "how many bytes a second each principal may send to a process; faster clients are made to wait"
        ),
    ]

    private static let browsers: [Setting] = [
        Setting(
            "FERMATA_CORS",
            \.origins,
            .origins,
            "origins whose pages may upload, beside the site's own, see [Browsers](#browsers)"
        ),
        Setting(
            "FERMATA_SAME_SITE",
            \.requiresSameSite,
            .flag,
            "whether pages of other sites are refused, see [Browsers](#browsers)"
        ),
    ]

    static let hook = Setting(
        "FERMATA_HOOK",
        readElsewhere: program,
        none: "none",
        "is told of each finished file, see [Hand-off](hand-off.md)"
    )

    static let veto = Setting(
        "FERMATA_VETO",
        readElsewhere: program,
        none: "none",
        "may refuse a whole file, such as a virus scanner"
    )

    private static let program = "an absolute path of a program that `--allow-program` names"

    private static let handOff: [Setting] = [
        hook,
        veto,
        Setting(
            "FERMATA_MANIFEST",
            \.handOff.hasManifest,
            .flag,
            "whether `NAME.json` is put beside each finished file"
        ),
        Setting(
            "FERMATA_ON_COMPLETE",
            \.completionPath,
            .sitePath,
            "path of an internal location that makes the answer when a file is finished"
        ),
        Setting(
            "FERMATA_REDIRECT",
            \.completionField,
            .word([("X-Accel-Redirect", "X-Accel-Redirect"), ("Location", "Location"), ("off", "")]),
            none: "off",
            "the header field that has the web server go on with that path"
        ),
    ]

    private static let answerType = Setting(
        "FERMATA_ANSWER_TYPE",
        \.answerType,
        .word([
            ("json", "application/json; charset=utf-8"), ("text", "text/plain; charset=utf-8"),
            ("html", "text/html; charset=utf-8"),
        ]),
        "media type of answers; `html` for clients that post into a hidden frame"
    )
}
