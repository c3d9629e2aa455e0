public import HTTPTypes
public import Uploads

/// TAPR's file-upload: bytes appended at an offset (docs/dialects/offset.md 4).
public struct OffsetDialect: Dialect {
    public let name = "offset"
    public let summary = "TAPR file-upload: bytes appended at an offset"
    public let settings: [Setting] = []
    public let headerFields = ForeignChunk.headerFields
    public let crossOrigin = CrossOriginNeeds(methods: [.post, .patch])
    public let receivesAtMountURL = true

    public init() {}

    public func configure(_ mount: inout Mount) {
        mount.fileBytesMax = 4 << 30
        mount.partBytesMax = 10_485_760
    }

    public func exchange(for request: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange {
        OffsetExchange(request, on: mount)
    }

    public func answer(to failure: ServiceFailure, on mount: Mount) -> Answer { OffsetError(failure).answer(mount) }
}
