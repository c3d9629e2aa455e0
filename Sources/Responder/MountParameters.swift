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
    /// What published paths are prefixed with in answers.
    let publicURL: String

    /// - Parameters:
    ///   - allowedRoots: directories below which a `FERMATA_ROOT` may lie; the default root always may.
    ///   - defaultRoot: the root of mounts that name none.
    ///   - publicURL: what published paths are prefixed with in answers; empty leaves them relative.
    public init(allowedRoots: [String], defaultRoot: String, publicURL: String = "") {
        self.allowedRoots = (allowedRoots + [defaultRoot]).map(realPath)
        self.defaultRoot = realPath(defaultRoot)
        self.publicURL = publicURL
    }
}

/// A mount that can not be served: a line for the log that names the parameter, and a 500 for the client.
struct MountError: Error, CustomStringConvertible {
    let description: String
}

/// The mount of a request: its dialect, and what `FERMATA_*` parameters say of it (docs/settings.md).
struct MountParameters: Sendable {
    let dialect: Dialect
    private(set) var mount: Mount

    /// - Parameter parameter: gives the value of a parameter of the web server's own.
    init(_ parameter: (String) -> String?, _ settings: ResponderSettings) throws(MountError) {
        guard let dialectName = Self.value("FERMATA_DIALECT", parameter) else {
            throw MountError(description: "FERMATA_DIALECT is not set: add a fastcgi_param for it to the location")
        }
        guard let dialect = Dialect(rawValue: dialectName) else {
            let names = Dialect.allCases.map(\.rawValue).joined(separator: ", ")
            throw MountError(description: "FERMATA_DIALECT '\(dialectName)' is unknown: use one of \(names)")
        }
        self.dialect = dialect
        var mount = Mount(
            name: Self.value("FERMATA_MOUNT", parameter) ?? parameter("SCRIPT_NAME") ?? "",
            principal: Self.principal(parameter),
            root: try Self.root(Self.value("FERMATA_ROOT", parameter), settings)
        )
        mount.publicURL = settings.publicURL
        dialect.configure(&mount)
        func set<Value>(
            _ name: String,
            _ path: WritableKeyPath<Mount, Value>,
            _ form: String,
            _ parse: (String) -> Value?
        ) throws(MountError) {
            guard let text = Self.value(name, parameter) else { return }
            guard let value = parse(text) else {
                throw MountError(description: "\(name) '\(text)' is not \(form)")
            }
            mount[keyPath: path] = value
        }
        try set("FERMATA_MAX_FILE", \.fileBytesMax, "a size such as 20g", Self.size)
        mount.partBytesMax = min(mount.partBytesMax, mount.fileBytesMax)
        try set("FERMATA_MAX_PART", \.partBytesMax, "a size such as 100m", Self.size)
        try set("FERMATA_MIN_PART", \.partBytesMin, "a size such as 100k", Self.size)
        try set("FERMATA_CHUNK", \.chunkBytes, "a size of at least 1, such as 20m") { text in
            Self.size(text).flatMap { $0 > 0 ? $0 : nil }
        }
        try set("FERMATA_TYPES", \.types, "a list of extensions and media types", Self.types)
        try set("FERMATA_EXPIRES", \.idleSeconds, "a time such as 24h", Self.seconds)
        try set("FERMATA_TOMBSTONE", \.tombstoneSeconds, "a time such as 15m", Self.seconds)
        try set("FERMATA_MAX_RANGES", \.disjointRangesMax, "a number from 1 to 1000000") { text in
            Int(text).flatMap { (1...1_000_000).contains($0) ? $0 : nil }
        }
        try set("FERMATA_URL_EXPIRES", \.urlSeconds, "a time such as 1h", Self.seconds)
        try set("FERMATA_REQUIRE_MD5", \.requiresDigest, "on or off", Self.flag)
        try set("FERMATA_REQUIRE_ORDER", \.requiresOrder, "on or off", Self.flag)
        try set("FERMATA_WRAP_LISTS", \.wrapsLists, "on or off", Self.flag)
        try set("FERMATA_FILE_KINDS", \.fileKinds, "a list of names", Self.names)
        try set("FERMATA_KEY_PREFIX", \.keyPrefix, "a path below the root") { text in
            RelativePath(parsing: text).flatMap { $0.name == nil ? nil : $0.text }
        }
        try set("FERMATA_BASE_URL", \.baseURL, "a URL without a slash at its end") { text in
            text.contains("://") && !text.hasSuffix("/") ? text : nil
        }
        try set("FERMATA_DURABILITY", \.durability, "publish or segment", Durability.init(rawValue:))
        try set("FERMATA_MAX_OPEN", \.principalLimits.openUploadsMax, "a number from 1 to 1000000") { text in
            Int(text).flatMap { (1...1_000_000).contains($0) ? $0 : nil }
        }
        try set("FERMATA_QUOTA", \.principalLimits.bytesMax, "a size such as 100g") { Self.size($0) }
        try set("FERMATA_RATE", \.bytesPerSecond, "a size of at least 1k, such as 10m") { text in
            Self.size(text).flatMap { $0 >= 1024 ? $0 : nil }
        }
        try set("FERMATA_CORS", \.origins, "a list of origins such as https://example.org, or *", Self.origins)
        try set("FERMATA_HOOK", \.handOff.hook, "an absolute path of a program", Self.program)
        try set("FERMATA_VETO", \.handOff.veto, "an absolute path of a program", Self.program)
        try set("FERMATA_MANIFEST", \.handOff.hasManifest, "on or off", Self.flag)
        try set("FERMATA_ON_COMPLETE", \.completionPath, "a path of this site") { $0.hasPrefix("/") ? $0 : nil }
        try set("FERMATA_REDIRECT", \.completionField, "X-Accel-Redirect, Location or off") { text in
            switch text.lowercased() {
            case "x-accel-redirect": "X-Accel-Redirect"
            case "location": "Location"
            case "off": ""
            default: nil
            }
        }
        try set("FERMATA_RESUME", \.allowsResume, "on or off", Self.flag)
        try set("FERMATA_CANCEL", \.allowsCancel, "on or off", Self.flag)
        try set("FERMATA_ANSWER_TYPE", \.answerType, "json, text or html") { text in
            switch text {
            case "json": "application/json; charset=utf-8"
            case "text": "text/plain; charset=utf-8"
            case "html": "text/html; charset=utf-8"
            default: nil
            }
        }
        self.mount = mount
    }

    /// The same for another request, which differs in who is uploading alone.
    func of(_ request: borrowing Request) -> MountParameters {
        var parameters = self
        parameters.mount.principal = Self.principal { request.parameter($0) }
        return parameters
    }

    /// Who is uploading. An expression of the administrator's own may be a token, so only its hash is kept
    /// (docs/dialects/README.md 0.9); when it is set but empty the principal is empty, as REMOTE_USER may be a name
    /// that nobody has checked.
    private static func principal(_ parameter: (String) -> String?) -> String {
        guard let expression = parameter("FERMATA_PRINCIPAL") else { return parameter("REMOTE_USER") ?? "" }
        return expression.isEmpty ? "" : sha256(expression)
    }

    /// A parameter; one that is empty counts as not set, as nginx passes empty variables.
    private static func value(_ name: String, _ parameter: (String) -> String?) -> String? {
        parameter(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    private static func root(_ text: String?, _ settings: ResponderSettings) throws(MountError) -> String {
        guard let text else { return settings.defaultRoot }
        guard text.hasPrefix("/") else {
            throw MountError(description: "FERMATA_ROOT '\(text)' is not an absolute path")
        }
        // A root that is not there is allowed by its name; opening it fails later, with the dialect's own answer.
        let path = realPath(text)
        guard settings.allowedRoots.contains(where: { path == $0 || path.hasPrefix($0 + "/") }) else {
            throw MountError(description: "FERMATA_ROOT '\(text)' is not allowed: start fermata with --allow-root")
        }
        return path
    }

    /// `512`, `100k`, `20m`, `20g`, `1t`: bytes, in powers of 1024.
    static func size(_ text: String) -> Int64? {
        scaled(text, ["k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40])
    }

    /// `90`, `90s`, `15m`, `24h`, `7d`: seconds.
    static func seconds(_ text: String) -> Int64? {
        scaled(text, ["s": 1, "m": 60, "h": 3600, "d": 86_400])
    }

    private static func scaled(_ text: String, _ units: [Character: Int64]) -> Int64? {
        var digits = text.lowercased()[...]
        var factor: Int64 = 1
        if let last = digits.last, let unit = units[last] {
            factor = unit
            digits.removeLast()
        }
        guard !digits.isEmpty, digits.allSatisfy({ $0.isASCII && $0.isNumber }), let number = Int64(digits) else {
            return nil
        }
        let (value, overflow) = number.multipliedReportingOverflow(by: factor)
        return overflow ? nil : value
    }

    /// `jpg,.png image/webp`: lower case, without leading dots.
    static func types(_ text: String) -> Set<String>? {
        let types = text.lowercased().split { $0 == "," || $0 == " " }
            .map { $0.hasPrefix(".") ? String($0.dropFirst()) : String($0) }
        return types.isEmpty ? nil : Set(types)
    }

    /// `master include`: names that are safe as a component of a path.
    static func names(_ text: String) -> Set<String>? {
        let names = text.split { $0 == "," || $0 == " " }.map(String.init)
        return names.isEmpty || names.contains { RelativePath(component: $0) == nil } ? nil : Set(names)
    }

    /// `https://example.org http://localhost:3000`, or `*`: lower case.
    static func origins(_ text: String) -> Set<String>? {
        let origins = text.lowercased().split { $0 == "," || $0 == " " }.map(String.init)
        let areAll = origins.allSatisfy { origin in
            if origin == CrossOrigin.any { return true }
            guard let url = URLComponents(string: origin), url.scheme != nil, url.host != nil else { return false }
            return url.path.isEmpty && url.query == nil
        }
        return origins.isEmpty || !areAll ? nil : Set(origins)
    }

    /// A program that this process may run.
    private static func program(_ text: String) -> String?? {
        text.hasPrefix("/") && FileManager.default.isExecutableFile(atPath: text) ? text : .none
    }

    private static func flag(_ text: String) -> Bool? {
        switch text.lowercased() {
        case "on": true
        case "off": false
        default: nil
        }
    }
}

/// The path without symbolic links, `.` and `..`, as far as it exists.
private func realPath(_ path: String) -> String {
    URL(fileURLWithPath: path).resolvingSymlinksInPath().path
}
