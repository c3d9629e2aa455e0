import MultipartForm

/// Writes down what a parser hands on; the bytes of a part are put together, however they came.
struct Recorder: PartConsumer {
    enum Event: Equatable {
        case part(name: String?, fileName: String?)
        case bytes([UInt8])
        case end
    }

    var events: [Event] = []
    var headers: [PartHeader] = []
    var offsets: [Int64?] = []

    mutating func partBegins(_ header: PartHeader, at offset: Int64?) {
        offsets.append(offset)
        headers.append(header)
        events.append(.part(name: header.name, fileName: header.fileName))
    }

    mutating func partBytes(_ bytes: Span<UInt8>) {
        var all: [UInt8] = []
        if case .bytes(let before) = events.last {
            all = before
            events.removeLast()
        }
        for index in bytes.indices { all.append(bytes[index]) }
        events.append(.bytes(all))
    }

    mutating func partEnds() { events.append(.end) }
}

/// Parses a body that comes in blocks.
func parse(
    _ blocks: [[UInt8]],
    boundary: String = "b",
    limits: MultipartLimits = MultipartLimits()
) throws -> Recorder {
    var parser = MultipartParser(boundary: try Boundary(bytes: Array(boundary.utf8)), limits: limits)
    var recorder = Recorder()
    for block in blocks { try parser.parse(block.span, &recorder) }
    try parser.finish()
    return recorder
}

/// The header of the only part of a body with these header lines.
func header(_ lines: String...) throws -> PartHeader {
    let text = "--b\r\n" + lines.map { $0 + "\r\n" }.joined() + "\r\nx\r\n--b--"
    return try parse([Array(text.utf8)]).headers[0]
}
