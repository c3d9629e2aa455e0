/// What a parser hands on of a form.
public protocol PartConsumer: ~Copyable {
    /// A part begins; its first byte is at `offset` in the body.
    mutating func partBegins(_ header: PartHeader, at offset: Int64)
    /// Bytes of the part that has begun: a slice of the block that is being parsed, to be used at once.
    mutating func partBytes(_ bytes: Span<UInt8>)
    /// The part that has begun is complete.
    mutating func partEnds()
}

/// A push parser of multipart/form-data (RFC 7578, RFC 2046 5.1.1, with the tolerances of docs/dialects/README.md 0.4).
///
/// 1. The same calls follow, but for how bytes are cut up, however the body is cut into blocks.
/// 2. No file byte is copied or kept. At the end of a block the parser knows by numbers alone how much of a delimiter
///    has matched; when that turns out to be data, it hands on the delimiter's own bytes.
/// 3. Bytes are handed on as soon as it is certain that they are data, so a body that is cut off has given all it had.
/// 4. Time is linear in the length of the body, and memory is bounded by `MultipartLimits`.
///
///     preamble --delimiter--> tail --CRLF--> header --blank line--> data --delimiter--> tail
///                             tail --"--"--> epilogue
///                             tail --anything else--> (it was no delimiter) preamble or data
public struct MultipartParser: ~Copyable {
    /// White space allowed between a boundary and its CRLF, in bytes; more than that is no delimiter line.
    public static let paddingBytesMax = 256

    private enum State {
        /// Before the first part, or in one: looking for a delimiter, of which `matched` bytes have been seen.
        case content(Content, matched: Int)
        /// Behind a delimiter, at what decides whether it is one.
        case tail(Content)
        case header
        case epilogue
    }

    /// What stands before a delimiter.
    private enum Content {
        case preamble
        case data
    }

    private let delimiter: Delimiter
    private let limits: MultipartLimits
    private var state: State
    /// What has been seen behind a delimiter: blanks, then perhaps a CR; or one dash.
    private var tail: [UInt8] = []
    private var header: [UInt8] = []
    private var partCount = 0
    private var hasSeenDelimiter = false
    /// How many bytes of the body came in earlier blocks.
    private var parsedCount: Int64 = 0

    /// A parser at the start of a body.
    public init(boundary: Boundary, limits: MultipartLimits = MultipartLimits()) {
        delimiter = Delimiter(boundary)
        self.limits = limits
        // The first delimiter may lack its CRLF: the body begins as if one had been seen.
        state = .content(.preamble, matched: 2)
    }

    /// True once the close delimiter has been seen; whatever follows is ignored.
    public var isComplete: Bool {
        if case .epilogue = state { true } else { false }
    }

    /// Parses the next block of the body.
    ///
    /// - Throws: a limit, or what keeps a part from being understood; the parser is of no use after that.
    public mutating func parse<Consumer: PartConsumer & ~Copyable>(
        _ block: Span<UInt8>,
        _ consumer: inout Consumer
    ) throws(MultipartError) {
        var offset = 0
        while offset < block.count {
            switch state {
            case .content(let content, let matched) where matched > 0:
                offset = resume(block, at: offset, content, matched: matched, &consumer)
            case .content(let content, _):
                offset = scan(block, from: offset, content, &consumer)
            case .tail(let content):
                if try takeTail(block[offset], content, &consumer) { offset += 1 }
            case .header:
                offset = try takeHeader(block, from: offset, &consumer)
            case .epilogue:
                return
            }
        }
        parsedCount += Int64(block.count)
    }

    /// Ends the body.
    ///
    /// - Throws: `noDelimiter` or `truncated` unless the close delimiter has been seen.
    public func finish() throws(MultipartError) {
        if isComplete { return }
        throw hasSeenDelimiter ? .truncated : .noDelimiter
    }

    // MARK: Content

    /// Searches the block for a delimiter, handing on what stands before it.
    private mutating func scan<Consumer: PartConsumer & ~Copyable>(
        _ block: Span<UInt8>,
        from start: Int,
        _ content: Content,
        _ consumer: inout Consumer
    ) -> Int {
        let found = delimiter.search(block, from: start)
        let end = found?.offset ?? block.count
        if end > start, case .data = content { consumer.partBytes(block.extracting(start..<end)) }
        guard let found else { return end }
        advance(content, matched: found.matched)
        return end + found.matched
    }

    /// Goes on with a match that a block's end, or the body's start, has cut.
    private mutating func resume<Consumer: PartConsumer & ~Copyable>(
        _ block: Span<UInt8>,
        at start: Int,
        _ content: Content,
        matched: Int,
        _ consumer: inout Consumer
    ) -> Int {
        var (offset, matched) = (start, matched)
        while offset < block.count, matched < delimiter.bytes.count, block[offset] == delimiter.bytes[matched] {
            offset += 1
            matched += 1
        }
        if matched < delimiter.bytes.count, offset < block.count {
            replay(content, delimiterBytes: matched, &consumer)
            state = .content(content, matched: 0)
        } else {
            advance(content, matched: matched)
        }
        return offset
    }

    private mutating func advance(_ content: Content, matched: Int) {
        state = matched == delimiter.bytes.count ? .tail(content) : .content(content, matched: matched)
    }

    /// Hands on, as data, what was held for a delimiter.
    private mutating func replay<Consumer: PartConsumer & ~Copyable>(
        _ content: Content,
        delimiterBytes: Int,
        _ consumer: inout Consumer
    ) {
        if case .data = content {
            consumer.partBytes(delimiter.bytes.span.extracting(0..<delimiterBytes))
            if !tail.isEmpty { consumer.partBytes(tail.span) }
        }
        tail.removeAll(keepingCapacity: true)
    }

    // MARK: Delimiter lines

    /// Takes a byte behind a delimiter; false when it was none, and the byte is to be read as content.
    private mutating func takeTail<Consumer: PartConsumer & ~Copyable>(
        _ byte: UInt8,
        _ content: Content,
        _ consumer: inout Consumer
    ) throws(MultipartError) -> Bool {
        switch (tail.last, byte) {
        case (UInt8(ascii: "-"), UInt8(ascii: "-")):
            endPart(content, &consumer)
            state = .epilogue
        case (0x0D, 0x0A):
            endPart(content, &consumer)
            guard partCount < limits.partsMax else { throw .tooManyParts(max: limits.partsMax) }
            partCount += 1
            header.removeAll(keepingCapacity: true)
            state = .header
        case (nil, UInt8(ascii: "-")), (nil, 0x0D), (0x20, 0x0D), (0x09, 0x0D):
            tail.append(byte)
        case (nil, 0x20), (nil, 0x09), (0x20, 0x20), (0x20, 0x09), (0x09, 0x20), (0x09, 0x09):
            guard tail.count < Self.paddingBytesMax else { fallthrough }
            tail.append(byte)
        case _:
            replay(content, delimiterBytes: delimiter.bytes.count, &consumer)
            state = .content(content, matched: 0)
            return false
        }
        return true
    }

    private mutating func endPart<Consumer: PartConsumer & ~Copyable>(
        _ content: Content,
        _ consumer: inout Consumer
    ) {
        hasSeenDelimiter = true
        tail.removeAll(keepingCapacity: true)
        if case .data = content { consumer.partEnds() }
    }

    // MARK: Headers

    /// Takes the bytes of a header block, up to its end or that of the block; where it stopped.
    private mutating func takeHeader<Consumer: PartConsumer & ~Copyable>(
        _ block: Span<UInt8>,
        from start: Int,
        _ consumer: inout Consumer
    ) throws(MultipartError) -> Int {
        // The CRLF of the last line and that of the blank line are not counted.
        let countMax = limits.partHeaderBytesMax + 4
        var offset = start
        while offset < block.count {
            // Line by line, but not further than the limit.
            let end = min(block.count, offset + countMax - header.count)
            var lineEnd = offset
            while lineEnd < end, block[lineEnd] != 0x0A { lineEnd += 1 }
            let isLine = lineEnd < end
            if isLine { lineEnd += 1 }
            for index in offset..<lineEnd { header.append(block[index]) }
            offset = lineEnd
            if isLine, header.count == 2 ? header[0] == 0x0D : endsInBlankLine {
                header.removeLast(min(4, header.count))
                state = .content(.data, matched: 0)
                let header = try PartHeader(header)
                if header.name == nil, header.isFile(scalarFields: []) { throw .fileWithoutName }
                consumer.partBegins(header, at: parsedCount + Int64(offset))
                return offset
            }
            guard header.count < countMax else { throw .partHeaderTooLarge(max: limits.partHeaderBytesMax) }
        }
        return offset
    }

    private var endsInBlankLine: Bool {
        let count = header.count
        return count >= 4 && header[count - 2] == 0x0D && header[count - 3] == 0x0A && header[count - 4] == 0x0D
    }
}
