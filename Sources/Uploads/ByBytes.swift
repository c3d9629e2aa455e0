/// Text of a client, compared and hashed by its bytes in UTF-8.
///
/// Swift takes all spellings of a text for equal that Unicode calls equivalent (UAX 15), so `é` in one code point is `é` in
/// two. The ledger and the file system tell them apart, and so must everything in between: a type whose property bears
/// this wrapper compares it by bytes, a dictionary with this as its key keeps both spellings, and two texts that stand
/// alone are compared by `isSame`.
@propertyWrapper
public struct ByBytes: Hashable, Sendable {
    /// The text.
    public var wrappedValue: String

    /// A text.
    public init(wrappedValue: String) {
        self.wrappedValue = wrappedValue
    }

    /// A text, as the key of a dictionary.
    public init(_ text: String) {
        self.init(wrappedValue: text)
    }

    public static func == (one: ByBytes, other: ByBytes) -> Bool { one.wrappedValue.isSame(as: other.wrappedValue) }

    public func hash(into hasher: inout Hasher) {
        for byte in wrappedValue.utf8 { hasher.combine(byte) }
        hasher.combine(wrappedValue.utf8.count)
    }
}

extension String {
    /// Whether the bytes of two texts are the same.
    public func isSame(as other: String) -> Bool {
        utf8.count == other.utf8.count && utf8.elementsEqual(other.utf8)
    }
}

extension Sequence<String> {
    /// Whether one of the texts has the bytes of another.
    public func holds(_ text: String) -> Bool { contains { $0.isSame(as: text) } }
}
