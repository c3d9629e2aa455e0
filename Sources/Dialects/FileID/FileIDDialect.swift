public import HTTPTypes
public import Uploads

/// Numbered parts under an integer fileId, at one URL (docs/dialects/fileid.md 2).
public struct FileIDDialect: Dialect {
    public let name = "fileid"
    public let summary = "numbered parts under an integer fileId, at one URL"
    public let settings: [Setting] = [.chunk]
    public let headerFields = ForeignChunk.headerFields
    public let crossOrigin = CrossOriginNeeds(methods: [.post])
    public let receivesAtMountURL = false

    public init() {}

    public func configure(_ mount: inout Mount) { mount.partBytesMax = 100 << 20 }

    public func exchange(for request: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange {
        FileIDExchange(request, on: mount)
    }

    public func answer(to failure: ServiceFailure, on mount: Mount) -> Answer {
        WordError(failure).answer(type: mount.answerType)
    }
}
