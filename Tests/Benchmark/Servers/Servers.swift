import ArgumentParser
import Foundation

/// What a server spends on an upload: stacks in turn, in interleaved rounds.
struct Servers: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Compares the CPU time that servers spend on uploads.",
        discussion: "The client's own time is not counted. Ratios are medians of those within each round."
    )

    @Option(help: "Which stacks, as a regular expression of their names; `dcloud.*` compares settings of nginx.")
    var stacks = "nginx.*|c-.*|dcloud|dcloud-keep|fileid|parts|offset|signed"

    @Option(help: "Which workloads, separated by commas: one, seq, par8, small, small8.")
    var workloads = "one,seq,par8,small,small8"

    @Option(help: "How often each is measured, 1 to 1000.")
    var rounds = 5

    @Option(help: "The responder.")
    var fermata: String

    @Option(help: "Another build of the responder, to compare with.")
    var baseline: String?

    @Option(help: "A directory with the C probes, built; without it only nginx is a reference.")
    var references: String?

    @Option(help: "Where files go. On a tmpfs what a disk does in the background is not measured.")
    var directory = "/dev/shm"

    func validate() throws {
        guard (1...1000).contains(rounds) else { throw ValidationError("--rounds must be from 1 to 1000") }
        for name in workloads.split(separator: ",") where Workload.all[String(name)] == nil {
            throw ValidationError("there is no workload '\(name)'")
        }
    }

    func run() throws {
        let pattern = try Regex(stacks)
        let all = Stack.all(hasProbes: references != nil, hasBaseline: baseline != nil)
        let chosen = all.filter { $0.name.wholeMatch(of: pattern) != nil }
        guard !chosen.isEmpty else { throw ValidationError("no stack has such a name") }
        let memory = HeldMemory()
        defer { withExtendedLifetime(memory) {} }
        let site = try BenchSite(
            stacks: chosen,
            fermata: fermata,
            baseline: baseline,
            references: references,
            in: directory
        )
        let content = try Content(in: directory)
        var results = Results()
        for round in 0..<rounds {
            for name in workloads.split(separator: ",").map(String.init) {
                guard let workload = Workload.all[name] else { continue }
                for stack in chosen {
                    let sample = try site.measure(stack, workload, content)
                    results.add(sample, of: stack, workload: name)
                    FileHandle.standardError.write(Data("\(round + 1) \(name) \(stack.name): \(sample)\n".utf8))
                }
            }
        }
        print(results.report())
    }
}
