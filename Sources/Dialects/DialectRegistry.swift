/// The dialects that a service speaks.
public struct DialectRegistry: Sendable {
    /// In the order in which documents and metrics name them.
    public let dialects: [any Dialect]

    /// - Parameter dialects: each with a name of its own; of two with one name the first is meant.
    public init(_ dialects: [any Dialect]) { self.dialects = dialects }

    /// The dialects that are shipped: a new one is a line here.
    public static let shipped = DialectRegistry([
        DCloudDialect(),
        FileIDDialect(),
        PartsDialect(),
        OffsetDialect(),
        SignedDialect(),
    ])

    public var names: [String] { dialects.map(\.name) }

    /// The dialect that `FERMATA_DIALECT` means.
    public subscript(name: String) -> (any Dialect)? {
        dialects.first { $0.name.utf8.elementsEqual(name.utf8) }
    }
}
