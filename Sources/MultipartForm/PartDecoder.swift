/// Hands on the bytes of parts, one after the other, with their transfer encoding undone.
struct PartDecoder {
    /// How many bytes are decoded at a time.
    private static let blockBytes = 4 << 10

    private var decoder: TransferDecoder?
    private var field: String?
    private var encoding = TransferEncoding.identity
    private var decoded: [UInt8] = []

    /// Begins a part.
    mutating func begin(_ header: PartHeader) {
        encoding = header.transferEncoding
        decoder = TransferDecoder(encoding)
        field = decoder == nil ? nil : header.name
    }

    /// Hands on what bytes of the part stand for.
    ///
    /// - Throws: `encodingBroken`.
    mutating func take<Consumer: PartConsumer & ~Copyable>(
        _ bytes: Span<UInt8>,
        _ consumer: inout Consumer
    ) throws(MultipartError) {
        guard var decoder else {
            consumer.partBytes(bytes)
            return
        }
        var offset = 0
        while offset < bytes.count {
            let end = min(offset + Self.blockBytes, bytes.count)
            do throws(TransferFailure) {
                try decoder.decode(bytes.extracting(offset..<end), into: &decoded)
            } catch {
                // What stands before is handed on all the same, so that the cut of the body into blocks is not seen.
                release(&consumer)
                throw .encodingBroken(field: field, encoding: encoding, error)
            }
            release(&consumer)
            offset = end
        }
        self.decoder = decoder
    }

    /// Ends the part.
    ///
    /// - Throws: `encodingBroken`.
    mutating func end<Consumer: PartConsumer & ~Copyable>(_ consumer: inout Consumer) throws(MultipartError) {
        if var decoder = decoder.take() {
            do throws(TransferFailure) { try decoder.finish(into: &decoded) } catch {
                throw .encodingBroken(field: field, encoding: encoding, error)
            }
            release(&consumer)
        }
        consumer.partEnds()
    }

    private mutating func release<Consumer: PartConsumer & ~Copyable>(_ consumer: inout Consumer) {
        if !decoded.isEmpty { consumer.partBytes(decoded.span) }
        decoded.removeAll(keepingCapacity: true)
    }
}
