/// File names that one component of a path can hold.
public enum ComponentName {
    /// The longest extension that a shortened name keeps, in bytes, with its dot.
    private static let extensionBytesMax = 32

    /// `image.jpg`, 2 -> `image[2].jpg` (docs/dialects/dcloud.md 1.4.7); shortened at the end of its stem where it would be too long.
    ///
    /// - Parameter room: how many bytes are to be left for what is put behind the name.
    public static func numbered(_ name: String, _ number: Int, sparing room: Int = 0) -> String {
        let dot = stemEnd(name)
        return fitted(stem: name[..<dot], suffix: "[\(number)]" + name[dot...], sparing: room)
    }

    /// What stands before a suffix at the end of a name; `nil` when the name ends otherwise, or is the suffix.
    public static func stem(of name: String, before suffix: String) -> String? {
        let (name, suffix) = (name.utf8, suffix.utf8)
        guard name.count > suffix.count, name.suffix(suffix.count).elementsEqual(suffix) else { return nil }
        return String(Substring(name.dropLast(suffix.count)))
    }

    /// The name, shortened to what a file system takes, keeping its extension.
    ///
    /// - Parameter room: how many bytes are to be left for what is put behind the name.
    public static func fitted(_ name: String, sparing room: Int = 0) -> String {
        guard name.utf8.count > RelativePath.componentBytesMax - room else { return name }
        let dot = stemEnd(name)
        let suffix = name[dot...].utf8.count <= extensionBytesMax ? String(name[dot...]) : ""
        return fitted(stem: suffix.isEmpty ? name[...] : name[..<dot], suffix: suffix, sparing: room)
    }

    private static func stemEnd(_ name: String) -> String.Index {
        name.lastIndex(of: ".").flatMap { $0 == name.startIndex ? nil : $0 } ?? name.endIndex
    }

    private static func fitted(stem: Substring, suffix: String, sparing room: Int) -> String {
        var stem = stem
        let left = max(0, RelativePath.componentBytesMax - room - suffix.utf8.count)
        while stem.utf8.count > left { stem.removeLast() }
        return stem + suffix
    }
}
