import CFastCGI
import Glibc
public import HTTPTypes

/// One request, from accept to answer, on the thread that accepted it.
///
/// 1. The parameters are copied out before the body is read, within the limits below.
/// 2. The body ends `whole` only when the web server said so: at the empty FCGI_STDIN record, and at CONTENT_LENGTH
///    where it is given. Anything else is `cutOff`, and what came before is handed on all the same.
/// 3. It is answered once: `send` consumes the request.
/// 4. A connection whose body was not read to its end is closed: what is left of it must not be taken for the records
///    of a next request.
///
/// The connection belongs to the accepting thread and outlives the request, hence `@safe`.
@safe
public struct Request: ~Copyable {
    /// How many parameters a request may have.
    public static let parametersMax = 512
    /// How many bytes the parameters of a request may have together.
    public static let parameterBytesMax = 256 << 10

    /// The parameters that the web server set (`NAME`), and those that the client's header fields became (`HTTP_NAME`).
    private let parameters: [String: String]
    /// False when the parameters exceed their limits; none is kept then.
    public let areParametersComplete: Bool
    private let connection: UnsafeMutablePointer<FCGX_Request>
    private var received: Int64 = 0
    private var isBodyRead = false

    init(_ connection: UnsafeMutablePointer<FCGX_Request>) {
        unsafe self.connection = connection
        let parameters = unsafe Self.copyParameters(connection.pointee.envp)
        self.parameters = parameters ?? [:]
        areParametersComplete = parameters != nil
    }

    deinit {
        if !isBodyRead { unsafe connection.pointee.keepConnection = 0 }
        unsafe FCGX_Finish_r(connection)
    }

    private static func copyParameters(_ environment: FCGX_ParamArray?) -> [String: String]? {
        var parameters: [String: String] = [:]
        guard var entry = unsafe environment else { return parameters }
        var bytes = 0
        while let text = unsafe entry.pointee {
            let buffer = unsafe UnsafeBufferPointer(start: text, count: strlen(text))
            bytes += buffer.count
            guard parameters.count < parametersMax, bytes <= parameterBytesMax else { return nil }
            if let equals = unsafe buffer.firstIndex(of: CChar(UInt8(ascii: "="))) {
                let name = unsafe decode(buffer[..<equals])
                parameters[name] = unsafe decode(buffer[(equals + 1)...])
            }
            unsafe entry += 1
        }
        return parameters
    }

    private static func decode(_ characters: Slice<UnsafeBufferPointer<CChar>>) -> String {
        let bytes = unsafe characters.map { UInt8(bitPattern: $0) }
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return String(String.UnicodeScalarView(bytes.map { Unicode.Scalar($0) }))
    }

    // MARK: The head

    /// A parameter of the web server's own; header fields of the client can not be had this way.
    public func parameter(_ name: String) -> String? {
        precondition(!name.hasPrefix("HTTP_"), "a client can set \(name)")
        return parameters[name]
    }

    /// The request as HTTP has it: its method, its path with the query, and the client's header fields, which CGI passes as
    /// `HTTP_*` and CONTENT_TYPE (RFC 3875 4.1); `nil` without a method.
    public var httpRequest: HTTPRequest? {
        guard let method = parameters["REQUEST_METHOD"].flatMap({ HTTPRequest.Method($0) }) else { return nil }
        let query = parameters["QUERY_STRING"].flatMap { $0.isEmpty ? nil : "?" + $0 } ?? ""
        var fields = HTTPFields()
        for (name, value) in parameters where name.hasPrefix("HTTP_") {
            let dashed = name.dropFirst(5).map { $0 == "_" ? "-" : $0 }
            if let name = HTTPField.Name(String(dashed)) { fields.append(HTTPField(name: name, value: value)) }
        }
        if let contentType = parameters["CONTENT_TYPE"], !contentType.isEmpty { fields[.contentType] = contentType }
        return HTTPRequest(
            method: method,
            scheme: parameters["HTTPS"] == "on" ? "https" : "http",
            authority: parameters["HTTP_HOST"],
            path: (parameters["SCRIPT_NAME"] ?? "") + (parameters["PATH_INFO"] ?? "") + query,
            headerFields: fields
        )
    }

    /// The length of the body in bytes, as the web server tells it.
    public enum ContentLength: Hashable, Sendable {
        /// This many bytes.
        case known(Int64)
        /// Not known before its end: the parameter is empty or absent (dialects.md 6, item 2).
        case unknown
        /// Not a number.
        case malformed
    }

    /// The length of the body (RFC 3875 4.1.2).
    public var contentLength: ContentLength {
        guard let text = parameters["CONTENT_LENGTH"], !text.isEmpty else { return .unknown }
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let length = Int64(text)
        else { return .malformed }
        return .known(length)
    }

    // MARK: The body

    /// What reading the next block of the body came to.
    public enum Block: Hashable, Sendable {
        /// This many bytes are at the start of the buffer; more may follow.
        case bytes(Int)
        /// These are the last bytes, and the body is whole.
        case last(Int)
        /// These are the last bytes, and the body is not whole: the client or the web server broke off.
        case cutOff(Int)
    }

    /// Reads the next bytes of the body; waits until the buffer is full or the body ends.
    public mutating func read(into buffer: borrowing BodyBuffer) -> Block {
        let wanted = BodyBufferPool.bufferBytes
        let count = unsafe Int(
            FCGX_GetStr(buffer.block.characters.baseAddress, CInt(wanted), connection.pointee.in)
        )
        received += Int64(count)
        if count == wanted { return .bytes(count) }
        isBodyRead = true
        // A short read is the end of the body or of the connection; only the stream's error tells which.
        guard unsafe FCGX_GetError(connection.pointee.in) == 0 else { return .cutOff(count) }
        switch contentLength {
        case .known(let length): return received == length ? .last(count) : .cutOff(count)
        case .unknown, .malformed: return .last(count)
        }
    }

    // MARK: The answer

    /// Answers the request, and ends it.
    ///
    /// - Returns: false when the client or the web server is gone.
    @discardableResult
    public consuming func send(_ status: HTTPResponse.Status, _ fields: HTTPFields, body: [UInt8]) -> Bool {
        var head = "Status: \(status.code) \(status.reasonPhrase)\r\n"
        for field in fields { head += "\(field.name.rawName): \(field.value)\r\n" }
        head += "Content-Length: \(body.count)\r\n\r\n"
        let bytes = Array(head.utf8) + body
        return unsafe bytes.withUnsafeBytes { buffer in
            unsafe buffer.withMemoryRebound(to: CChar.self) { characters in
                unsafe FCGX_PutStr(characters.baseAddress, CInt(characters.count), connection.pointee.out)
                    == characters.count && FCGX_FFlush(connection.pointee.out) == 0
            }
        }
    }
}
