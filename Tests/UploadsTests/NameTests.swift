import Testing
import Uploads

@Suite struct NameTests {
    private func isName(_ text: String?) -> Bool { text.flatMap { RelativePath(component: $0) } != nil }

    @Test(
        "cutting a name keeps its extension and something before it, whatever its letters are",
        arguments: [
            ("a" + String(repeating: "\u{301}", count: 300) + ".php", ".php"),
            (String(repeating: "x", count: 300) + ".tar.gz", ".gz"),
            (String(repeating: "文", count: 100) + ".docx", ".docx"), (String(repeating: "x", count: 300), ""),
            (String(repeating: "x", count: 300) + ".php. .", ".php. ."),
            ("." + String(repeating: "x", count: 300), ""),
        ]
    )
    func cutting(name: String, suffix: String) throws {
        let cut = try #require(ComponentName.fitted(name))
        #expect((250...255).contains(cut.utf8.count))
        #expect(cut.utf8.reversed().starts(with: suffix.utf8.reversed()))
        #expect(cut.utf8.count > suffix.utf8.count)
        #expect(cut.utf8.first == name.utf8.first)
        #expect(ComponentName.fileExtension(cut).map { _ in 1 } == ComponentName.fileExtension(name).map { _ in 1 })
        #expect(isName(cut) && isName(ComponentName.numbered(cut, 1_000_000)))
    }

    @Test("a name that could only be cut within its extension is not cut to another one")
    func longExtension() {
        #expect(
            ComponentName.fitted(String(repeating: "x", count: 251) + ".php" + String(repeating: "y", count: 50)) == nil
        )
        #expect(ComponentName.fitted("x." + String(repeating: "y", count: 300)) == nil)
    }

    @Test(
        "numbered names fit, and differ",
        arguments: [
            "a." + String(repeating: "x", count: 253), String(repeating: "x", count: 251) + ".jpg", "a.jpg",
            ".htaccess",
        ]
    )
    func numbers(name: String) {
        let names = [1, 2, 10, 1_000_000].map { ComponentName.numbered(name, $0) }
        #expect(Set(names).count == 4 && names.allSatisfy(isName))
        #expect(ComponentName.numbered("image.jpg", 2) == "image[2].jpg")
    }

    @Test(
        "the extension is the last one, without dots and spaces behind it",
        arguments: [
            ("a.jpg", "jpg"), ("a.PHP", "php"), ("a.jpg.php", "php"), ("evil.php.", "php"), ("evil.php . ", "php"),
            (".htaccess", "htaccess"), ("a", nil), ("a.", nil), ("", nil), ("...", nil), ("a.\u{301}php", "\u{301}php"),
        ] as [(String, String?)]
    )
    func extensions(name: String, expected: String?) { #expect(ComponentName.fileExtension(name) == expected) }

    @Test(
        "names lose the dots at their beginning, as bytes have them",
        arguments: [
            (".htaccess", "htaccess"), ("..user.ini", "user.ini"), (".\u{301}a", "\u{301}a"), ("a.b", "a.b"),
            ("..", nil),
        ] as [(String, String?)]
    )
    func dots(name: String, expected: String?) { #expect(ComponentName.visible(name) == expected) }

    @Test("a client's path is no deeper than may be, and names nothing hidden unless the mount allows it")
    func paths() throws {
        var mount = Mount(name: "m", root: "/r")
        let deepest = Array(repeating: "a", count: RelativePath.depthMax).joined(separator: "/")
        #expect(RelativePath(parsing: deepest, on: mount) != nil)
        #expect(RelativePath(parsing: deepest + "/a", on: mount) == nil)
        #expect(RelativePath(parsing: deepest + "/a") != nil, "one that the ledger has is read all the same")
        let half = try #require(RelativePath(parsing: deepest, on: mount))
        #expect(half.appending(half) == nil)
        for hidden in [".htaccess", "a/.git/config", ".a/b", "a/..b", ".\u{301}a"] {
            mount.allowsDotFiles = false
            #expect(RelativePath(parsing: hidden, on: mount) == nil)
            mount.allowsDotFiles = true
            #expect(RelativePath(parsing: hidden, on: mount) != nil)
        }
        mount.allowsDotFiles = false
        #expect(RelativePath(parsing: "./a/./b", on: mount)?.text == "a/b")
        mount.allowsDotFiles = true
        #expect(RelativePath(parsing: "a/.fermata/b", on: mount) == nil)
    }

    @Test(
        "where extensions are listed they decide, not what the client says of the type",
        arguments: [
            ("jpg image/jpeg", "a.jpg", "", true), ("jpg image/jpeg", "a.JPG", "text/html", true),
            ("jpg image/jpeg", "evil.php", "image/jpeg", false),
            ("jpg image/jpeg", "evil.jpg.php", "image/jpeg", false),
            ("jpg image/jpeg", "evil.php.", "image/jpeg", false), ("jpg image/jpeg", "evil.php ", "image/jpeg", false),
            ("jpg image/jpeg", ".htaccess", "image/jpeg", false), ("jpg image/jpeg", "photo", "image/jpeg", true),
            ("jpg image/jpeg", "photo", "Image/JPEG; q=1", true), ("jpg image/jpeg", "photo", "text/html", false),
            ("jpg", "photo", "", false), ("jpg image/webp", "a.webp", "image/webp", true),
            ("jpg image/webp", "a.webp", "text/html", false), ("image/jpeg", "a.jpg", "image/jpeg", true),
            ("image/jpeg", "a.jpg", "", false), ("image/jpeg", "evil.php", "image/jpeg", true),
        ]
    )
    func types(list: String, name: String, type: String, isAllowed: Bool) {
        var mount = Mount(name: "m", root: "/r")
        mount.types = Set(list.split(separator: " ").map(String.init))
        #expect(mount.allows(fileName: name, mediaType: type) == isAllowed)
    }

    @Test(
        "what moves the cursor, turns the text or hides is shown as its number; words stay",
        arguments: [
            ("a b.jpg", "a b.jpg"), ("文 é ا", "文 é ا"), ("a\u{202E}gpj.exe", "a\\u{202E}gpj.exe"),
            ("a\u{1B}[2J\n", "a\\u{1B}[2J\\u{A}"), ("\u{9B}1m", "\\u{9B}1m"),
            ("a\u{2066}\u{2028}\u{FEFF}", "a\\u{2066}\\u{2028}\\u{FEFF}"),
            ("\u{1F468}\u{200D}\u{1F466}", "\u{1F468}\u{200D}\u{1F466}"),
        ]
    )
    func shown(text: String, expected: String) { #expect(text.shown == expected) }
}
