/// Whose upload, on which mount, under which identifier: the only way to look a session up (docs/dialects/README.md
/// 0.9).
public struct SessionKey: Hashable, Sendable {
    /// The name of the mount (`Mount.name`).
    @ByBytes public private(set) var mount: String
    /// The root of the mount: mounts of one name and different roots do not see each other's sessions.
    @ByBytes public private(set) var root: String
    /// Who is uploading, as the web server says; empty when it says nothing.
    @ByBytes public private(set) var principal: String
    /// The dialect's own identifier, often chosen by the client and never unique by itself.
    @ByBytes public private(set) var id: String

    /// The key of a session of a mount's principal.
    public init(on mount: Mount, id: String) {
        self.init(mount: mount.name, root: mount.root, principal: mount.principal, id: id)
    }

    /// A key of its parts.
    public init(mount: String, root: String = "", principal: String, id: String) {
        self.mount = mount
        self.root = root
        self.principal = principal
        self.id = id
    }
}

/// One file of a session.
public struct FileKey: Hashable, Sendable {
    /// The session.
    public let session: SessionKey
    /// The name of the file in it, such as a form field; empty where a session has one file only.
    @ByBytes public private(set) var field: String

    /// The file of a session under a name.
    public init(_ session: SessionKey, field: String = "") {
        self.session = session
        self.field = field
    }
}

/// What a client declares of one file before its bytes; fixed by the first segment that is accepted.
public struct FileSpec: Hashable, Sendable {
    /// The name of the file in its session, such as the form field that carries it.
    @ByBytes public private(set) var field: String
    /// The client's own file name, as sent; empty when it sent none.
    @ByBytes public private(set) var fileName: String
    /// The media type, as sent.
    @ByBytes public private(set) var mediaType: String
    /// Where to publish it.
    public let target: Target
    /// The size of the whole file in bytes; 0 as long as nobody knows it, in an upload in parts.
    public let total: Int64

    /// A declaration of its parts; `total` is not negative.
    public init(field: String, fileName: String, mediaType: String, target: Target, total: Int64) {
        precondition(total >= 0)
        self.field = field
        self.fileName = fileName
        self.mediaType = mediaType
        self.target = target
        self.total = total
    }

    /// The same declaration with another total.
    public func with(total: Int64) -> FileSpec {
        FileSpec(field: field, fileName: fileName, mediaType: mediaType, target: target, total: total)
    }

    /// Whether a segment declared as `other` belongs to the same file (docs/dialects/dcloud.md 1.4.3).
    public func isSameFile(as other: FileSpec) -> Bool {
        total == other.total && fileName.isSame(as: other.fileName)
    }
}

/// A data field of a form.
public struct FormField: Hashable, Sendable {
    /// The name of the field.
    @ByBytes public private(set) var name: String
    /// Its value.
    @ByBytes public private(set) var value: String

    /// A field of its name and value.
    public init(name: String, value: String) {
        self.name = name
        self.value = value
    }
}

extension Sequence<FormField> {
    /// The values of each name, both in the order in which they came first.
    public func valuesByName() -> [(name: String, values: [String])] {
        var groups: [(name: String, values: [String])] = []
        var indices: [ByBytes: Int] = [:]
        for field in self {
            if let index = indices[ByBytes(field.name)] {
                groups[index].values.append(field.value)
            } else {
                indices[ByBytes(field.name)] = groups.count
                groups.append((field.name, [field.value]))
            }
        }
        return groups
    }

    /// The fields with those of a later request, which take the place of all values of their names.
    public func replacing(with later: [FormField]) -> [FormField] {
        let names = Set(later.map { ByBytes($0.name) })
        return filter { !names.contains(ByBytes($0.name)) } + later
    }
}

/// What can be told of a file to its client.
public enum FileState: Hashable, Sendable {
    /// It takes bytes.
    case open
    /// It has its final name, a path below the root.
    case published(path: String)
    /// Its client has given it up.
    case cancelled
}

/// How far one file of a session has come.
public struct FileProgress: Hashable, Sendable {
    /// What the client declared.
    public let spec: FileSpec
    /// The contiguous prefix in bytes: the next byte wanted.
    public let prefix: Int64
    /// Where it is on its way.
    public let state: FileState
    /// The committed parts, ascending, of an upload in parts; once it is published, those that the file is made of.
    public let parts: [Part]
    /// How its bytes come.
    public let kind: NewUpload.Kind
    /// Whether it is open only because it is not known yet that it has its final name.
    public let isBeingPublished: Bool

    /// The progress of a file.
    public init(
        spec: FileSpec,
        prefix: Int64,
        state: FileState = .open,
        parts: [Part] = [],
        kind: NewUpload.Kind = .ranges,
        isBeingPublished: Bool = false
    ) {
        self.isBeingPublished = isBeingPublished
        self.spec = spec
        self.prefix = prefix
        self.state = state
        self.parts = parts
        self.kind = kind
    }

    /// The same file, published.
    public func published(as file: PublishedFile) -> FileProgress {
        let total = file.spec.total
        return FileProgress(
            spec: file.spec,
            prefix: total,
            state: .published(path: file.path),
            parts: parts,
            kind: kind
        )
    }

    /// True once the file has its final name.
    public var isPublished: Bool {
        switch state {
        case .published: true
        case .open, .cancelled: false
        }
    }
}

/// What is known of a session: its files in order of first appearance, and its data fields.
public struct SessionProgress: Hashable, Sendable {
    /// The files, in order of first appearance.
    public let files: [FileProgress]
    /// The data fields, with all values of each, in their order.
    public let fields: [FormField]

    /// The file of a name; `nil` when there is none.
    public func file(_ field: String) -> FileProgress? { files.first { $0.spec.field.isSame(as: field) } }

    /// The last value of a data field; `nil` when there is none.
    public func value(_ name: String) -> String? { fields.last { $0.name.isSame(as: name) }?.value }

    /// The progress of a session.
    public init(files: [FileProgress], fields: [FormField]) {
        self.files = files
        self.fields = fields
    }
}

/// What is known of a session, but for the values of its data fields.
public struct SessionOutline: Hashable, Sendable {
    /// The files, in order of first appearance.
    public let files: [FileProgress]
    /// The names of the data fields, in order of first appearance.
    public let fieldNames: [String]

    /// The outline of a session.
    public init(files: [FileProgress], fieldNames: [String]) {
        self.files = files
        self.fieldNames = fieldNames
    }
}

/// A file that has its final name.
public struct PublishedFile: Hashable, Sendable {
    /// What the client declared.
    public let spec: FileSpec
    /// The path below the mount's root: the stored name, which may differ from the client's.
    public let path: String

    /// A file published at `path`.
    public init(spec: FileSpec, path: String) {
        self.spec = spec
        self.path = path
    }
}
