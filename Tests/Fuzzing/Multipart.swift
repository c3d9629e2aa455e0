import MultipartForm

/// However a body is cut into blocks, the same parts come of it, and each that stands as it is in the body has exactly the
/// bytes between its header and the next delimiter; one that is decoded has no more bytes than the body.
///
/// The input is a boundary, up to the first LF, and a body.
@Sendable
func checkMultipart(_ input: [UInt8]) throws {
    let lines = input.split(separator: 0x0A, maxSplits: 1, omittingEmptySubsequences: false)
    guard lines.count == 2, let boundary = try? Boundary(bytes: Array(lines[0])) else { return }
    let body = Array(lines[1])
    var limits = MultipartLimits()
    limits.partsMax = 20
    limits.partHeaderBytesMax = 200
    let whole = Parts(body, blockCounts: [body.count], boundary, limits)
    for blockCounts in [[1], [2, 3], [7, 1, 64], [boundary.bytes.count + 4]] {
        let parts = Parts(body, blockCounts: blockCounts, boundary, limits)
        try hold(parts == whole, "blocks of \(blockCounts) bytes give what one block gives")
    }
    let delimiter = [0x0D, 0x0A, UInt8(ascii: "-"), UInt8(ascii: "-")] + boundary.bytes
    for part in whole.parts {
        try hold(part.bytes.count <= body.count, "no part is longer than the body")
        guard let offset = part.offset else { continue }
        let end = offset + part.bytes.count
        try hold(body[..<end].suffix(part.bytes.count) == part.bytes[...], "a part has its bytes at its offset")
        // The line end of a part without a body is that of its header.
        let delimiterStart = part.bytes.isEmpty && !body[end...].starts(with: delimiter) ? end - 2 : end
        if part.hasEnded { try hold(body[delimiterStart...].starts(with: delimiter), "a delimiter follows a part") }
    }
    // What a delimiter line is, told the long way.
    for part in whole.parts where part.offset != nil {
        for start in part.bytes.indices where part.bytes[start...].starts(with: delimiter) {
            let tail = part.bytes[(start + delimiter.count)...]
            let padding = tail.prefix { $0 == 0x20 || $0 == 0x09 }
            let isDelimiter =
                tail.starts(with: [0x2D, 0x2D])
                || padding.count <= MultipartParser.paddingBytesMax
                    && tail.dropFirst(padding.count).starts(with: [0x0D, 0x0A])
            try hold(!isDelimiter, "no part holds a delimiter line")
        }
    }
}

/// The parts of a body, as far as it can be read.
private struct Parts: Equatable, PartConsumer {
    struct Part: Equatable {
        let header: PartHeader
        let offset: Int?
        var bytes: [UInt8] = []
        var hasEnded = false
    }

    private(set) var parts: [Part] = []
    private var error: MultipartError?

    /// - Parameter blockCounts: the sizes of the blocks that the body comes in, again and again.
    init(_ body: [UInt8], blockCounts: [Int], _ boundary: Boundary, _ limits: MultipartLimits) {
        var parser = MultipartParser(boundary: boundary, limits: limits)
        var rest = body[...]
        var index = 0
        do throws(MultipartError) {
            while !rest.isEmpty {
                let block = rest.prefix(blockCounts[index % blockCounts.count])
                try parser.parse(block.span, &self)
                rest = rest.dropFirst(block.count)
                index += 1
            }
            try parser.finish()
        } catch { self.error = error }
    }

    mutating func partBegins(_ header: PartHeader, at offset: Int64?) {
        parts.append(Part(header: header, offset: offset.map { Int($0) }))
    }

    mutating func partBytes(_ bytes: Span<UInt8>) {
        for index in bytes.indices { parts[parts.count - 1].bytes.append(bytes[index]) }
    }

    mutating func partEnds() { parts[parts.count - 1].hasEnded = true }
}
