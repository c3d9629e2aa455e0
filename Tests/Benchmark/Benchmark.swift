import ArgumentParser

/// Measures; Tests/bench builds and runs it.
@main
struct Benchmark: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "benchmark",
        abstract: "Measures what an upload costs, beside references.",
        subcommands: [Servers.self, Growth.self, Micro.self, Instructions.self, Parse.self]
    )
}

/// What keeps a measurement from being made.
struct BenchmarkError: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
