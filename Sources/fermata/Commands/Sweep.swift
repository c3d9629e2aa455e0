import ArgumentParser
import Engine
import Ledger
import Uploads

/// `fermata sweep`: removes what has expired, as `serve` does once a minute.
struct Sweep: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove expired uploads, and staging files of no upload.",
        discussion: """
            serve does this once a minute. An upload to which bytes are on their way is left alone. Prints a line for each
            file. May run beside serve.
            """
    )

    @OptionGroup var stateDirectory: StateDirectory

    @Flag(help: "Only print what would be removed.")
    var dryRun = false

    func run() throws {
        let report = try stateDirectory.openExistingEngine().sweep(isDryRun: dryRun)
        let verb = dryRun ? "would remove" : "removed"
        for file in report.expired {
            print("\(verb) expired upload of \(file.spec.target.path.text.shown) in \(file.root) (\(file.staging))")
        }
        for file in report.inUse {
            print("left expired upload of \(file.spec.target.path.text.shown) in \(file.root): bytes are on their way")
        }
        for orphan in report.orphans {
            print("\(verb) staging file of no upload in \(orphan.root) (\(orphan.staging))")
        }
        print("\(report.expired.count) expired, \(report.inUse.count) in use, \(report.orphans.count) of no upload")
    }
}
