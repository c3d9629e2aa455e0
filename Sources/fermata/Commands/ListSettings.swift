import ArgumentParser
import Dialects
import Mounts

/// Lists what a location of the web server may say.
struct ListSettings: ParsableCommand {
    private static let dialects = DialectRegistry.shipped
    private static let table = SettingTable(dialects)

    static let configuration = CommandConfiguration(
        commandName: "settings",
        abstract: "Lists the settings of a mount.",
        discussion: """
            A setting is a line in a location of nginx, such as  fastcgi_param FERMATA_MAX_FILE 20g;  and in Apache a
            SetEnv. docs/settings.md says more.

            \(table.text())
            """
    )

    @Argument(help: "Lists those of a dialect, with its defaults: \(dialects.names.joined(separator: ", ")).")
    var dialect: String?

    func run() throws {
        guard let name = dialect else { return print(Self.table.text()) }
        guard let dialect = Self.dialects[name] else {
            throw ValidationError("'\(name)' is none of \(Self.dialects.names.joined(separator: ", "))")
        }
        print("\(dialect.name): \(dialect.summary)\n\n\(Self.table.text(dialect))")
    }
}
