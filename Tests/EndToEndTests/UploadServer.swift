import Foundation

/// Whoever answers requests: a real nginx before a real responder, or what handles requests, in this process.
protocol UploadServer {
    /// Where finished files appear.
    var files: URL { get }
    /// The port on the loopback interface; 0 without one.
    var port: UInt16 { get }
    /// Sends a request and reads the answer.
    func request(
        _ method: String,
        _ path: String,
        _ contentType: String?,
        _ body: [UInt8],
        _ fields: [String]
    ) throws -> HTTPConnection.Answer
}

/// What is behind a real web server is reached through its port.
extension UploadServer {
    func request(
        _ method: String,
        _ path: String,
        _ contentType: String?,
        _ body: [UInt8],
        _ fields: [String]
    ) throws -> HTTPConnection.Answer {
        try HTTPConnection(port).request(method, path, contentType, body, fields)
    }
}

extension Site: UploadServer {}
