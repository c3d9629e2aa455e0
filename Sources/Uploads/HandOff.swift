/// What a site wants to be done with its files once they are whole (docs/hand-off.md).
public struct HandOff: Hashable, Sendable {
    /// A program that is told of each published file, at least once: an absolute path (`FERMATA_HOOK`).
    public var hook: String?
    /// A program that may refuse a whole file before it gets its name: an absolute path (`FERMATA_VETO`).
    public var veto: String?
    /// Whether a document about the file is published beside it, as `NAME.json` (`FERMATA_MANIFEST`).
    public var hasManifest = false

    /// Nothing.
    public init() {}

    /// What is to be done.
    public init(hook: String?, veto: String?, hasManifest: Bool) {
        self.hook = hook
        self.veto = veto
        self.hasManifest = hasManifest
    }

    /// Whether nothing is to be done.
    public var isNothing: Bool { hook == nil && veto == nil && !hasManifest }
}

/// Whose a file is, and what is to be done with it once it is whole.
public struct FileAccount: Hashable, Sendable {
    /// The session that it belongs to.
    public let session: SessionKey
    /// The session's data fields, with all values of each, in their order.
    public let fields: [FormField]
    /// What is to be done with it.
    public let handOff: HandOff

    /// The account of a file.
    public init(session: SessionKey, fields: [FormField], handOff: HandOff) {
        self.session = session
        self.fields = fields
        self.handOff = handOff
    }
}
