/// Metrics in the text format of Prometheus (version 0.0.4).
public struct Exposition {
    /// The media type of the text.
    public static let mediaType = "text/plain; version=0.0.4; charset=utf-8"

    /// The text so far.
    public private(set) var text = ""

    /// An empty text.
    public init() {}

    /// What kind of metric follows.
    public enum Kind: String {
        /// A number that only grows.
        case counter
        /// A number that is what it is now.
        case gauge
        /// Counts by upper bounds.
        case histogram
    }

    /// Begins a metric; its samples follow.
    public mutating func begin(_ name: String, _ kind: Kind, _ help: String) {
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(kind.rawValue)\n"
    }

    /// The one sample of the metric that has begun.
    public mutating func add(_ name: String, _ value: some Numeric) { add(name, [], value) }

    /// A sample of the metric that has begun.
    public mutating func add(_ name: String, _ labels: [(name: String, value: String)], _ value: some Numeric) {
        text += name
        if !labels.isEmpty {
            text += "{" + labels.map { "\($0.name)=\"\(Self.escaped($0.value))\"" }.joined(separator: ",") + "}"
        }
        text += " \(value)\n"
    }

    private static func escaped(_ text: String) -> String {
        text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    /// Adds all counters of a service.
    public mutating func add(_ meters: Meters) {
        let protocols = meters.protocols.enumerated()
        begin("fermata_requests_total", .counter, "Requests that were answered.")
        for (number, name) in protocols {
            for status in Meters.statuses {
                let count = meters.requests(protocol: number, status: status)
                if count > 0 {
                    add("fermata_requests_total", [("dialect", name), ("status", String(status))], count)
                }
            }
        }
        begin("fermata_request_bytes_total", .counter, "Bytes of request bodies that were read.")
        for (number, name) in protocols {
            add("fermata_request_bytes_total", [("dialect", name)], meters.bytes(protocol: number))
        }
        begin("fermata_request_duration_seconds", .histogram, "From the head of a request to its answer.")
        for (number, name) in protocols {
            add("fermata_request_duration_seconds", [("dialect", name)], meters.durations(protocol: number))
        }
        begin("fermata_ledger_write_duration_seconds", .histogram, "Transactions that write to the ledger.")
        add("fermata_ledger_write_duration_seconds", [], meters.durations(.ledger))
        begin("fermata_sync_duration_seconds", .histogram, "Syncs of files.")
        add("fermata_sync_duration_seconds", [], meters.durations(.sync))
        begin("fermata_postponed_total", .counter, "What failed after a file was stored and is done later.")
        add("fermata_postponed_total", meters.postponed())
        begin("fermata_given_up_total", .counter, "What failed after a file was stored and can not be done.")
        add("fermata_given_up_total", meters.givenUp())
    }

    private mutating func add(_ name: String, _ labels: [(name: String, value: String)], _ times: Meters.Histogram) {
        var count: UInt64 = 0
        for (bound, more) in zip(Meters.bounds, times.counts) {
            count += more
            add(name + "_bucket", labels + [("le", String(Double(bound) / 1e6))], count)
        }
        count += times.counts.last ?? 0
        add(name + "_bucket", labels + [("le", "+Inf")], count)
        add(name + "_sum", labels, Double(times.sum) / 1e6)
        add(name + "_count", labels, count)
    }
}
