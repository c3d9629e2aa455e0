import Dialects
import Digests
import FastCGI
import Foundation
import Uploads

/// What the responder was started with, as far as mounts depend on it.
public struct ResponderSettings: Sendable {
    /// Directories below which a `FERMATA_ROOT` may lie; absolute, without symbolic links.
    let allowedRoots: [String]
    /// The root of mounts that name none.
    let defaultRoot: String
    /// The state directory, which no root may be, or hold; absolute, without symbolic links.
    let stateDirectory: String?
    /// The programs that a mount may name.
    let allowedPrograms: Set<String>
    /// What published paths are prefixed with in answers.
    let publicURL: String

    /// - Parameters:
    ///   - allowedRoots: directories below which a `FERMATA_ROOT` may lie; the default root always may.
    ///   - defaultRoot: the root of mounts that name none.
    ///   - publicURL: what published paths are prefixed with in answers; empty leaves them relative.
    ///   - stateDirectory: where ledger and keys are; `nil` when they are nowhere.
    ///   - allowedPrograms: the programs that `FERMATA_HOOK` and `FERMATA_VETO` may name.
    public init(
        allowedRoots: [String],
        defaultRoot: String,
        publicURL: String = "",
        stateDirectory: String? = nil,
        allowedPrograms: [String] = []
    ) {
        self.stateDirectory = stateDirectory.map(realPath)
        self.allowedPrograms = Set(allowedPrograms)
        self.allowedRoots = (allowedRoots + [defaultRoot]).map(realPath)
        self.defaultRoot = realPath(defaultRoot)
        self.publicURL = publicURL
    }
}

/// A mount that can not be served: a line for the log that names the parameter, and a 500 for the client.
public struct MountError: Error, CustomStringConvertible {
    /// What is wrong, with the name of the parameter.
    public let description: String
}

/// The mount of a request: its dialect, and what `FERMATA_*` parameters say of it (docs/settings.md).
struct MountParameters: Sendable {
    /// The longest name of a mount in bytes.
    private static let nameBytesMax = 1024

    let dialect: Dialect
    private(set) var mount: Mount
    /// The root as the location spells it; `nil` where it names none.
    private let root: String?

    /// - Parameters:
    ///   - parameter: gives the value of a parameter of the web server's own.
    ///   - names: the names of those that begin with `FERMATA_`: one that nobody asks for is a slip.
    init(
        _ parameter: (String) -> String?,
        names: [String],
        _ settings: ResponderSettings
    ) throws(MountError) {
        // What is asked for is what there is; the status pages have a parameter of their own.
        var asked: Set = ["FERMATA_STATUS"]
        try self.init(
            { name in
                asked.insert(name)
                return parameter(name)
            },
            settings
        )
        for name in names where !asked.contains(name) {
            let known = asked.filter { $0.hasPrefix("FERMATA_") }
            throw MountError(description: Self.unknown(name, known))
        }
    }

    /// What is told of a parameter that there is not.
    static func unknown(_ name: String, _ known: Set<String>) -> String {
        let wanted = name.uppercased()
        let nearest = known.sorted().min { EditDistance.between($0, wanted) < EditDistance.between($1, wanted) }
        return "\(name) is no parameter" + (nearest.map { ": did you mean \($0)?" } ?? "")
    }

    private init(_ parameter: (String) -> String?, _ settings: ResponderSettings) throws(MountError) {
        guard let dialectName = try Self.setting("FERMATA_DIALECT", parameter) else {
            throw MountError(description: "FERMATA_DIALECT is not set: add a fastcgi_param for it to the location")
        }
        guard let dialect = Dialect(rawValue: dialectName) else {
            let names = Dialect.allCases.map(\.rawValue).joined(separator: ", ")
            throw MountError(description: "FERMATA_DIALECT '\(dialectName)' is unknown: use one of \(names)")
        }
        self.dialect = dialect
        root = try Self.setting("FERMATA_ROOT", parameter)
        var mount = Mount(
            name: try Self.name(parameter),
            principal: Self.principal { parameter($0).map { Array($0.utf8) } },
            root: try Self.root(root, settings)
        )
        mount.publicURL = settings.publicURL
        dialect.configure(&mount)
        func set<Value>(
            _ name: String,
            _ path: WritableKeyPath<Mount, Value>,
            _ form: SettingForm<Value>
        ) throws(MountError) {
            guard let text = try Self.setting(name, parameter) else { return }
            guard let value = form.parse(text) else {
                throw MountError(description: "\(name) '\(text)' is not \(form.description)")
            }
            mount[keyPath: path] = value
        }
        func setOptional<Value>(
            _ name: String,
            _ path: WritableKeyPath<Mount, Value?>,
            _ form: SettingForm<Value>
        ) throws(MountError) {
            try set(
                name,
                path,
                SettingForm<Value?>(description: form.description) { form.parse($0).map(Optional.some) }
            )
        }
        try set("FERMATA_MAX_FILE", \.fileBytesMax, .size(from: 1, suchAs: "20g"))
        mount.partBytesMax = min(mount.partBytesMax, mount.fileBytesMax)
        try set("FERMATA_MAX_PART", \.partBytesMax, .size(from: 1, suchAs: "100m"))
        try set("FERMATA_MIN_PART", \.partBytesMin, .size(suchAs: "100k"))
        try set("FERMATA_CHUNK", \.chunkBytes, .size(from: 1, suchAs: "20m"))
        try set("FERMATA_TYPES", \.types, .types)
        try set("FERMATA_DOT_FILES", \.allowsDotFiles, .flag)
        try set("FERMATA_EXPIRES", \.idleSeconds, .seconds(from: 1, suchAs: "24h"))
        try set("FERMATA_TOMBSTONE", \.tombstoneSeconds, .seconds(from: 0, suchAs: "15m"))
        try set("FERMATA_MAX_RANGES", \.disjointRangesMax, .count())
        try set("FERMATA_MAX_FIELD", \.fieldBytesMax, .fieldBytes(suchAs: "64k"))
        try set("FERMATA_MAX_FIELDS", \.allFieldBytesMax, .fieldBytes(suchAs: "1m"))
        try set("FERMATA_MAX_PARTS_IN_FORM", \.formPartsMax, .count(to: SettingBounds.formPartsMax))
        try set("FERMATA_URL_EXPIRES", \.urlSeconds, .seconds(from: 1, suchAs: "1h"))
        try set("FERMATA_REQUIRE_MD5", \.requiresDigest, .flag)
        try set("FERMATA_REQUIRE_ORDER", \.requiresOrder, .flag)
        try set("FERMATA_WRAP_LISTS", \.wrapsLists, .flag)
        try set("FERMATA_FILE_KINDS", \.fileKinds, .names)
        let prefix = SettingForm<String>(description: "a path below the root, such as tasks") { text in
            RelativePath(parsing: text).flatMap { $0.name == nil ? nil : $0.text }
        }
        try set("FERMATA_KEY_PREFIX", \.keyPrefix, prefix)
        try set("FERMATA_BASE_URL", \.baseURL, .url)
        let durability = SettingForm(description: "publish or segment", parse: Durability.init(rawValue:))
        try set("FERMATA_DURABILITY", \.durability, durability)
        try setOptional("FERMATA_MAX_OPEN", \.principalLimits.openUploadsMax, .count())
        try setOptional("FERMATA_MAX_REQUESTS", \.principalLimits.requestsMax, .count())
        try setOptional("FERMATA_QUOTA", \.principalLimits.bytesMax, .size(suchAs: "100g"))
        try setOptional("FERMATA_RATE", \.bytesPerSecond, .size(from: 1024, suchAs: "10m"))
        try set("FERMATA_CORS", \.origins, .origins)
        try set("FERMATA_SAME_SITE", \.requiresSameSite, .flag)
        mount.handOff.hook = try Self.program("FERMATA_HOOK", parameter, settings)
        mount.handOff.veto = try Self.program("FERMATA_VETO", parameter, settings)
        try set("FERMATA_MANIFEST", \.handOff.hasManifest, .flag)
        try set("FERMATA_ON_COMPLETE", \.completionPath, .sitePath)
        let redirects: KeyValuePairs = ["X-Accel-Redirect": "X-Accel-Redirect", "Location": "Location", "off": ""]
        try set("FERMATA_REDIRECT", \.completionField, .word(redirects))
        try set("FERMATA_RESUME", \.allowsResume, .flag)
        try set("FERMATA_CANCEL", \.allowsCancel, .flag)
        let types: KeyValuePairs = [
            "json": "application/json; charset=utf-8", "text": "text/plain; charset=utf-8",
            "html": "text/html; charset=utf-8",
        ]
        try set("FERMATA_ANSWER_TYPE", \.answerType, .word(types))
        self.mount = mount
    }

    /// Whether what the location names is on the disk what it was when this was read.
    func stillHolds(_ settings: ResponderSettings) -> Bool {
        do throws(MountError) {
            guard try Self.root(root, settings) == mount.root else { return false }
        } catch { return false }
        return [mount.handOff.hook, mount.handOff.veto].allSatisfy { program in
            program.map { FileManager.default.isExecutableFile(atPath: $0) } ?? true
        }
    }

    /// The same for another request, which differs in who is uploading alone.
    func of(_ request: borrowing Request) -> MountParameters {
        var parameters = self
        parameters.mount.principal = Self.principal { request.bytes($0) }
        return parameters
    }

    /// Who is uploading. An expression of the administrator's own may be a token, so only its hash is kept
    /// (docs/dialects/README.md 0.9); when it is set but empty the principal is empty, as REMOTE_USER may be a name that
    /// nobody has checked.
    ///
    /// - Parameter bytes: gives the bytes of a parameter, as names in two character sets are two names.
    static func principal(_ bytes: (String) -> [UInt8]?) -> String {
        guard let expression = bytes("FERMATA_PRINCIPAL") else { return bytes("REMOTE_USER").map(name(of:)) ?? "" }
        return expression.isEmpty ? "" : sha256(expression)
    }

    /// A name as text. In one that is no UTF-8 each byte beyond ASCII is a NUL and two digits: no parameter holds a NUL, so
    /// no other name is written so.
    private static func name(of bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return bytes.map { byte in
            byte < 0x80 ? String(Unicode.Scalar(byte)) : "\0" + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    /// The value of a setting, within the bounds of all of them.
    private static func setting(
        _ name: String,
        _ parameter: (String) -> String?
    ) throws(MountError) -> String? {
        guard let text = value(name, parameter) else { return nil }
        let isPlain = !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
        guard isPlain, text.utf8.count <= SettingBounds.valueBytesMax else {
            throw MountError(
                description: "\(name) has more than \(SettingBounds.valueBytesMax) bytes, or a control character"
            )
        }
        return text
    }

    /// A program that this process may run.
    private static func program(
        _ name: String,
        _ parameter: (String) -> String?,
        _ settings: ResponderSettings
    ) throws(MountError) -> String? {
        guard let text = try setting(name, parameter) else { return nil }
        guard text.hasPrefix("/"), FileManager.default.isExecutableFile(atPath: text) else {
            throw MountError(description: "\(name) '\(text)' is not an absolute path of a program")
        }
        guard settings.allowedPrograms.contains(text) else {
            throw MountError(
                description: "\(name) '\(text)' is not allowed: start fermata with --allow-program \(text)"
            )
        }
        return text
    }

    /// A parameter; one that is empty counts as not set, as nginx passes empty variables.
    private static func value(_ name: String, _ parameter: (String) -> String?) -> String? {
        parameter(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The administrator's own name; else the server and the path, so that two servers of one path are two mounts.
    private static func name(_ parameter: (String) -> String?) throws(MountError) -> String {
        let name: String
        if let own = try setting("FERMATA_MOUNT", parameter) {
            guard !own.hasPrefix(Mount.defaultNamePrefix) else {
                throw MountError(description: "FERMATA_MOUNT '\(own)' begins with two slashes, as default names do")
            }
            name = own
        } else {
            name = Mount.defaultName(
                server: parameter("SERVER_NAME") ?? "",
                port: parameter("SERVER_PORT") ?? "",
                path: parameter("SCRIPT_NAME") ?? ""
            )
        }
        guard name.utf8.count <= nameBytesMax,
            !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            throw MountError(
                description:
                    "the name of the mount must have at most \(nameBytesMax) bytes and no control characters: set FERMATA_MOUNT"
            )
        }
        return name
    }

    private static func root(_ text: String?, _ settings: ResponderSettings) throws(MountError) -> String {
        guard let text else { return try safe(settings.defaultRoot, settings) }
        guard text.hasPrefix("/") else {
            throw MountError(description: "FERMATA_ROOT '\(text)' is not an absolute path")
        }
        // A root that is not there is allowed by its name; opening it fails later, with the dialect's own answer.
        let path = realPath(text)
        guard settings.allowedRoots.contains(where: { isPath(path, below: $0) }) else {
            throw MountError(description: "FERMATA_ROOT '\(text)' is not allowed: start fermata with --allow-root")
        }
        return try safe(path, settings)
    }

    /// A root in which nobody can reach the ledger and the keys: neither the state directory nor one above it, nor one in it
    /// but below its own folder for files.
    private static func safe(_ root: String, _ settings: ResponderSettings) throws(MountError) -> String {
        guard let state = settings.stateDirectory else { return root }
        guard !isPath(state, below: root), !isPath(root, below: state) || isPath(root, below: settings.defaultRoot)
        else {
            throw MountError(
                description:
                    "FERMATA_ROOT '\(root)' holds the ledger and the keys of --state \(state): use another directory"
            )
        }
        return root
    }

    private static func isPath(_ path: String, below folder: String) -> Bool {
        path == folder || path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
    }
}

/// The path without symbolic links, `.` and `..`, as far as it exists.
private func realPath(_ path: String) -> String {
    URL(fileURLWithPath: path).resolvingSymlinksInPath().path
}
