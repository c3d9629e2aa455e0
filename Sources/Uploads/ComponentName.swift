/// File names that one component of a path can hold, cut and numbered so that what their extension is does not change.
///
/// All of it goes by bytes and Unicode scalars: a letter with a combining mark is one character, and may be as long as a name.
public enum ComponentName {
    /// The longest extension that is known as one, in bytes, with its dot; a name with a longer one is not cut.
    private static let extensionBytesMax = 32

    /// `image.jpg`, 2 -> `image[2].jpg` (docs/dialects/dcloud.md 1.4.7); shortened at the end of its stem where it would be
    /// too long.
    ///
    /// - Parameter room: how many bytes are to be left for what is put behind the name.
    public static func numbered(_ name: String, _ number: Int, sparing room: Int = 0) -> String {
        let (stem, suffix) = parts(name)
        if suffix.utf8.count <= extensionBytesMax { return cut(stem, before: "[\(number)]" + suffix, sparing: room) }
        // The last dot of such a name does not begin an extension that means anything, and none that does comes of this.
        return cut(name[...], before: "[\(number)]", sparing: room)
    }

    /// What stands before a suffix at the end of a name; `nil` when the name ends otherwise, or is the suffix.
    public static func stem(of name: String, before suffix: String) -> String? {
        let (name, suffix) = (name.utf8, suffix.utf8)
        guard name.count > suffix.count, name.suffix(suffix.count).elementsEqual(suffix) else { return nil }
        return String(Substring(name.dropLast(suffix.count)))
    }

    /// The name, shortened at the end of its stem to what a file system takes; `nil` when its extension is too long for that.
    ///
    /// - Parameter room: how many bytes are to be left for what is put behind the name.
    public static func fitted(_ name: String, sparing room: Int = 0) -> String? {
        guard name.utf8.count > RelativePath.componentBytesMax - room else { return name }
        let (stem, suffix) = parts(name)
        return suffix.utf8.count <= extensionBytesMax ? cut(stem, before: String(suffix), sparing: room) : nil
    }

    /// The name without dots at its beginning, which hide a file, and configure many a web server; `nil` when nothing is left.
    public static func visible(_ name: String) -> String? {
        let scalars = name.unicodeScalars.drop { $0 == "." }
        return scalars.isEmpty ? nil : String(scalars)
    }

    /// The extension that a web server goes by, lower case, without its dot; `nil` when there is none. Dots and spaces at the
    /// end of a name do not count, as some programs drop them, and a name may be nothing but an extension: `.htaccess`.
    public static func fileExtension(_ name: String) -> String? {
        let scalars = name.unicodeScalars
        var end = scalars.endIndex
        while end > scalars.startIndex, isDropped(scalars[scalars.index(before: end)]) {
            end = scalars.index(before: end)
        }
        guard let dot = scalars[..<end].lastIndex(of: ".") else { return nil }
        return String(scalars[scalars.index(after: dot)..<end]).lowercased()
    }

    /// A name as what stands before its extension, and that with its dot and the dots and spaces behind it. What begins with
    /// its only dot has none.
    private static func parts(_ name: String) -> (stem: Substring, suffix: Substring) {
        let scalars = name.unicodeScalars
        var end = scalars.endIndex
        while end > scalars.startIndex, isDropped(scalars[scalars.index(before: end)]) {
            end = scalars.index(before: end)
        }
        guard let dot = scalars[..<end].lastIndex(of: "."), dot > scalars.startIndex else { return (name[...], "") }
        return (Substring(scalars[..<dot]), Substring(scalars[dot...]))
    }

    private static func isDropped(_ scalar: Unicode.Scalar) -> Bool { scalar == "." || scalar == " " }

    private static func cut(_ stem: Substring, before suffix: String, sparing room: Int) -> String {
        var stem = stem.unicodeScalars
        var count = stem.reduce(0) { $0 + UTF8.width($1) }
        let left = RelativePath.componentBytesMax - room - suffix.utf8.count
        while count > left, let last = stem.popLast() { count -= UTF8.width(last) }
        return String(stem) + suffix
    }
}
