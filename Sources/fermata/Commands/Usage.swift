import ArgumentParser
import Engine
import Ledger
import Uploads

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
            let all = try stateDirectory.openExistingEngine().usage()
            let mounts = Swift.Set(all.map(\.mount))
            for usage in all {
                let mount = Usage.name(of: usage.mount, among: mounts)
                print("\(usage.bytes)\t\(mount.shown)\t\(usage.principal.shown)")
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
            let engine = try stateDirectory.openExistingEngine()
            let all = try engine.usage()
            let mounts = Swift.Set(all.map(\.mount))
            let name = mounts.first { Usage.name(of: $0, among: mounts) == mount } ?? mount
            let principals = all.filter { $0.mount == name }.map(\.principal)
            // What cannot be shown is listed as its number.
            let listed = principals.holds(principal) ? nil : principals.first { $0.shown.isSame(as: principal) }
            try engine.setUsage(bytes, of: listed ?? principal, on: name)
        }
    }

    /// How a mount is listed: without its server, unless that would leave two alike.
    private static func name(of mount: String, among mounts: Swift.Set<String>) -> String {
        let short = Mount.shortName(of: mount)
        return mounts.filter { Mount.shortName(of: $0) == short }.count == 1 ? short : mount
    }
}
