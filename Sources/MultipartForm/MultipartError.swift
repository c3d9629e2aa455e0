/// Why a form could not be read. The `description` tells the client what to do.
public enum MultipartError: Error, Hashable, Sendable {
    /// The Content-Type field has no usable `boundary` parameter (RFC 2046 5.1.1).
    case boundaryMissing
    /// The boundary has more than `max` bytes.
    case boundaryTooLong(max: Int)
    /// The body ended without a single delimiter line.
    case noDelimiter
    /// The body ended before the close delimiter.
    case truncated
    /// A line in the header block of a part is no header field.
    case headerMalformed(String)
    /// A header field of a part stands twice, with different values.
    case headerRepeated(String)
    /// A parameter of a header field stands twice, with different values.
    case parameterRepeated(String)
    /// The value of a parameter begins with a quote that is not closed.
    case parameterUnclosed(String)
    /// A part is a file, and has no name that can be read.
    case fileWithoutName
    /// The transfer encoding of a part is not known.
    case encodingUnknown(field: String?, encoding: String)
    /// The bytes of a part are not in its transfer encoding.
    case encodingBroken(field: String?, encoding: TransferEncoding, TransferFailure)
    /// A part of parts has no usable boundary, or a transfer encoding (RFC 2046 5).
    case mixedMalformed(field: String?, reason: String)
    /// A part of parts stands in another one.
    case nestedTooDeep(field: String?)
    /// The form has more than `max` parts.
    case tooManyParts(max: Int)
    /// The header block of a part has more than `max` bytes.
    case partHeaderTooLarge(max: Int)
    /// The value of a field has more than `max` bytes.
    case fieldTooLarge(max: Int)
    /// The values of all fields have more than `max` bytes together.
    case fieldsTooLarge(max: Int)
    /// More than `max` bytes are of no file and no field.
    case tooMuchBesides(max: Int64)
    /// The body is multipart/form-data, though it says that it is urlencoded.
    case otherMedia

    /// True when the form may be well-formed but is larger than a limit allows.
    public var isLimit: Bool {
        switch self {
        case .boundaryMissing, .boundaryTooLong, .noDelimiter, .truncated, .headerMalformed, .headerRepeated,
            .parameterRepeated, .parameterUnclosed, .fileWithoutName, .encodingUnknown, .encodingBroken,
            .mixedMalformed, .nestedTooDeep, .otherMedia:
            false
        case .tooManyParts, .partHeaderTooLarge, .fieldTooLarge, .fieldsTooLarge, .tooMuchBesides: true
        }
    }
}

extension MultipartError: CustomStringConvertible {
    /// One sentence fragment in English.
    public var description: String {
        switch self {
        case .boundaryMissing: "Content-Type needs a boundary parameter"
        case .boundaryTooLong(let max): "the boundary may have at most \(max) bytes"
        case .noDelimiter: "no line of the body is the boundary given in Content-Type"
        case .truncated: "the body ended before its closing boundary"
        case .headerMalformed(let line):
            "a part has the line \(Self.quoted(line)) in its header, which is no header field"
        case .headerRepeated(let name): "a part has two different \(name) header fields"
        case .parameterRepeated(let name): "a header field has the parameter \(Self.quoted(name)) twice"
        case .parameterUnclosed(let name): "the quotes of the parameter \(Self.quoted(name)) are not closed"
        case .fileWithoutName: "a file part needs a name parameter that can be read"
        case .encodingUnknown(let field, let encoding):
            "\(Self.part(field)) has the Content-Transfer-Encoding \(Self.quoted(encoding)); "
                + "base64, quoted-printable, 7bit, 8bit and binary are understood"
        case .encodingBroken(let field, let encoding, let failure):
            "\(Self.part(field)) is not valid \(encoding.name): \(failure)"
        case .mixedMalformed(let field, let reason): "\(Self.part(field)) is multipart/mixed: \(reason)"
        case .nestedTooDeep(let field): "\(Self.part(field)) has parts whose parts have parts"
        case .tooManyParts(let max): "a form may have at most \(max) parts (FERMATA_MAX_PARTS_IN_FORM)"
        case .partHeaderTooLarge(let max): "the headers of a part may have at most \(max) bytes"
        case .fieldTooLarge(let max): "a field may have at most \(max) bytes (FERMATA_MAX_FIELD)"
        case .tooMuchBesides(let max): "a form may have at most \(max) bytes besides its files and fields"
        case .fieldsTooLarge(let max): "all fields together may have at most \(max) bytes (FERMATA_MAX_FIELDS)"
        case .otherMedia: "the body is multipart/form-data, but Content-Type says application/x-www-form-urlencoded"
        }
    }

    /// The start of a client's text, in quotes and without control characters.
    private static func quoted(_ text: String) -> String {
        let scalars = text.unicodeScalars.prefix(60).map { $0.properties.generalCategory == .control ? "?" : $0 }
        return "\"" + String(String.UnicodeScalarView(scalars)) + "\""
    }

    private static func part(_ field: String?) -> String {
        field.map { "the part \(quoted($0))" } ?? "a part without a name"
    }
}

/// A bound on everything in a form that can grow (docs/dialects/README.md 0.4); file bytes are bounded by their
/// receiver.
public struct MultipartLimits: Hashable, Sendable {
    /// The number of parts.
    public var partsMax = 1_000
    /// The header block of one part, in bytes, without the blank line that ends it.
    public var partHeaderBytesMax = 16 << 10
    /// The value of one field, in bytes.
    public var fieldBytesMax = 64 << 10
    /// The values of fields that may be longer than others, in bytes, by their names.
    public var longFields: [String: Int] = [:]
    /// The values of all fields together, in bytes.
    public var allFieldBytesMax = 1 << 20

    /// The limits of docs/dialects/README.md 0.4.
    public init() {}

    /// The longest value of a field, in bytes.
    func bytesMax(ofField name: String) -> Int { longFields[name] ?? fieldBytesMax }
}
