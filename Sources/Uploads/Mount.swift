/// What the web server configured for one location (docs/settings.md).
public struct Mount: Hashable, Sendable {
    /// The name of the mount in the ledger and in logs: the administrator's own, or `defaultName`.
    public var name: String
    /// The protocol that it speaks, by the name that `FERMATA_DIALECT` gives it.
    public var dialect = ""
    /// Who is uploading; empty when the web server says nothing.
    public var principal: String
    /// The directory in which finished files appear, an absolute path.
    public var root: String
    /// The largest file in bytes.
    public var fileBytesMax: Int64
    /// The largest single part in bytes.
    public var partBytesMax: Int64
    /// The least size of every part but a file's last, in bytes (docs/dialects/parts.md 3.4).
    public var partBytesMin: Int64
    /// The size of parts that clients are told to send, in bytes (docs/dialects/fileid.md 2.3, docs/dialects/signed.md
    /// 5.2).
    public var chunkBytes: Int64
    /// Allowed file name extensions (without dot) and media types, lower case; empty allows all.
    public var types: Set<String>
    /// Whether a file or a folder may have a name that begins with a dot.
    public var allowsDotFiles = false
    /// How long a session lives without a byte, in seconds.
    public var idleSeconds: Int64
    /// How long a published file stays in its session, in seconds; 0 forgets it at once.
    public var tombstoneSeconds: Int64
    /// The largest number of disjoint ranges in one file.
    public var disjointRangesMax: Int
    /// The longest value of a field in a form, in bytes (`FERMATA_MAX_FIELD`).
    public var fieldBytesMax = 64 << 10
    /// How many bytes the values of all fields of a form have at most, and names and values of all fields of a session
    /// (`FERMATA_MAX_FIELDS`).
    public var allFieldBytesMax = 1 << 20
    /// How many parts a form has at most, and how many values a session (`FERMATA_MAX_PARTS_IN_FORM`).
    public var formPartsMax = 1_000
    /// When an acknowledged segment is on disk.
    public var durability: Durability
    /// Whether clients may resume; when not, they are told to upload plainly.
    public var allowsResume: Bool
    /// Whether each part must come with its MD5 (docs/dialects/parts.md 3.3).
    public var requiresDigest: Bool
    /// Whether parts must be listed in ascending order (docs/dialects/parts.md D1-8).
    public var requiresOrder: Bool
    /// Whether a list of parts is a member of an object (docs/dialects/parts.md D1-6).
    public var wrapsLists: Bool
    /// The kinds of file that one task may have (docs/dialects/signed.md 5.2).
    public var fileKinds: Set<String>
    /// The first component of the paths that the server chooses (docs/dialects/signed.md 5.2).
    public var keyPrefix: String
    /// How long a URL for a part is valid, in seconds (docs/dialects/signed.md 5.1).
    public var urlSeconds: Int64
    /// The URL of the mount itself, without a slash at its end; empty takes it from the request.
    public var baseURL: String
    /// What each principal may have.
    public var principalLimits = PrincipalLimits()
    /// How many bytes a second each principal may send to a process, on average; `nil` for any number.
    public var bytesPerSecond: Int64?
    /// The origins whose pages may upload (Fetch 3.2), lower case, or `*` for all; empty when none but the site's own
    /// may.
    public var origins: Set<String> = []
    /// Whether pages of other sites are refused that are not of `origins` (`FERMATA_SAME_SITE`).
    public var requiresSameSite = false
    /// What is to be done with files once they are whole.
    public var handOff = HandOff()
    /// The path of this site that makes the answer when a file is published; empty leaves it to the dialect.
    public var completionPath = ""
    /// The header field that has the web server go on with that path; empty where it can not.
    public var completionField = "X-Accel-Redirect"
    /// Whether clients may cancel a session.
    public var allowsCancel: Bool
    /// What published paths are prefixed with in answers; empty leaves them relative.
    public var publicURL: String
    /// The media type of answers; hidden-iframe clients need `text/html` (docs/dialects/README.md 0.2).
    public var answerType: String

    /// Settings of the dialect's own that no property stands for, by their names, as they are written.
    public var own: [String: String] = [:]

    /// A mount with the defaults of docs/settings.md.
    public init(name: String, principal: String = "", root: String) {
        self.name = name
        self.principal = principal
        self.root = root
        fileBytesMax = Self.defaultFileBytesMax
        partBytesMax = Self.defaultFileBytesMax
        types = []
        idleSeconds = 24 * 3600
        tombstoneSeconds = 15 * 60
        partBytesMin = 0
        chunkBytes = 20 << 20
        requiresDigest = true
        requiresOrder = false
        wrapsLists = false
        fileKinds = ["master", "include"]
        keyPrefix = "tasks"
        urlSeconds = 3600
        baseURL = ""
        disjointRangesMax = Self.defaultDisjointRangesMax
        durability = .publish
        allowsResume = true
        allowsCancel = false
        publicURL = ""
        answerType = "application/json; charset=utf-8"
    }

    /// The origin that stands for all.
    public static let anyOrigin = "*"

    /// What a default name begins with, and no other.
    public static let defaultNamePrefix = "//"

    /// The name of a mount that has none of its own: its server and its path, as a reference without a scheme
    /// (RFC 3986 4.2). Servers of one path are different mounts.
    public static func defaultName(server: String, port: String, path: String) -> String {
        defaultNamePrefix + server + (port.isEmpty ? "" : ":" + port) + path
    }

    /// What the mount of a default name was called in ledgers before the server belonged to it: its path; `nil` of any
    /// other name.
    public static func formerName(of name: String) -> String? {
        guard name.hasPrefix(defaultNamePrefix) else { return nil }
        let rest = name.utf8.dropFirst(defaultNamePrefix.utf8.count)
        return String(decoding: rest.drop { $0 != UInt8(ascii: "/") }, as: UTF8.self)
    }

    /// 1 TiB.
    public static let defaultFileBytesMax: Int64 = 1 << 40
    /// Enough for 6 GiB in segments of 100 KiB that come in a random order, which leaves a quarter as many ranges as
    /// segments at its worst (docs/dialects/dcloud.md 1.4.3).
    public static let defaultDisjointRangesMax = 16_384

    /// The server in the default name of a mount; `nil` of any other name.
    public static func server(of name: String) -> String? {
        guard name.hasPrefix(defaultNamePrefix) else { return nil }
        let rest = name.utf8.dropFirst(defaultNamePrefix.utf8.count)
        return String(decoding: rest.prefix { $0 != UInt8(ascii: "/") }, as: UTF8.self)
    }

    /// A name as people and programs know the mount: without the server, where that belongs to it by default.
    public static func shortName(of name: String) -> String { formerName(of: name) ?? name }

    /// The mount as it is for another principal.
    public func of(_ principal: String) -> Mount {
        var mount = self
        mount.principal = principal
        return mount
    }

    /// The longest time by which an expiry is put off, in seconds.
    private static let expiryStepMax: Int64 = 60

    /// When a session expires that has had its last byte now, in seconds since 1970: after `idleSeconds`, and up to a
    /// minute or a 60th of that later, so that not every request changes it.
    public func expiry(at now: Int64) -> Int64 {
        let step = max(1, min(Self.expiryStepMax, idleSeconds / 60))
        return (now + idleSeconds + step - 1) / step * step
    }
}

/// When an acknowledged segment is on disk (docs/guarantees.md).
public enum Durability: String, Hashable, Sendable {
    /// Synced when the file is published; until then a checksum says which bytes a power cut has spared.
    case publish
    /// Synced, bytes and ledger, before each acknowledgement.
    case segment
}
