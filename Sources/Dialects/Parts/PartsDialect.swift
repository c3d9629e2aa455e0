public import HTTPTypes
public import Uploads

/// Parallel parts after the model of Alibaba Cloud OSS (docs/dialects/parts.md 3).
public struct PartsDialect: Dialect {
    public let name = "parts"
    public let summary = "parallel parts after the model of Alibaba Cloud OSS"
    public let settings: [Setting] = [.partMin, .cancel, .requireMD5, .requireOrder, .wrapLists]
    public let headerFields = ForeignChunk.headerFields
    public let crossOrigin = CrossOriginNeeds(methods: [.get, .post])
    public let receivesAtMountURL = false

    public init() {}

    public func configure(_ mount: inout Mount) {
        mount.partBytesMax = 104_857_600
        mount.partBytesMin = 102_400
    }

    public func exchange(for request: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange {
        PartsExchange(request, on: mount)
    }

    public func answer(to failure: ServiceFailure, on mount: Mount) -> Answer {
        WordError(failure).answer(type: mount.answerType)
    }
}
