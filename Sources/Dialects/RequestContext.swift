public import Digests

/// What an exchange knows beside its request and its mount.
public struct RequestContext: Sendable {
    /// Signs the URLs that authorise themselves.
    public let signingKey: SigningKey
    /// The time of the request in seconds since 1970.
    public let now: Int64

    public init(signingKey: SigningKey, now: Int64) {
        self.signingKey = signingKey
        self.now = now
    }
}
