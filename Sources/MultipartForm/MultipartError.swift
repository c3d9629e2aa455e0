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

    /// True when the form may be well-formed but is larger than a limit allows.
    public var isLimit: Bool {
        switch self {
        case .boundaryMissing, .boundaryTooLong, .noDelimiter, .truncated: false
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
        case .tooManyParts(let max): "a form may have at most \(max) parts"
        case .partHeaderTooLarge(let max): "the headers of a part may have at most \(max) bytes"
        case .fieldTooLarge(let max): "a field may have at most \(max) bytes"
        case .tooMuchBesides(let max): "a form may have at most \(max) bytes besides its files and fields"
        case .fieldsTooLarge(let max): "all fields together may have at most \(max) bytes"
        }
    }
}

/// A bound on everything in a form that can grow (docs/dialects/README.md 0.4); file bytes are bounded by their
/// receiver.
public struct MultipartLimits: Hashable, Sendable {
    /// The number of parts.
    public var partsMax = 256
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
