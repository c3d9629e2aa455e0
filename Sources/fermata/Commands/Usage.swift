import ArgumentParser
import Engine
import Ledger

/// `fermata usage`: what quotas count.
struct Usage: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List or set what FERMATA_QUOTA counts of finished files.",
        discussion: """
            Open uploads count with the size that they are to have; what is listed here is of finished files. Fermata does
            not see the site remove files: tell it with set.
            """,
        subcommands: [List.self, Set.self],
        defaultSubcommand: List.self
    )

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List bytes, mount and principal, separated by tabs."
        )

        @OptionGroup var stateDirectory: StateDirectory

        func run() throws {
            for usage in try stateDirectory.openExistingEngine().usage() {
                print("\(usage.bytes)\t\(Readable.text(usage.mount))\t\(Readable.text(usage.principal))")
            }
        }
    }

    struct Set: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Set the bytes of a principal's finished files.")

        @OptionGroup var stateDirectory: StateDirectory
        @Option(help: "As list has it.") var mount: String
        @Option(help: "As list has it; empty for those without a name.") var principal = ""
        @Argument(help: "How many, from 0 on.") var bytes: Int64

        func validate() throws {
            guard bytes >= 0 else { throw ValidationError("bytes must not be negative") }
        }

        func run() throws {
            try stateDirectory.openExistingEngine().setUsage(bytes, of: principal, on: mount)
        }
    }
}
