/// Finds the parts of a multipart body (RFC 2046 5.1.1, with the tolerances of docs/dialects/README.md 0.4), whatever is
/// in them.
///
///     preamble --delimiter--> tail --CRLF--> header --blank line--> start/data --delimiter--> tail
///                             tail --"--"--> epilogue
///                             tail --anything else--> (it was no delimiter) preamble or data
struct PartSplitter: ~Copyable {
    /// White space allowed between a boundary and its CRLF, in bytes; more than that is no delimiter line.
    static let paddingBytesMax = 256

    /// What comes next in a body.
    enum Event {
        /// A part whose header block is in `header`, and whose bytes begin here.
        case begins
        /// A range of the block is bytes of the part.
        case data(Range<Int>)
        /// A range of the delimiter's own bytes, and `tail`, are bytes of the part.
        case held(Range<Int>)
        /// The part is complete.
        case ends
    }

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
        /// No byte of a part yet: the CRLF of its blank line may be that of the delimiter, if the part has no body.
        case start
        case data
    }

    let delimiter: Delimiter
    private let headerBytesMax: Int
    private var state: State
    /// What has been seen behind a delimiter: blanks, then perhaps a CR; or one dash.
    private(set) var tail: [UInt8] = []
    /// The header block of the part that has begun, without the blank line that ends it.
    private(set) var header: [UInt8] = []
    private var hasSeenDelimiter = false

    /// A splitter at the start of a body.
    init(_ boundary: Boundary, headerBytesMax: Int) {
        delimiter = Delimiter(boundary)
        self.headerBytesMax = headerBytesMax
        // The first delimiter may lack its CRLF: the body begins as if one had been seen.
        state = .content(.preamble, matched: Delimiter.lineEndCount)
    }

    /// True once the close delimiter has been seen; whatever follows is ignored.
    var isComplete: Bool {
        if case .epilogue = state { true } else { false }
    }

    /// Goes on in a block; `nil` at its end.
    ///
    /// - Throws: `partHeaderTooLarge`.
    mutating func next(in block: Span<UInt8>, from offset: inout Int) throws(MultipartError) -> Event? {
        while offset < block.count {
            let event: Event?
            switch state {
            case .content(let content, let matched) where matched > 0:
                event = resume(block, &offset, content, matched: matched)
            case .content(let content, _): event = scan(block, &offset, content)
            case .tail(let content): event = takeTail(block[offset], &offset, content)
            case .header: event = try takeHeader(block, &offset)
            case .epilogue: return nil
            }
            if let event { return event }
        }
        return nil
    }

    /// Ends the body.
    ///
    /// - Throws: `noDelimiter` or `truncated` unless the close delimiter has been seen.
    func finish() throws(MultipartError) {
        if isComplete { return }
        throw hasSeenDelimiter ? .truncated : .noDelimiter
    }

    // MARK: Content

    /// Searches the block for a delimiter; what stands before it is data.
    private mutating func scan(_ block: Span<UInt8>, _ offset: inout Int, _ content: Content) -> Event? {
        let start = offset
        let found = delimiter.search(block, from: start)
        let end = found?.offset ?? block.count
        offset = end
        if let found {
            offset += found.matched
            advance(content, matched: found.matched)
        }
        if case .preamble = content { return nil }
        return end > start ? .data(start..<end) : nil
    }

    /// Goes on with a match that a block's end, or the start of the body or of a part, has cut.
    private mutating func resume(
        _ block: Span<UInt8>,
        _ offset: inout Int,
        _ content: Content,
        matched: Int
    ) -> Event? {
        let bytes = delimiter.bytes
        var matched = matched
        while offset < block.count, matched < bytes.count, block[offset] == bytes[matched] {
            offset += 1
            matched += 1
        }
        if matched < bytes.count, offset < block.count {
            tail.removeAll(keepingCapacity: true)
            return fail(content, matched: matched)
        }
        advance(content, matched: matched)
        return nil
    }

    private mutating func advance(_ content: Content, matched: Int) {
        guard matched == delimiter.bytes.count else {
            state = .content(content, matched: matched)
            return
        }
        tail.removeAll(keepingCapacity: true)
        state = .tail(content)
    }

    /// What was held for a delimiter is none. At the start of a part its CRLF belongs to the header.
    private mutating func fail(_ content: Content, matched: Int) -> Event? {
        switch content {
        case .preamble:
            state = .content(.preamble, matched: 0)
            return nil
        case .start, .data:
            state = .content(.data, matched: 0)
            var first = 0
            if case .start = content { first = Delimiter.lineEndCount }
            return first < matched ? .held(first..<matched) : nil
        }
    }

    // MARK: Delimiter lines

    /// Takes a byte behind a delimiter, unless it was none, and the byte is to be read as content.
    private mutating func takeTail(_ byte: UInt8, _ offset: inout Int, _ content: Content) -> Event? {
        switch (tail.last, byte) {
        case (UInt8(ascii: "-"), UInt8(ascii: "-")): state = .epilogue
        case (0x0D, 0x0A):
            header.removeAll(keepingCapacity: true)
            state = .header
        case (nil, UInt8(ascii: "-")), (nil, 0x0D), (0x20, 0x0D), (0x09, 0x0D):
            tail.append(byte)
            offset += 1
            return nil
        case (nil, 0x20), (nil, 0x09), (0x20, 0x20), (0x20, 0x09), (0x09, 0x20), (0x09, 0x09):
            guard tail.count < Self.paddingBytesMax else { fallthrough }
            tail.append(byte)
            offset += 1
            return nil
        case _: return fail(content, matched: delimiter.bytes.count)
        }
        offset += 1
        hasSeenDelimiter = true
        if case .preamble = content { return nil }
        return .ends
    }

    // MARK: Headers

    /// Takes the bytes of a header block, up to its end or that of the block.
    private mutating func takeHeader(_ block: Span<UInt8>, _ offset: inout Int) throws(MultipartError) -> Event? {
        // The CRLF of the last line and that of the blank line are not counted.
        let countMax = headerBytesMax + 4
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
                state = .content(.start, matched: Delimiter.lineEndCount)
                return .begins
            }
            guard header.count < countMax else { throw .partHeaderTooLarge(max: headerBytesMax) }
        }
        return nil
    }

    private var endsInBlankLine: Bool {
        let count = header.count
        return count >= 4 && header[count - 2] == 0x0D && header[count - 3] == 0x0A && header[count - 4] == 0x0D
    }
}
