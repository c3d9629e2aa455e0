import Foundation

/// What one upload of a workload took.
struct Sample: Sendable, CustomStringConvertible {
    let bytes: Int
    let wallSeconds: Double
    let nginxSeconds: Double
    let responderSeconds: Double
    /// Of each request that carried bytes.
    let requestSeconds: [Double]

    var gibibytes: Double { Double(bytes) / Double(1 << 30) }
    var serverSeconds: Double { nginxSeconds + responderSeconds }
    var microsecondsPerRequest: Double { serverSeconds / Double(requestSeconds.count) * 1e6 }
    var p99Milliseconds: Double {
        requestSeconds.sorted()[min(requestSeconds.count - 1, requestSeconds.count * 99 / 100)] * 1e3
    }

    var description: String {
        String(
            format: "%.3f s/GiB (nginx %.3f, responder %.3f), %.2f GiB/s, %.0f us a request",
            serverSeconds / gibibytes,
            nginxSeconds / gibibytes,
            responderSeconds / gibibytes,
            gibibytes / wallSeconds,
            microsecondsPerRequest
        )
    }
}

/// The samples of all stacks and workloads, in the order of the rounds.
struct Results {
    private var samples: [String: [String: [Sample]]] = [:]
    private var workloads: [String] = []
    private var stacks: [Stack] = []

    mutating func add(_ sample: Sample, of stack: Stack, workload: String) {
        if !workloads.contains(workload) { workloads.append(workload) }
        if !stacks.contains(where: { $0.name == stack.name }) { stacks.append(stack) }
        samples[workload, default: [:]][stack.name, default: []].append(sample)
    }

    /// A table for each workload, in Markdown: medians, and the least and the most.
    func report() -> String {
        workloads.map { workload in
            let rows = stacks.compactMap { row($0, workload) }
            return """

                ### \(workload)

                | stack | server CPU s/GiB | nginx | responder | GiB/s | us a request | p99 ms | times its reference |
                | --- | --- | --- | --- | --- | --- | --- | --- |
                \(rows.joined(separator: "\n"))
                """
        }.joined(separator: "\n")
    }

    private func row(_ stack: Stack, _ workload: String) -> String? {
        guard let own = samples[workload]?[stack.name] else { return nil }
        let ratios = stack.references.compactMap { name -> String? in
            guard let reference = samples[workload]?[name], reference.count == own.count else { return nil }
            let total = Spread(zip(own, reference).map { $0.serverSeconds / $1.serverSeconds })
            let responder = Spread(zip(own, reference).map { $0.responderSeconds / $1.responderSeconds })
            return "\(name) \(total.text(2)), responder \(responder.text(2))"
        }
        let columns = [
            Spread(own.map { $0.serverSeconds / $0.gibibytes }).text(3),
            Spread(own.map { $0.nginxSeconds / $0.gibibytes }).medianText(3),
            Spread(own.map { $0.responderSeconds / $0.gibibytes }).medianText(3),
            Spread(own.map { $0.gibibytes / $0.wallSeconds }).text(2),
            Spread(own.map(\.microsecondsPerRequest)).medianText(0),
            Spread(own.map(\.p99Milliseconds)).medianText(1),
            ratios.joined(separator: "; "),
        ]
        return "| \(stack.name) | \(columns.joined(separator: " | ")) |"
    }
}

/// The median of some values, the least and the greatest.
struct Spread {
    let median: Double
    let least: Double
    let greatest: Double

    /// - Precondition: there are values.
    init(_ values: [Double]) {
        let sorted = values.sorted()
        median = (sorted[(sorted.count - 1) / 2] + sorted[sorted.count / 2]) / 2
        least = sorted[0]
        greatest = sorted[sorted.count - 1]
    }

    func medianText(_ digits: Int) -> String { String(format: "%.\(digits)f", median) }

    func text(_ digits: Int) -> String {
        String(format: "%.\(digits)f [%.\(digits)f-%.\(digits)f]", median, least, greatest)
    }
}
