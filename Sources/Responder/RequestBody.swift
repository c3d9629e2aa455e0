import FastCGI
import HTTPTypes

/// A request with the buffer that its body is read into.
struct RequestBody: Body, ~Copyable {
    private var request: Request
    private let buffer: BodyBuffer

    init(_ request: consuming Request, _ buffer: consuming BodyBuffer) {
        self.request = request
        self.buffer = buffer
    }

    mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress {
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
