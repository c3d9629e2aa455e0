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
    private var parameters: [String: String]
    /// False when the parameters exceed their limits; none is kept then.
    public let areParametersComplete: Bool
    private let connection: UnsafeMutablePointer<FCGX_Request>
    /// The length of the body (RFC 3875 4.1.2).
    public let contentLength: ContentLength
    private var received: Int64 = 0
    private var slowWaits = 0
    private var isBodyRead = false

    init(_ connection: UnsafeMutablePointer<FCGX_Request>) {
        unsafe self.connection = connection
        let parameters = unsafe Self.copyParameters(connection.pointee.envp)
        self.parameters = parameters ?? [:]
        areParametersComplete = parameters != nil
        contentLength = ContentLength(parameters?["CONTENT_LENGTH"])
    }

    /// Forgets the parameters once they have been read, as the body may take long.
    public mutating func forgetParameters() { parameters = [:] }

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

        fileprivate init(_ text: String?) {
            guard let text, !text.isEmpty else {
                self = .unknown
                return
            }
            let isNumber = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            self = isNumber ? Int64(text).map { .known($0) } ?? .malformed : .malformed
        }
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

    /// The header of a record (FastCGI 1.0, 3.3).
    private static let recordHeaderBytes = 8
    /// From how many bytes on more are likely to follow soon, and are waited for.
    private static let gatherBytesMin = 16 << 10
    /// How long they are waited for, in milliseconds.
    private static let gatherMilliseconds: CInt = 10

    /// After how many milliseconds without a byte a client is a slow one, for which no more memory is held than needed.
    private static let slowMilliseconds: CInt = 50

    /// Waits until bytes of the body are there, or its end is.
    ///
    /// - Returns: true when they are few and no more follow at once, so that `withFewBytes` can hand them on.
    public mutating func awaitBody() -> Bool {
        let stream = unsafe connection.pointee.in
        if readyCount == 0 { awaitSlowly() }
        let byte = unsafe FCGX_GetChar(stream)
        guard byte != EOF else { return false }
        unsafe FCGX_UnGetChar(byte, stream)
        return readyBehindCount == 0
    }

    /// Hands the bytes that libfcgi holds to a function, where they are.
    public mutating func withFewBytes<Value>(_ body: (Span<UInt8>) -> Value) -> Value {
        let count = inRecordCount
        guard let stream = unsafe connection.pointee.in else { preconditionFailure("a request has a body") }
        let value = unsafe body(UnsafeBufferPointer(start: stream.pointee.rdNext, count: count).span)
        unsafe stream.pointee.rdNext += count
        received += Int64(count)
        return value
    }

    /// Waits for a byte; does so with less memory at the 1st, 2nd, 4th, 8th ... time that it takes long, as what a slow
    /// client begins with goes deeper than what follows.
    private mutating func awaitSlowly() {
        guard slowWaits & (slowWaits - 1) == 0 || slowWaits == 0 else {
            slowWaits += 1
            return
        }
        var entry = unsafe pollfd(fd: connection.pointee.ipcFd, events: Int16(POLLIN), revents: 0)
        if unsafe poll(&entry, 1, Self.slowMilliseconds) == 0 {
            WorkerStack.releaseUnused()
            slowWaits += 1
        }
    }

    /// Reads the next bytes of the body, at least one of them unless the body ends; waits until the buffer is full or no
    /// more bytes come for a while.
    public mutating func read(into buffer: borrowing BodyBuffer) -> Block {
        var count = 0
        var isFirst = true
        while count < BodyBufferPool.bufferBytes {
            let ready = isFirst ? max(readyCount, 1) : readyCount(after: count)
            isFirst = false
            if ready == 0 { break }
            let wanted = min(ready, BodyBufferPool.bufferBytes - count)
            let read = unsafe Int(
                FCGX_GetStr(
                    buffer.block.characters.baseAddress?.advanced(by: count),
                    CInt(wanted),
                    connection.pointee.in
                )
            )
            count += read
            if read < wanted { return end(count) }
        }
        received += Int64(count)
        return .bytes(count)
    }

    /// What a short read came to: the end of the body or of the connection; only the stream's error tells which.
    private mutating func end(_ count: Int) -> Block {
        received += Int64(count)
        isBodyRead = true
        guard unsafe FCGX_GetError(connection.pointee.in) == 0 else { return .cutOff(count) }
        switch contentLength {
        case .known(let length): return received == length ? .last(count) : .cutOff(count)
        case .unknown, .malformed: return .last(count)
        }
    }

    /// How many bytes can be read without waiting, after some have been; 0 when these are to be handed on.
    ///
    /// A client that has sent little at once is a slow one: it is not waited for with a buffer in hand.
    private func readyCount(after count: Int) -> Int {
        let ready = readyCount
        if ready > 0 || count < Self.gatherBytesMin { return ready }
        var entry = unsafe pollfd(fd: connection.pointee.ipcFd, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, Self.gatherMilliseconds) == 0 ? 0 : max(readyCount, 1)
    }

    /// How many bytes of the body can be read without waiting, as far as can be told.
    private var readyCount: Int {
        let count = inRecordCount
        return count > 0 ? count : readyBehindCount
    }

    /// How many bytes are left of what libfcgi holds of the current record.
    private var inRecordCount: Int {
        guard let stream = unsafe connection.pointee.in else { return 0 }
        return unsafe stream.pointee.stop - stream.pointee.rdNext
    }

    /// How many bytes can be read without waiting behind those that libfcgi holds of the current record.
    private var readyBehindCount: Int {
        guard let stream = unsafe connection.pointee.in else { return 0 }
        let buffered = unsafe fermata_buffered_count(stream)
        // Where libfcgi can not be looked into, reading waits for a full buffer.
        guard buffered > Int.min else { return BodyBufferPool.bufferBytes }
        // A whole header: its content comes with it, or it is the end.
        if buffered >= Self.recordHeaderBytes { return 1 }
        var queued: CInt = 0
        guard unsafe ioctl(connection.pointee.ipcFd, UInt(FIONREAD), &queued) == 0, queued > 0 else { return 0 }
        // Some of it is headers: 8 bytes for each record, which web servers make of 4 KiB and more.
        return max(1, Int(queued) - Int(queued) / 256 - 32)
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
