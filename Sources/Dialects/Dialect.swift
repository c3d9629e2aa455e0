public import Digests
public import Uploads

/// The dialects, by the name that `FERMATA_DIALECT` gives them.
public enum Dialect: String, CaseIterable, Sendable {
    /// The DCloud 5+ runtime's Uploader (docs/dialects/dcloud.md 1).
    case dcloud
    /// Numbered parts under an integer fileId, at one URL (docs/dialects/fileid.md 2).
    case fileid
    /// Parallel parts after the model of Alibaba Cloud OSS (docs/dialects/parts.md 3).
    case parts
    /// TAPR's file-upload: bytes appended at an offset (docs/dialects/offset.md 4).
    case offset
    /// JSON calls, and bytes sent to signed URLs (docs/dialects/signed.md 5).
    case signed

    /// What an exchange knows beside its request and its mount.
    public struct Surroundings: Sendable {
        /// Signs the URLs that authorise themselves.
        public let signingKey: SigningKey
        /// The time of the request in seconds since 1970.
        public let now: Int64

        /// The surroundings of a request.
        public init(signingKey: SigningKey, now: Int64) {
            self.signingKey = signingKey
            self.now = now
        }
    }

    /// Gives a mount the limits that the dialect's document names, to be changed by the web server's parameters.
    public func configure(_ mount: inout Mount) {
        mount.dialect = rawValue
        switch self {
        case .dcloud: break
        case .fileid:
            mount.partBytesMax = 100 << 20
        case .parts:
            mount.partBytesMax = 104_857_600
            mount.partBytesMin = 102_400
        case .offset:
            mount.fileBytesMax = 4 << 30
            mount.partBytesMax = 10_485_760
        case .signed:
            mount.fileBytesMax = 524_288_000
            mount.chunkBytes = 5_242_880
            mount.partBytesMin = 5_242_880
            mount.partBytesMax = 104_857_600
            // A task is confirmed at leisure after its files are complete.
            mount.tombstoneSeconds = 24 * 3600
        }
    }

    /// Begins to answer a request.
    public func exchange(
        for request: RequestHead,
        on mount: Mount,
        in surroundings: Surroundings
    ) -> any Exchange {
        switch self {
        case .dcloud: DCloudExchange(request, on: mount)
        case .fileid: FileIDExchange(request, on: mount)
        case .parts: PartsExchange(request, on: mount)
        case .offset: OffsetExchange(request, on: mount)
        case .signed: SignedExchange(request, on: mount, in: surroundings)
        }
    }
}
