import HTTPTypes
public import Uploads

/// JSON calls, and bytes sent to signed URLs (docs/dialects/signed.md 5).
public struct SignedDialect: Dialect {
    public let name = "signed"
    public let summary = "JSON calls, and parts sent by PUT to URLs that authorise themselves"
    public let settings: [Setting] = [.chunk, .partMin, .baseURL, .urlExpires, .fileKinds, .keyPrefix]
    public let crossOrigin = CrossOriginNeeds(methods: [.post, .put], exposedFields: [.eTag])
    public let receivesAtMountURL = false
    public let makesURLs = true

    public init() {}

    public func configure(_ mount: inout Mount) {
        mount.fileBytesMax = 524_288_000
        mount.chunkBytes = 5_242_880
        mount.partBytesMin = 5_242_880
        mount.partBytesMax = 104_857_600
        // A task is confirmed at leisure after its files are complete.
        mount.tombstoneSeconds = 24 * 3600
    }

    public func exchange(for request: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange {
        SignedExchange(request, on: mount, in: context)
    }

    public func answer(to failure: ServiceFailure, on mount: Mount) -> Answer {
        SignedError(failure).answer(type: mount.answerType)
    }
}
