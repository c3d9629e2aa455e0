import Dialects
import Foundation
import Mounts
import Testing
import Uploads

/// What is said of settings anywhere is what the table of them says.
@Suite struct SettingTableTests {
    private let table = SettingTable(.shipped)
    private static let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private func text(_ path: String) throws -> String {
        try String(contentsOf: Self.project.appending(path: path), encoding: .utf8)
    }

    private func expect(
        _ path: String,
        holds expected: String,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        #expect(
            try text(path).contains(expected),
            "\(path) must have, word for word:\n\(expected)",
            sourceLocation: sourceLocation
        )
    }

    @Test("the table of docs/settings.md is this one")
    func documentation() throws {
        try expect("docs/settings.md", holds: "\n" + table.markdown + "\n")
    }

    @Test(
        "a location file tells of its dialect's own settings, with their defaults",
        arguments: DialectRegistry.shipped.names
    )
    func locations(name: String) throws {
        let dialect = try #require(DialectRegistry.shipped[name])
        let file = "nginx/locations/\(name).conf"
        try expect(file, holds: table.comment(dialect))
        let comments = try text(file).split(separator: "\n").filter { $0.hasPrefix("#") && $0.contains("FERMATA_") }
        let told = table.comment(dialect).split(separator: "\n")
        for comment in comments where comment.contains("#   FERMATA_") { #expect(told.contains(comment), "\(comment)") }
    }

    @Test("each setting has one name, one declaration, and no full stop behind its help")
    func declarations() {
        #expect(table.names.count == table.settings.count)
        for setting in table.settings {
            #expect(setting.name.hasPrefix("FERMATA_") && !setting.help.hasSuffix("."), "\(setting.name)")
            #expect(!setting.help.contains("|") && !setting.form.contains("|"), "\(setting.name)")
        }
    }

    @Test("what is told as a default is read as the same value", arguments: DialectRegistry.shipped.names)
    func defaults(name: String) throws {
        let dialect = try #require(DialectRegistry.shipped[name])
        let mount = dialect.mount(name: "/m", root: "/nowhere")
        for setting in table.settings {
            let (text, isWritten) = setting.value(in: mount)
            guard isWritten else { continue }
            var changed = mount
            #expect(setting.set(text, in: &changed), "\(setting.name) \(text)")
            #expect(changed == mount, "\(setting.name) \(text)")
        }
    }

    @Test("dialects have names of their own")
    func names() {
        let names = DialectRegistry.shipped.names
        #expect(Set(names).count == names.count)
        #expect(names.allSatisfy { $0.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) } })
    }
}
