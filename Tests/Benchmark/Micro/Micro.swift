import ArgumentParser
import Foundation

/// What single parts of Fermata do in a second on one core, without a server.
struct Micro: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Measures parts of Fermata alone, on one core.")

    @Option(help: "Which figures, as a regular expression of their names.")
    var figures = ".*"

    @Option(help: "Where the ledger is made.")
    var directory = "/dev/shm"

    @Option(help: "How often each is measured, 1 to 1000.")
    var rounds = 5

    func validate() throws {
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds must be from 1 to 1000") }
    }

    func run() throws {
        let pattern = try Regex(figures)
        let ledger = try LedgerFigures(in: directory)
        let chosen = (ParserFigures.all + DigestFigures.all + ledger.all).filter {
            $0.name.wholeMatch(of: pattern) != nil
        }
        var rates: [[Double]] = Array(repeating: [], count: chosen.count)
        for _ in 0..<rounds {
            for (index, figure) in chosen.enumerated() { rates[index].append(try figure.rate()) }
        }
        print("| figure | rate | unit |\n| --- | --- | --- |")
        for (figure, rates) in zip(chosen, rates) {
            print("| \(figure.name) | \(Spread(rates).text(2)) | \(figure.unit) |")
        }
    }
}

/// Something that is done over and over.
struct Figure {
    /// For how long it is done, in seconds.
    private static let seconds = 0.5

    let name: String
    let unit: String
    /// Whether the time is that which all threads have computed, not that on the wall.
    var isCPUTime = false
    /// Does it once.
    ///
    /// - Returns: how much was done, in the unit.
    let once: () throws -> Double

    /// How much is done in a second.
    func rate() throws -> Double {
        let start = now
        var (amount, seconds) = (0.0, 0.0)
        while seconds < Self.seconds {
            amount += try once()
            seconds = now - start
        }
        return amount / seconds
    }

    private var now: Double {
        var time = timespec()
        clock_gettime(isCPUTime ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
