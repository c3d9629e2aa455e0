/// Reads the parts of a form: hands on a part's header and its decoded bytes, and takes a multipart/mixed one apart.
///
/// The parts of a multipart/mixed part are files of its name, in their order (RFC 7578 4.3). They have no parts themselves,
/// and it has no transfer encoding (RFC 2046 5).
struct PartReader: ~Copyable {
    private let limits: MultipartLimits
    private var partCount = 0
    private var decoder = PartDecoder()
    private var mixed: Mixed?

    /// A multipart/mixed part.
    private struct Mixed: ~Copyable {
        let header: PartHeader
        var splitter: PartSplitter
    }

    init(limits: MultipartLimits) {
        self.limits = limits
    }

    /// Begins a part whose bytes follow at `offset` in the body.
    mutating func begin<Consumer: PartConsumer & ~Copyable>(
        _ block: [UInt8],
        at offset: Int64,
        _ consumer: inout Consumer
    ) throws(MultipartError) {
        try count()
        let header = try PartHeader(block)
        if header.isMixed {
            mixed = Mixed(header: header, splitter: try splitter(of: header))
        } else {
            if header.name == nil, header.isFile(scalarFields: []) { throw .fileWithoutName }
            decoder.begin(header)
            consumer.partBegins(header, at: header.transferEncoding == .identity ? offset : nil)
        }
    }

    /// Takes bytes of the part that has begun.
    mutating func take<Consumer: PartConsumer & ~Copyable>(
        _ bytes: Span<UInt8>,
        _ consumer: inout Consumer
    ) throws(MultipartError) {
        guard var mixed = mixed.take() else {
            try decoder.take(bytes, &consumer)
            return
        }
        var offset = 0
        while let event = try mixed.splitter.next(in: bytes, from: &offset) {
            switch event {
            case .begins: try begin(mixed.splitter.header, in: mixed.header, &consumer)
            case .data(let range): try decoder.take(bytes.extracting(range), &consumer)
            case .held(let range):
                let (delimiter, tail) = (mixed.splitter.delimiter.bytes, mixed.splitter.tail)
                try decoder.take(delimiter.span.extracting(range), &consumer)
                if !tail.isEmpty { try decoder.take(tail.span, &consumer) }
            case .ends: try decoder.end(&consumer)
            }
        }
        self.mixed = consume mixed
    }

    /// Ends the part that has begun.
    mutating func end<Consumer: PartConsumer & ~Copyable>(_ consumer: inout Consumer) throws(MultipartError) {
        guard let mixed = mixed.take() else {
            try decoder.end(&consumer)
            return
        }
        do throws(MultipartError) { try mixed.splitter.finish() } catch {
            throw .mixedMalformed(field: mixed.header.name, reason: "\(error)")
        }
    }

    // MARK: multipart/mixed

    private func splitter(of header: PartHeader) throws(MultipartError) -> PartSplitter {
        guard header.name != nil else { throw .fileWithoutName }
        guard header.transferEncoding == .identity else {
            throw .mixedMalformed(field: header.name, reason: "only its own parts may have a transfer encoding")
        }
        do throws(MultipartError) {
            let boundary = try Boundary(contentType: header.contentType ?? "")
            return PartSplitter(boundary, headerBytesMax: limits.partHeaderBytesMax)
        } catch {
            throw .mixedMalformed(field: header.name, reason: "\(error)")
        }
    }

    /// Begins a part of a multipart/mixed one.
    private mutating func begin<Consumer: PartConsumer & ~Copyable>(
        _ block: [UInt8],
        in outer: PartHeader,
        _ consumer: inout Consumer
    ) throws(MultipartError) {
        try count()
        let header = try PartHeader(block, inMixed: outer)
        if header.isMultipart { throw .nestedTooDeep(field: outer.name) }
        decoder.begin(header)
        consumer.partBegins(header, at: nil)
    }

    private mutating func count() throws(MultipartError) {
        guard partCount < limits.partsMax else { throw .tooManyParts(max: limits.partsMax) }
        partCount += 1
    }
}
