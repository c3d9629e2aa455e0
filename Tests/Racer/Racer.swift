import Foundation
import Races

/// Races in a dialect for some seconds: racer DIALECT SECONDS [SEED], with the responder that `FERMATA_BINARY` names.
@main
struct Racer {
    static func main() throws {
        let words = CommandLine.arguments.dropFirst()
        guard let dialect = words.first.flatMap({ RaceDialect(rawValue: $0) }),
            let seconds = words.dropFirst().first.flatMap({ Int($0) }),
            let binary = ProcessInfo.processInfo.environment["FERMATA_BINARY"]
        else {
            let names = RaceDialect.allCases.map(\.rawValue).joined(separator: ", ")
            print("usage: racer DIALECT SECONDS [SEED], with FERMATA_BINARY; a dialect is one of \(names)")
            exit(2)
        }
        let seed = words.dropFirst(2).first.flatMap { UInt64($0) } ?? UInt64.random(in: 0...UInt64.max)
        print("\(dialect.rawValue), seed \(seed)")
        let report = try Race(dialect, seconds: seconds, seed: seed, binary: binary).run()
        print(report.counts)
        for finding in report.findings { print("FOUND: \(finding)") }
        if !report.findings.isEmpty { exit(1) }
    }
}
