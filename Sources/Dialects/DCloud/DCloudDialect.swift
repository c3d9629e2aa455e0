public import HTTPTypes
public import Uploads

/// The DCloud 5+ runtime's Uploader (docs/dialects/dcloud.md 1).
public struct DCloudDialect: Dialect {
    public let name = "dcloud"
    public let summary = "DCloud Uploader: a boundary names the upload, the `range` parameter says where bytes go"
    public let settings: [Setting] = [.resume, .cancel]
    public let headerFields = ForeignChunk.headerFields
    public let crossOrigin = CrossOriginNeeds(methods: [.post])
    public let receivesAtMountURL = true

    public init() {}

    public func exchange(for request: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange {
        DCloudExchange(request, on: mount)
    }

    public func answer(to failure: ServiceFailure, on mount: Mount) -> Answer {
        DCloudError(failure).answer(type: mount.answerType, files: nil)
    }
}
