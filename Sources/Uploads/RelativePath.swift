/// A path below the root of a mount, made of a client's text (docs/dialects/README.md 0.7).
///
/// 1. No component is empty, `.`, `..` or the folder in which Fermata stages files, and none holds a slash or a control
///    character; a backslash is an ordinary character.
/// 2. No component has more than 255 bytes, and the path no more than 4096.
/// 3. The path without components is the root itself.
/// 4. Two paths are the same when their bytes are (`ByBytes`).
public struct RelativePath: Hashable, Sendable {
    /// The longest component in bytes.
    public static let componentBytesMax = 255
    /// The longest path in bytes.
    public static let bytesMax = 4096
    /// How many components a client's path may have: each is a folder to be made.
    public static let depthMax = 64
    /// The folder below each root that no client's path may name.
    public static let stagingFolderName = ".fermata"

    /// The components, from the root down.
    public let components: [String]

    /// The root itself.
    public static let root = RelativePath(unchecked: [])

    /// Reads a client's path; `nil` when it breaks a rule. A leading slash, `.` components and repeated slashes are
    /// dropped.
    public init?(parsing text: String) {
        guard text.utf8.count <= Self.bytesMax else { return nil }
        let components = text.utf8.split(separator: UInt8(ascii: "/")).map { String(Substring($0)) }
            .filter { $0 != "." }
        guard components.allSatisfy(Self.isSafe) else { return nil }
        self.components = components
    }

    /// Reads a client's path as a mount takes it; `nil` also when it is too deep, or a name begins with a dot that must not.
    public init?(parsing text: String, on mount: Mount) {
        self.init(parsing: text)
        guard components.count <= Self.depthMax else { return nil }
        if !mount.allowsDotFiles, components.contains(where: { $0.utf8.first == UInt8(ascii: ".") }) { return nil }
    }

    /// The path of one component; `nil` when that is not safe.
    public init?(component: String) {
        guard !component.utf8.contains(UInt8(ascii: "/")), component != ".", Self.isSafe(component) else { return nil }
        components = [component]
    }

    private init(unchecked components: [String]) {
        self.components = components
    }

    /// The path with another below it; `nil` when that is too long, or too deep.
    public func appending(_ path: RelativePath) -> RelativePath? {
        let joined = RelativePath(unchecked: components + path.components)
        return joined.text.utf8.count <= Self.bytesMax && joined.components.count <= Self.depthMax ? joined : nil
    }

    /// The folder that holds it; the root holds itself.
    public var parent: RelativePath { RelativePath(unchecked: components.dropLast()) }

    /// The last component; `nil` for the root.
    public var name: String? { components.last }

    /// The components with slashes between them.
    public var text: String { components.joined(separator: "/") }

    public static func == (one: RelativePath, other: RelativePath) -> Bool {
        one.components.elementsEqual(other.components) { $0.isSame(as: $1) }
    }

    public func hash(into hasher: inout Hasher) {
        for component in components { hasher.combine(ByBytes(component)) }
    }

    private static func isSafe(_ component: String) -> Bool {
        !component.isEmpty && component != ".." && component != stagingFolderName
            && component.utf8.count <= componentBytesMax
            && !component.unicodeScalars.contains { $0.value < 0x20 || (0x7F...0x9F).contains($0.value) }
    }
}
