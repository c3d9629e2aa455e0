/// The boundary of a multipart body: 1-200 bytes, of which none is CR, LF or NUL (RFC 2046 5.1.1; the RFC's limit of 70
/// bytes and its character set are not enforced, docs/dialects/README.md 0.4).
public struct Boundary: Hashable, Sendable {
    /// The longest boundary in bytes.
    public static let bytesMax = 200

    /// The bytes between the two dashes and the end of a delimiter line.
    public let bytes: [UInt8]

    /// How many bytes end a form behind its last part: CRLF, the close delimiter, CRLF.
    public var closingCount: Int { bytes.count + 8 }

    /// Takes the boundary from the value of a Content-Type field.
    public init(contentType: String) throws(MultipartError) {
        let parameters = try HeaderParameters(Array(contentType.utf8))
        guard let bytes = try parameters.value(of: "boundary")?.trimmingWhiteSpace() else { throw .boundaryMissing }
        try self.init(bytes: Array(bytes))
    }

    /// A boundary of these bytes.
    public init(bytes: [UInt8]) throws(MultipartError) {
        guard !bytes.isEmpty, !bytes.contains(where: { $0 == 0x0D || $0 == 0x0A || $0 == 0 }) else {
            throw .boundaryMissing
        }
        guard bytes.count <= Self.bytesMax else { throw .boundaryTooLong(max: Self.bytesMax) }
        self.bytes = bytes
    }
}
