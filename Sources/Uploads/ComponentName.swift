/// File names that one component of a path can hold.
public enum ComponentName {
    /// The longest extension that a shortened name keeps, in bytes, with its dot.
    private static let extensionBytesMax = 32

    /// `image.jpg`, 2 -> `image[2].jpg` (docs/dialects/dcloud.md 1.4.7); shortened at the end of its stem where it
    /// would be too long.
    public static func numbered(_ name: String, _ number: Int) -> String {
        let dot = stemEnd(name)
        return fitted(stem: name[..<dot], suffix: "[\(number)]" + name[dot...])
    }

    /// The name, shortened to what a file system takes, keeping its extension.
    public static func fitted(_ name: String) -> String {
        guard name.utf8.count > RelativePath.componentBytesMax else { return name }
        let dot = stemEnd(name)
        let suffix = name[dot...].utf8.count <= extensionBytesMax ? String(name[dot...]) : ""
        return fitted(stem: suffix.isEmpty ? name[...] : name[..<dot], suffix: suffix)
    }

    private static func stemEnd(_ name: String) -> String.Index {
        name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    }

    private static func fitted(stem: Substring, suffix: String) -> String {
        var stem = stem
        let room = max(0, RelativePath.componentBytesMax - suffix.utf8.count)
        while stem.utf8.count > room { stem.removeLast() }
        return stem + suffix
    }
}
