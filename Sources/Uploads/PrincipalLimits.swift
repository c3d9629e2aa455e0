/// What one principal may have on a mount, all uploads together; each client may have more than one.
public struct PrincipalLimits: Hashable, Sendable {
    /// How many uploads may be open at the same time (`FERMATA_MAX_OPEN`); `nil` for any number.
    public var openUploadsMax: Int?
    /// How many bytes open uploads are to have, and finished ones have had, together (`FERMATA_QUOTA`); `nil` for any
    /// number.
    public var bytesMax: Int64?

    /// How many requests may be under way at the same time in a process (`FERMATA_MAX_REQUESTS`); `nil` for any number.
    public var requestsMax: Int?

    /// No limits.
    public init() {}

    /// Whether there is none that the ledger keeps.
    public var areNone: Bool { openUploadsMax == nil && bytesMax == nil }
}
