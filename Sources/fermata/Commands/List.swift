import ArgumentParser
import Engine
import Foundation
import Uploads

/// `fermata list`: the uploads there are.
struct List: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List uploads.",
        discussion: """
            A line for each, the oldest first: number, protocol, who, how much, how fast on average, for how long no byte has
            come, file name. Columns are separated by tabs.
            """
    )

    @OptionGroup var stateDirectory: StateDirectory

    @Flag(help: "Also those that are finished or cancelled, as long as they answer their clients.")
    var all = false

    @Flag(help: "Print a JSON object for each upload.")
    var json = false

    func run() throws {
        let engine = try stateDirectory.openExistingEngine()
        if !json { print("id\tdialect\tprincipal\tpercent\trate\tidle\tname") }
        for summary in try engine.uploads() {
            let report = try UploadReport(summary, engine)
            guard all || report.isOpen else { continue }
            print(json ? try JSONLine.encode(report) : line(report, engine.now()))
        }
    }

    private func line(_ report: UploadReport, _ now: Int64) -> String {
        [
            String(report.id), report.dialect, report.principal.isEmpty ? "-" : report.principal.shown,
            report.isOpen ? Readable.percent(report.fraction) : report.state,
            report.rate.map { Readable.bytes($0) + "/s" } ?? "-",
            report.idle(at: now).map { Readable.seconds($0) } ?? "-", report.fileName.shown,
        ].joined(separator: "\t")
    }
}
