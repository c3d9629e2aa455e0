import ArgumentParser
import MultipartForm

/// A form, of input as it comes or of input that was made to slow a parser down.
enum ParserInput: String, CaseIterable, ExpressibleByArgument {
    case random
    case allCR = "all-cr"
    case prefixes
    case pairs
    case small
    case tiny

    /// How much is parsed at a time, in bytes: what a reader hands on.
    private static let blockBytes = 32 << 10
    /// The size of the body, in bytes; it stays in the cache, as what has just been received does.
    static let bodyBytes = 256 << 10
    private static let boundary = "----7MA4YWxkTrZ0"

    /// What it is.
    var description: String {
        switch self {
        case .random: "random bytes"
        case .allCR: "all CR"
        case .prefixes: "delimiters but for their last byte"
        case .pairs: "CR and the delimiter's last byte at its distance, everywhere"
        case .small: "parts of 1 KiB"
        case .tiny: "parts of 32 bytes"
        }
    }

    /// The body.
    func body() -> [UInt8] {
        switch self {
        case .random:
            var generator = SplitMix(state: 1)
            return Self.one((0..<Self.bodyBytes).map { _ in UInt8.random(in: 0...255, using: &generator) })
        case .allCR: return Self.one([UInt8](repeating: 13, count: Self.bodyBytes))
        case .prefixes: return Self.one(Self.cycle("\r\n--\(Self.boundary.dropLast())"))
        case .pairs: return Self.one(Self.cycle("\r0"))
        case .small: return Self.many(1 << 10)
        case .tiny: return Self.many(32)
        }
    }

    /// Parses a body.
    static func parse(_ body: [UInt8]) throws {
        var limits = MultipartLimits()
        limits.partsMax = .max
        var parser = MultipartParser(boundary: try Boundary(bytes: Array(boundary.utf8)), limits: limits)
        var counter = Counter()
        let bytes = body.span
        var offset = 0
        while offset < bytes.count {
            let end = min(offset + blockBytes, bytes.count)
            try parser.parse(bytes.extracting(offset..<end), &counter)
            offset = end
        }
        try parser.finish()
    }

    private struct Counter: PartConsumer {
        var count = 0

        mutating func partBegins(_ header: PartHeader, at offset: Int64?) {}
        mutating func partBytes(_ bytes: Span<UInt8>) { count += bytes.count }
        mutating func partEnds() {}
    }

    private static func cycle(_ text: some StringProtocol) -> [UInt8] {
        let bytes = Array(text.utf8)
        return (0..<bodyBytes).map { bytes[$0 % bytes.count] }
    }

    private static let head = "--\(boundary)\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"

    private static func one(_ bytes: [UInt8]) -> [UInt8] {
        Array(head.utf8) + bytes + Array("\r\n--\(boundary)--\r\n".utf8)
    }

    private static func many(_ count: Int) -> [UInt8] {
        let part = Array(head.utf8) + [UInt8](repeating: 120, count: count) + [13, 10]
        return Array(repeatElement(part, count: bodyBytes / part.count).joined()) + Array("--\(boundary)--\r\n".utf8)
    }
}

/// A generator whose numbers follow from its seed (SplitMix64).
private struct SplitMix: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }
}

/// Parses some input, for a count of instructions.
struct Parse: ParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Parses a form over and over.", shouldDisplay: false)

    @Option(help: "Which form.")
    var input: ParserInput

    @Option(help: "How much, in MiB.")
    var mebibytes: Int

    func run() throws {
        let body = input.body()
        for _ in 0..<mebibytes * ((1 << 20) / ParserInput.bodyBytes) { try ParserInput.parse(body) }
    }
}
