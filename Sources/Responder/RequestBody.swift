import FastCGI
import HTTPTypes

/// The body of a request; a buffer is lent only while bytes are there, so a slow client holds none.
struct RequestBody: Body, ~Copyable {
    private var request: Request
    private let buffers: BodyBufferPool
    private var isInSmallSteps = false

    init(_ request: consuming Request, _ buffers: BodyBufferPool) {
        self.request = request
        self.buffers = buffers
    }

    mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress {
        switch request.readBody(buffers, isInSmallSteps: isInSmallSteps, consume) {
        case .more: .more
        case .later: .later
        case .last: .last
        case .cutOff: .cutOff
        }
    }

    mutating func readInSmallSteps() { isInSmallSteps = true }

    mutating func rest(_ duration: Duration) -> RestEnding {
        switch request.rest(duration) {
        case .over(let arrivedCount): .over(arrivedCount: arrivedCount)
        case .early: .early
        }
    }

    func hasMore(withinMilliseconds milliseconds: Int) -> Bool { request.hasMore(withinMilliseconds: milliseconds) }

    /// Answers the request; false when nobody hears it.
    consuming func send(_ status: HTTPResponse.Status, _ fields: HTTPFields, body: [UInt8]) -> Bool {
        request.send(status, fields, body: body)
    }
}
