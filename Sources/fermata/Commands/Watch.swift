import ArgumentParser
import Engine
import Foundation
import Uploads

/// `fermata watch`: uploads as they come in.
struct Watch: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch uploads come in.",
        discussion: """
            On a terminal, a progress bar for each, until Ctrl-C. Else a line whenever something has changed: number, committed
            bytes, size, file name, separated by tabs.
            """
    )

    @OptionGroup var stateDirectory: StateDirectory

    @Option(help: ArgumentHelp("How often to look, 0.1 to 3600.", valueName: "seconds"))
    var interval = 1.0

    @Option(help: ArgumentHelp("How often to look in all; without end by default.", valueName: "times"))
    var count: Int?

    /// How wide a bar is, in characters.
    private static let barWidth = 30

    func validate() throws {
        guard (0.1...3600).contains(interval) else { throw ValidationError("--interval must be between 0.1 and 3600") }
        guard count ?? 1 > 0 else { throw ValidationError("--count must be at least 1") }
    }

    func run() throws {
        let engine = try stateDirectory.openExistingEngine()
        let isTerminal = isatty(STDOUT_FILENO) == 1
        var before: [Int64: Int64] = [:]
        var looks = 0
        while true {
            let reports = try engine.uploads().map { try UploadReport($0, engine) }.filter(\.isOpen)
            if isTerminal { draw(reports, before) } else { tell(reports, before) }
            before = Dictionary(uniqueKeysWithValues: reports.map { ($0.id, $0.committedBytes) })
            looks += 1
            if let count, looks >= count { return }
            usleep(UInt32(interval * 1e6))
        }
    }

    private func tell(_ reports: [UploadReport], _ before: [Int64: Int64]) {
        for report in reports where before[report.id] != report.committedBytes {
            print("\(report.id)\t\(report.committedBytes)\t\(report.size)\t\(report.fileName.shown)")
        }
        fflush(nil)
    }

    private func draw(_ reports: [UploadReport], _ before: [Int64: Int64]) {
        // ECMA-48: the cursor to the first place, and what is below it erased.
        var screen = "\u{1B}[H\u{1B}[J\(reports.count) uploads\n"
        for report in reports {
            let done = Int((report.fraction ?? 0) * Double(Self.barWidth))
            let bar = String(repeating: "#", count: done) + String(repeating: ".", count: Self.barWidth - done)
            let rate = before[report.id].map { Double(report.committedBytes - $0) / interval } ?? report.rate ?? 0
            screen += "\(report.id)\t[\(bar)] \(Readable.percent(report.fraction))\t\(Readable.bytes(max(rate, 0)))/s\t"
            screen += report.fileName.shown + "\n"
        }
        print(screen, terminator: "")
        fflush(nil)
    }
}
