/// What a parser hands on of a form.
public protocol PartConsumer: ~Copyable {
    /// A part begins.
    ///
    /// - Parameter offset: where its first byte is in the body; `nil` when the place of its end says nothing of its size,
    ///   as its bytes are decoded, or it stands in a multipart/mixed part.
    mutating func partBegins(_ header: PartHeader, at offset: Int64?)
    /// Bytes of the part that has begun, decoded: to be used at once, as most are a slice of the block that is parsed.
    mutating func partBytes(_ bytes: Span<UInt8>)
    /// The part that has begun is complete.
    mutating func partEnds()
}

/// A push parser of multipart/form-data (RFC 7578, RFC 2046 5.1.1, with the tolerances of docs/dialects/README.md 0.4).
///
/// 1. The same calls follow, but for how bytes are cut up, however the body is cut into blocks.
/// 2. No file byte is copied or kept, unless it has to be decoded. At the end of a block the parser knows by numbers alone
///    how much of a delimiter has matched; when that turns out to be data, it hands on the delimiter's own bytes.
/// 3. Bytes are handed on as soon as it is certain that they are data, so a body that is cut off has given all it had.
/// 4. Time is linear in the length of the body, and memory is bounded by `MultipartLimits`.
/// 5. Transfer encodings are undone and multipart/mixed parts are taken apart here; nobody else sees them.
public struct MultipartParser: ~Copyable {
    /// White space allowed between a boundary and its CRLF, in bytes; more than that is no delimiter line.
    public static let paddingBytesMax = PartSplitter.paddingBytesMax

    private var splitter: PartSplitter
    private var reader: PartReader
    /// How many bytes of the body came in earlier blocks.
    private var parsedCount: Int64 = 0

    /// A parser at the start of a body.
    public init(boundary: Boundary, limits: MultipartLimits = MultipartLimits()) {
        splitter = PartSplitter(boundary, headerBytesMax: limits.partHeaderBytesMax)
        reader = PartReader(limits: limits)
    }

    /// True once the close delimiter has been seen; whatever follows is ignored.
    public var isComplete: Bool { splitter.isComplete }

    /// Parses the next block of the body.
    ///
    /// - Throws: a limit, or what keeps a part from being understood; the parser is of no use after that.
    public mutating func parse<Consumer: PartConsumer & ~Copyable>(
        _ block: Span<UInt8>,
        _ consumer: inout Consumer
    ) throws(MultipartError) {
        var offset = 0
        while let event = try splitter.next(in: block, from: &offset) {
            switch event {
            case .begins: try reader.begin(splitter.header, at: parsedCount + Int64(offset), &consumer)
            case .data(let range): try reader.take(block.extracting(range), &consumer)
            case .held(let range):
                let (delimiter, tail) = (splitter.delimiter.bytes, splitter.tail)
                try reader.take(delimiter.span.extracting(range), &consumer)
                if !tail.isEmpty { try reader.take(tail.span, &consumer) }
            case .ends: try reader.end(&consumer)
            }
        }
        parsedCount += Int64(block.count)
    }

    /// Ends the body.
    ///
    /// - Throws: `noDelimiter` or `truncated` unless the close delimiter has been seen.
    public func finish() throws(MultipartError) { try splitter.finish() }
}
