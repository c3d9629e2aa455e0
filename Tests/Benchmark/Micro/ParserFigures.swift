import MultipartForm

/// How many bytes the parser takes in a second, of input as it comes and of input that was made to slow it down.
enum ParserFigures {
    /// How much is parsed at a time, in bytes: what a reader hands on.
    private static let blockBytes = 32 << 10
    /// The size of the body, in bytes; it stays in the cache, as what has just been received does.
    private static let bodyBytes = 256 << 10
    private static let boundary = "----7MA4YWxkTrZ0"

    static var all: [Figure] {
        let delimiter = "\r\n--\(boundary)"
        return [
            figure("random", of: one((0..<bodyBytes).map { _ in UInt8.random(in: 0...255) })),
            figure("all CR", of: one([UInt8](repeating: 13, count: bodyBytes))),
            figure("delimiter prefixes", of: one(cycle(delimiter.dropLast()))),
            figure("CR at every place that counts", of: one(cycle("\r0"))),
            figure("parts of 1 KiB", of: small(1 << 10)),
            figure("parts of 32 bytes", of: small(32)),
        ]
    }

    private struct Counter: PartConsumer {
        var count = 0

        mutating func partBegins(_ header: PartHeader, at offset: Int64) {}
        mutating func partBytes(_ bytes: Span<UInt8>) { count += bytes.count }
        mutating func partEnds() {}
    }

    private static func figure(_ name: String, of body: [UInt8]) -> Figure {
        Figure(name: "parser, \(name)", unit: "GB/s") {
            var counter = Counter()
            for _ in 0..<16 {
                var limits = MultipartLimits()
                limits.partsMax = .max
                var parser = MultipartParser(boundary: try Boundary(bytes: Array(boundary.utf8)), limits: limits)
                let bytes = body.span
                var offset = 0
                while offset < bytes.count {
                    let end = min(offset + blockBytes, bytes.count)
                    try parser.parse(bytes.extracting(offset..<end), &counter)
                    offset = end
                }
                try parser.finish()
            }
            return Double(16 * body.count) / 1e9
        }
    }

    private static func cycle(_ text: some StringProtocol) -> [UInt8] {
        let bytes = Array(text.utf8)
        return (0..<bodyBytes).map { bytes[$0 % bytes.count] }
    }

    private static let head = "--\(boundary)\r\nContent-Disposition: form-data; name=\"f\"; filename=\"f\"\r\n\r\n"

    private static func one(_ bytes: [UInt8]) -> [UInt8] {
        Array(head.utf8) + bytes + Array("\r\n--\(boundary)--\r\n".utf8)
    }

    private static func small(_ count: Int) -> [UInt8] {
        let part = Array(head.utf8) + [UInt8](repeating: 120, count: count) + [13, 10]
        return Array(repeatElement(part, count: bodyBytes / part.count).joined()) + Array("--\(boundary)--\r\n".utf8)
    }
}
