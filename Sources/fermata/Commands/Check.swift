import ArgumentParser
import Engine
import Uploads

/// `fermata check`: compares the ledger with the disk.
struct Check: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compare the ledger with the files, byte for byte.",
        discussion: """
            Reads every committed byte that is not known to be synced and compares it with its checksum; looks for staging
            files without upload, uploads without staging file, and whole files without final name. Prints a line for each
            difference. A repair never removes a committed byte. May run beside serve.

            Exits with 0 when nothing is wrong, or all of it was repaired; else with 1.
            """
    )

    /// How long a request may take between its last bytes and its file's name without being a finding.
    private static let graceSeconds = 2

    @OptionGroup var stateDirectory: StateDirectory

    @Flag(help: "Do what each line says.")
    var repair = false

    @Flag(help: "With --repair, only print what would be done.")
    var dryRun = false

    @Option(help: ArgumentHelp("As serve has it: a repair may ask a veto; repeatable.", valueName: "path"))
    var allowProgram: [String] = []

    func run() throws {
        let isRepairing = repair && !dryRun
        let findings = try stateDirectory.openExistingEngine(programs: Set(allowProgram)).check(
            isRepairing: isRepairing,
            tombstoneSeconds: StateDirectory.tombstoneSeconds,
            grace: .seconds(Self.graceSeconds)
        )
        for finding in findings {
            print("\(finding): \(Self.remark(on: finding, isRepairing))".shown)
        }
        print(findings.isEmpty ? "nothing is wrong" : "\(findings.count) differences")
        if findings.contains(where: { !isRepairing || $0.remedy == nil || $0.failure != nil }) { throw ExitCode(1) }
    }

    private static func remark(on finding: Finding, _ isRepairing: Bool) -> String {
        guard let remedy = finding.remedy else { return "nothing can be done here" }
        if let failure = finding.failure { return "the repair failed (\(remedy)): \(failure)" }
        return isRepairing ? "repaired: \(remedy)" : "a repair would \(remedy)"
    }
}
