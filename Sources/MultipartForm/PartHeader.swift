/// The header block of one part (RFC 7578 4.2, docs/dialects/README.md 0.4).
///
/// Field names are case-insensitive, and white space before the colon is let pass; unknown fields are ignored, as is a
/// line whose name holds white space (docs/dialects/dcloud.md D4-2). A folded line (RFC 822) continues the one before.
/// A line that is no field at all is refused, and so is a field of those below that stands twice with different values:
/// one of them was meant, and nobody knows which.
public struct PartHeader: Hashable, Sendable {
    /// The `name` parameter in whichever spelling it was sent; `nil` when there is none that can be read.
    public let name: String?
    /// The client's own file name as sent; `nil` when it sent none. It holds the control character SUB where it cannot
    /// be decoded, and is then no name to store a file under.
    public let fileName: String?
    /// The Content-Type field as sent; `nil` when there is none.
    public let contentType: String?
    /// The `range` parameter as sent (docs/dialects/dcloud.md 1.4.2); `nil` when there is none.
    public let range: String?
    /// The Content-Range field as sent, by which some libraries number chunks; `nil` when there is none.
    public let contentRange: String?
    /// What was done to the bytes of the part, which the parser undoes.
    public let transferEncoding: TransferEncoding
    /// Whether the part stands in a multipart/mixed part, of which it has the name (RFC 7578 4.3).
    public let isInMixed: Bool

    /// True when the part has a `filename` parameter of any form, even an empty one.
    public var hasFileName: Bool { fileName != nil }

    /// Whether the part is made of files: a multipart/mixed one that is no file itself (RFC 7578 4.3).
    var isMixed: Bool { isMultipart && contentType.map { MediaType(parsing: $0) } == .multipartMixed }

    /// Whether the part is made of parts, and is no file.
    var isMultipart: Bool {
        guard let contentType, contentType.utf8.first?.lowercase == UInt8(ascii: "m") else { return false }
        return range == nil && !hasFileName && MediaType(parsing: contentType).isMultipart
    }

    /// True when the part is what a browser sends for a file input without a choice, if it has no bytes.
    public var hasEmptyFileName: Bool { fileName?.isEmpty == true }

    /// Reads a header block without the blank line that ends it.
    ///
    /// - Throws: `headerMalformed`, `headerRepeated`, `parameterRepeated`, `parameterUnclosed` or `encodingUnknown`.
    public init(_ block: [UInt8]) throws(MultipartError) {
        try self.init(block, inMixed: nil)
    }

    /// Reads the header block of a part that may stand in a multipart/mixed one.
    init(_ block: [UInt8], inMixed outer: PartHeader?) throws(MultipartError) {
        let fields = try HeaderFields(block)
        let bytes = fields.block
        var (name, fileName, range): (ParameterText?, ParameterText?, String?)
        if let disposition = try fields.range(of: "content-disposition") {
            let parameters = try HeaderParameters(bytes, in: disposition)
            name = try ParameterText("name", in: parameters)
            fileName = try ParameterText("filename", in: parameters)
            range = try parameters.value(of: "range").map { clientText($0) }
        }
        self.name = outer.map { $0.name } ?? name.flatMap { $0.isWhole ? $0.text : nil }
        self.fileName = fileName?.text
        self.range = range
        contentType = try fields.range(of: "content-type").map { clientText(bytes[$0]) }
        contentRange = try fields.range(of: "content-range").map { clientText(bytes[$0]) }
        isInMixed = outer != nil
        if let value = try fields.range(of: "content-transfer-encoding") {
            guard let encoding = TransferEncoding(bytes[value]) else {
                throw .encodingUnknown(field: self.name, encoding: clientText(bytes[value]))
            }
            transferEncoding = encoding
        } else {
            transferEncoding = .identity
        }
    }

    /// Whether the part is a file: it has a range, a file name, or a media type that no field has, or it stands in a
    /// multipart/mixed part (docs/dialects/README.md 0.4).
    ///
    /// - Parameter scalarFields: names that are always fields unless they have a range or a file name.
    public func isFile(scalarFields: Set<String>) -> Bool {
        if range != nil || hasFileName || isInMixed { return true }
        guard let contentType, !MediaType(parsing: contentType).isOfFields else { return false }
        guard let name else { return true }
        // As bytes: Swift takes the Kelvin sign for a K.
        return !scalarFields.contains { $0.utf8.elementsEqual(name.utf8) }
    }
}
