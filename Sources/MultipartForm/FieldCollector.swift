/// Gathers the values of a form's fields, one after the other, within the limits on each and on all.
public struct FieldCollector: Sendable {
    private let limits: MultipartLimits
    private var bytes: [UInt8] = []
    private var bytesMax = 0
    private var allCount = 0

    /// A collector for one form.
    public init(limits: MultipartLimits) {
        self.limits = limits
    }

    /// Begins a field.
    public mutating func begin(_ name: String) {
        bytesMax = limits.bytesMax(ofField: name)
        bytes.removeAll(keepingCapacity: true)
    }

    /// Takes the next bytes of the field.
    ///
    /// - Throws: `fieldTooLarge` or `fieldsTooLarge`.
    public mutating func append(_ more: Span<UInt8>) throws(MultipartError) {
        guard more.count <= bytesMax - bytes.count else { throw .fieldTooLarge(max: bytesMax) }
        guard more.count <= limits.allFieldBytesMax - allCount else {
            throw .fieldsTooLarge(max: limits.allFieldBytesMax)
        }
        allCount += more.count
        for index in more.indices { bytes.append(more[index]) }
    }

    /// The field's value: its bytes, and these as UTF-8 or else ISO-8859-1.
    public var value: (raw: [UInt8], text: String) { (bytes, clientText(bytes)) }
}
