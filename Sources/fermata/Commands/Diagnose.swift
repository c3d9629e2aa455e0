import ArgumentParser
import Dialects
import Doctor
import Engine
import Foundation
import Ledger
import Mounts

/// `fermata doctor`: what is wrong with an installation.
struct Diagnose: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find what is wrong with an installation, and say how to mend it.",
        discussion: """
            Looks at directories, disks and limits, and at the configuration of nginx that `nginx -T` prints: pipe it in, or
            give it in a file. Run it as the user of serve. A line for what is wrong and one for its remedy. Exits with 1 when
            there is an error; warnings alone are 0.
            """
    )

    @OptionGroup var stateDirectory: StateDirectory

    @Option(help: ArgumentHelp("What `nginx -T` has printed; - is standard input.", valueName: "file"))
    var nginx: String?

    @Option(help: ArgumentHelp("As serve has it; repeatable.", valueName: "dir"))
    var allowRoot: [String] = []

    @Option(help: ArgumentHelp("As serve has it; repeatable.", valueName: "path"))
    var allowProgram: [String] = []

    @Option(help: "As serve has it.")
    var workers = 1024

    func validate() throws { try Serve.requireWorkers(workers) }

    func run() throws {
        let state = stateDirectory.state
        var diagnoses = HostChecks.diagnoses(state: state) + HostChecks.diagnoses(workers: workers)
        if diagnoses.allSatisfy({ $0.severity != .error }) { diagnoses += try stateFindings() }
        if let nginx {
            let policy = MountPolicy(
                dialects: .shipped,
                allowedRoots: allowRoot,
                defaultRoot: state + "/files",
                stateDirectory: state,
                allowedPrograms: allowProgram
            )
            diagnoses += NginxChecks(NginxConfiguration(dump: try text(nginx)), policy).diagnoses()
        }
        for diagnosis in diagnoses {
            print(
                "\(diagnosis.severity.rawValue): \(diagnosis.place): \(diagnosis.problem)\n    remedy: \(diagnosis.fix)"
            )
        }
        let count = diagnoses.filter { $0.severity == .error }.count
        print(diagnoses.isEmpty ? "nothing is wrong" : "\(count) errors, \(diagnoses.count - count) warnings")
        if count > 0 { throw ExitCode(1) }
    }

    /// What is wrong with the ledger and the roots that it knows.
    private func stateFindings() throws -> [Diagnosis] {
        let files = stateDirectory.state + "/files"
        guard FileManager.default.fileExists(atPath: stateDirectory.state + "/" + SQLiteLedger.fileName) else {
            // serve makes both when it starts for the first time.
            return FileManager.default.fileExists(atPath: files) ? HostChecks.diagnoses(root: files) : []
        }
        let engine: Engine
        do { engine = try stateDirectory.openEngine() } catch { return [HostChecks.brokenLedger("\(error)")] }
        let roots = Set(try engine.roots() + (allowRoot + [files]).map(realPath))
        return try roots.sorted().flatMap { root in
            guard let problem = try engine.problem(of: root) else { return HostChecks.diagnoses(root: root) }
            return [HostChecks.unavailable(root: root, problem.problem, problem.remedy)]
        }
    }

    /// The path as `serve` knows a root.
    private func realPath(_ path: String) -> String { URL(fileURLWithPath: path).resolvingSymlinksInPath().path }

    private func text(_ path: String) throws -> String {
        guard let file = path == "-" ? FileHandle.standardInput : FileHandle(forReadingAtPath: path) else {
            throw ValidationError("--nginx \(path): the file can not be read")
        }
        return String(decoding: try file.readToEnd() ?? Data(), as: UTF8.self)
    }
}
