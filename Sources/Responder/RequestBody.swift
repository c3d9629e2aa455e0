import FastCGI
import HTTPTypes

/// The body of a request; a buffer is lent only while bytes are there, so a slow client holds none.
struct RequestBody: Body, ~Copyable {
    private var request: Request
    private let buffers: BodyBufferPool

    init(_ request: consuming Request, _ buffers: BodyBufferPool) {
        self.request = request
        self.buffers = buffers
    }

    mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress {
        if request.awaitBody() {
            request.withFewBytes(consume)
            return .more
        }
        let buffer = buffers.lend()
        switch request.read(into: buffer) {
        case .bytes(let count):
            buffer.withBytes(count, consume)
            return .more
        case .last(let count):
            buffer.withBytes(count, consume)
            return .last
        case .cutOff(let count):
            buffer.withBytes(count, consume)
            return .cutOff
        }
    }

    /// Answers the request; false when nobody hears it.
    consuming func send(_ status: HTTPResponse.Status, _ fields: HTTPFields, body: [UInt8]) -> Bool {
        request.send(status, fields, body: body)
    }
}
