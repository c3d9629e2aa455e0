import CFastCGI
import CParameters
import CPosix
import Glibc
public import HTTPTypes

/// One request, from accept to answer, on the thread that accepted it.
///
/// 1. The parameters are looked up where libfcgi has them, within the limits below.
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
    /// How many it seldom exceeds.
    private static let usualParameters = 48
    /// How many bytes the parameters of a request may have together.
    public static let parameterBytesMax = 256 << 10

    /// Where libfcgi has the parameters; `nil` when they exceed their limits.
    private let entries: [Parameter]?
    private let connection: UnsafeMutablePointer<FCGX_Request>
    private let stopSign: StopSign
    /// The length of the body (RFC 3875 4.1.2).
    public private(set) var contentLength: ContentLength
    /// Whether the value of a parameter holds a NUL. What is known of it ends there, so that it is not what the web server
    /// said: one user could pass for another.
    public let holdsNUL: Bool
    private var received: Int64 = 0
    /// How many bytes wait in the connection, if it was looked at since the last read.
    private var queued: Int?
    private var slowWaits = 0
    private var isBodyRead = false
    /// Where libfcgi reads to, if not to its own memory.
    private var lent: BodyBuffer?
    private var ownMemory = unsafe fermata_memory_block()

    /// A parameter as libfcgi has it, `NAME=value`.
    @safe
    private struct Parameter {
        let text: UnsafeMutablePointer<CChar>
        let nameCount: Int

        var value: UnsafeMutablePointer<CChar> { unsafe text + nameCount + 1 }

        func isNamed(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
            guard nameCount == name.count, let start = name.baseAddress else { return false }
            return unsafe memcmp(text, start, nameCount) == 0
        }

        func isNamed(beginningWith prefix: UnsafeBufferPointer<UInt8>) -> Bool {
            guard nameCount >= prefix.count, let start = prefix.baseAddress else { return false }
            return unsafe memcmp(text, start, prefix.count) == 0
        }
    }

    init(_ connection: UnsafeMutablePointer<FCGX_Request>, _ stopSign: StopSign) {
        unsafe self.connection = connection
        self.stopSign = stopSign
        unsafe entries = Self.entries(connection.pointee.envp)
        holdsNUL = unsafe cparameters_take_note(&connection.pointee.in.pointee.FCGI_errno)
        contentLength = .unknown
        contentLength = ContentLength(text("CONTENT_LENGTH"))
    }

    deinit {
        if isBodyRead {
            // Nothing is left to be read, so the connection can be closed at once: without this, libfcgi would wait
            // until the web server has closed it, lest unread bytes make it lose the answer.
            unsafe FCGX_Detach(connection)
        } else {
            unsafe FCGX_Attach(connection)
            unsafe connection.pointee.keepConnection = 0
        }
        unsafe FCGX_Finish_r(connection)
    }

    private static func entries(_ environment: FCGX_ParamArray?) -> [Parameter]? {
        guard var entry = unsafe environment else { return [] }
        var entries: [Parameter] = []
        entries.reserveCapacity(usualParameters)
        var bytes = 0
        while let text = unsafe entry.pointee {
            let count = unsafe strlen(text)
            bytes += count
            guard entries.count < parametersMax, bytes <= parameterBytesMax else { return nil }
            if let sign = unsafe memchr(text, CInt(UInt8(ascii: "=")), count) {
                let nameCount = unsafe UnsafeRawPointer(sign) - UnsafeRawPointer(text)
                unsafe entries.append(Parameter(text: text, nameCount: nameCount))
            }
            unsafe entry += 1
        }
        return entries
    }

    /// False when the parameters exceed their limits; there are none then.
    public var areParametersComplete: Bool { entries != nil }

    /// The value of a parameter: the web server's own (`NAME`), or what a header field of the client became
    /// (`HTTP_NAME`). Of one that is given twice the last counts, as where a location adds to what it includes.
    private func text(_ name: String) -> String? {
        var name = name
        return name.withUTF8 { name in
            guard let parameter = entries?.last(where: { unsafe $0.isNamed(name) }) else { return nil }
            return unsafe Self.decode(parameter.value)
        }
    }

    /// The bytes of a parameter of the web server's own, which may be text of any character set.
    public func bytes(_ name: String) -> [UInt8]? {
        precondition(!name.hasPrefix("HTTP_"), "a client can set \(name)")
        var name = name
        return name.withUTF8 { name in
            guard let parameter = entries?.last(where: { unsafe $0.isNamed(name) }) else { return nil }
            return unsafe UnsafeBufferPointer(start: parameter.value, count: strlen(parameter.value)).map {
                UInt8(bitPattern: $0)
            }
        }
    }

    /// Text as UTF-8, or else as ISO-8859-1.
    private static func decode(_ text: UnsafeMutablePointer<CChar>) -> String {
        if let text = unsafe String(validatingCString: text) { return text }
        let bytes = unsafe UnsafeBufferPointer(start: text, count: strlen(text))
        return unsafe String(String.UnicodeScalarView(bytes.map { Unicode.Scalar(UInt8(bitPattern: $0)) }))
    }

    // MARK: The head

    /// A parameter of the web server's own; header fields of the client can not be had this way.
    public func parameter(_ name: String) -> String? {
        precondition(!name.hasPrefix("HTTP_"), "a client can set \(name)")
        return text(name)
    }

    /// Appends the web server's own parameters whose names begin in a way, but for one, in their order: `NAME=value`
    /// and a NUL, which no value holds.
    public func appendParameters(beginningWith prefix: String, except name: String, to bytes: inout [UInt8]) {
        precondition(!"HTTP_".hasPrefix(prefix), "a client can set such parameters")
        var (prefix, name) = (prefix, name)
        for entry in entries ?? [] {
            let isWanted = prefix.withUTF8 { prefix in
                name.withUTF8 { name in unsafe entry.isNamed(beginningWith: prefix) && !entry.isNamed(name) }
            }
            guard isWanted else { continue }
            let count = unsafe strlen(entry.text) + 1
            unsafe bytes.append(contentsOf: UnsafeRawBufferPointer(start: entry.text, count: count))
        }
    }

    /// The names of the web server's own parameters that begin in a way.
    public func parameterNames(beginningWith prefix: String) -> [String] {
        precondition(!"HTTP_".hasPrefix(prefix), "a client can set such parameters")
        var prefix = prefix
        return prefix.withUTF8 { prefix in
            (entries ?? []).filter { unsafe $0.isNamed(beginningWith: prefix) }.map { entry in
                unsafe String(
                    decoding: UnsafeRawBufferPointer(start: entry.text, count: entry.nameCount),
                    as: UTF8.self
                )
            }
        }
    }

    /// The request as HTTP has it: its method, its path with the query, and those of the client's header fields that
    /// are asked for, which CGI passes as `HTTP_*` and CONTENT_TYPE (RFC 3875 4.1); `nil` without a method.
    public func httpRequest(withFields wanted: [ClientField]) -> HTTPRequest? {
        guard let method = text("REQUEST_METHOD").flatMap({ HTTPRequest.Method($0) }) else { return nil }
        let query = text("QUERY_STRING").flatMap { $0.isEmpty ? nil : "?" + $0 } ?? ""
        var fields = HTTPFields()
        for field in wanted {
            if let value = text(field.parameter), !value.isEmpty { fields[field.name] = value }
        }
        return HTTPRequest(
            method: method,
            scheme: text("HTTPS") == "on" ? "https" : "http",
            authority: authority,
            path: (text("SCRIPT_NAME") ?? "") + (text("PATH_INFO") ?? "") + query,
            headerFields: fields
        )
    }

    /// The server as the client has asked for it; where it has not (HTTP/1.0), as the web server calls itself.
    private var authority: String? {
        if let host = text("HTTP_HOST"), !host.isEmpty { return host }
        guard let name = text("SERVER_NAME"), !name.isEmpty, let port = text("SERVER_PORT") else { return nil }
        return port.isEmpty ? name : name + ":" + port
    }

    /// A header field of the client that is asked for.
    public struct ClientField: Sendable {
        let name: HTTPField.Name
        /// What CGI calls it.
        let parameter: String

        /// A header field by its name.
        public init(_ name: HTTPField.Name) {
            self.name = name
            parameter =
                name == .contentType
                ? "CONTENT_TYPE" : "HTTP_" + name.rawName.uppercased().replacing("-", with: "_")
        }
    }

    /// The length of the body in bytes, as the web server tells it.
    public enum ContentLength: Hashable, Sendable {
        /// This many bytes.
        case known(Int64)
        /// Not known before its end: the parameter is empty or absent (docs/dialects/README.md 6, item 2).
        case unknown
        /// Not a number.
        case malformed

        fileprivate init(_ text: String?) {
            // Caddy writes -1 where a body has no length.
            guard let text, !text.isEmpty, text != "-1" else {
                self = .unknown
                return
            }
            let isNumber = text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            self = isNumber ? Int64(text).map { .known($0) } ?? .malformed : .malformed
        }
    }

    // MARK: The body

    /// What follows a block of the body.
    public enum Progress: Hashable, Sendable {
        /// More, which is there already.
        case more
        /// Perhaps more, which is to be waited for.
        case later
        /// Nothing: the body is whole.
        case last
        /// Nothing: the client or the web server broke off.
        case cutOff
    }

    /// The header of a record (FastCGI 1.0, 3.3).
    private static let recordHeaderBytes = 8
    /// From how many waiting bytes on a buffer is lent: more than libfcgi takes at a time without.
    private static let lendBytesMin = 8 << 10
    /// After how many milliseconds without a byte a client is a slow one, for which no more memory is held than needed.
    private static let slowMilliseconds: CInt = 50

    /// Hands the next bytes of the body to a function, where libfcgi has read them to; waits for some unless the body
    /// ends. They go no further than their record does, which web servers make up to 32 KiB or 64 KiB long.
    ///
    /// - Parameter isInSmallSteps: whether only some KiB are read at a time, however many have come.
    public mutating func readBody(
        _ buffers: BodyBufferPool,
        isInSmallSteps: Bool = false,
        _ consume: (Span<UInt8>) -> Void
    ) -> Progress {
        guard let stream = unsafe connection.pointee.in else { preconditionFailure("a request has a body") }
        if unsafe inRecordCount(stream) == 0 {
            if unsafe isEmpty(stream) { unsafe awaitBytes(stream, buffers, lends: !isInSmallSteps) }
            let byte = unsafe FCGX_GetChar(stream)
            guard byte != EOF else { return end() }
            unsafe FCGX_UnGetChar(byte, stream)
        }
        let count = unsafe inRecordCount(stream)
        unsafe consume(UnsafeBufferPointer(start: stream.pointee.rdNext, count: count).span)
        unsafe stream.pointee.rdNext += count
        received += Int64(count)
        guard unsafe isEmpty(stream) else { return .more }
        let queued = queuedCount
        self.queued = queued
        return queued > Self.recordHeaderBytes ? .more : .later
    }

    /// Waits for bytes, and has libfcgi read them to a buffer when they are many.
    ///
    /// A client that lets wait long has its buffer taken away, and, at the 1st, 2nd, 4th, 8th ... time, the stack that
    /// it does not use, as what a slow client begins with goes deeper than what follows.
    private mutating func awaitBytes(
        _ stream: UnsafeMutablePointer<FCGX_Stream>,
        _ buffers: BodyBufferPool,
        lends: Bool
    ) {
        var queued = queued ?? queuedCount
        self.queued = nil
        let isMarked = slowWaits & (slowWaits - 1) == 0
        if queued == 0, lent != nil || isMarked {
            var entry = unsafe pollfd(fd: connection.pointee.ipcFd, events: Int16(POLLIN), revents: 0)
            if unsafe poll(&entry, 1, Self.slowMilliseconds) == 0 {
                if lent != nil, unsafe fermata_read_to(stream, ownMemory) { lent = nil }
                WorkerStack.releaseUnused()
                slowWaits += 1
            } else {
                queued = queuedCount
            }
        } else if queued == 0 {
            slowWaits += 1
        }
        // Without one the body goes on in libfcgi's own memory, in smaller steps.
        guard lends, lent == nil, queued > Self.lendBytesMin, let buffer = buffers.lend() else { return }
        let own = unsafe fermata_memory(stream)
        if unsafe fermata_read_to(stream, buffer.memory) {
            unsafe ownMemory = own
            lent = consume buffer
        }
    }

    /// Whether bytes of the body, or its end, are there or come within some milliseconds.
    public func hasMore(withinMilliseconds milliseconds: Int) -> Bool {
        guard !isBodyRead, let stream = unsafe connection.pointee.in else { return false }
        if unsafe inRecordCount(stream) > 0 || !isEmpty(stream) { return true }
        var entry = unsafe pollfd(fd: connection.pointee.ipcFd, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, CInt(clamping: milliseconds)) > 0
    }

    // MARK: Rests

    /// How a rest ended.
    public enum RestEnding: Hashable, Sendable {
        /// After its time; so many bytes of the body have come, read or not.
        case over(arrivedCount: Int64)
        /// Early: the web server has hung up, or the process is about to end. More rests are of no use.
        case early
    }

    /// How often a rest looks whether the process is about to end, in milliseconds.
    private static let restLookMilliseconds: Int64 = 200

    /// Leaves the body alone for a while, so that its client has to wait.
    public func rest(_ duration: Duration) -> RestEnding {
        var milliseconds = Int64(duration / .milliseconds(1))
        while milliseconds > 0 {
            if stopSign.isSet { return .early }
            let step = min(milliseconds, Self.restLookMilliseconds)
            if unsafe cposix_await_hangup(connection.pointee.ipcFd, CInt(step)) > 0 { return .early }
            milliseconds -= step
        }
        guard let stream = unsafe connection.pointee.in else { return .early }
        return unsafe .over(arrivedCount: received + Int64(inRecordCount(stream)) + Int64(queuedCount))
    }

    /// The end of the body or of the connection; only the stream's error tells which.
    private mutating func end() -> Progress {
        isBodyRead = true
        guard unsafe FCGX_GetError(connection.pointee.in) == 0 else { return .cutOff }
        switch contentLength {
        case .known(let length): return received == length ? .last : .cutOff
        case .unknown, .malformed: return .last
        }
    }

    /// How many bytes are left of what libfcgi holds of the current record.
    private func inRecordCount(_ stream: UnsafeMutablePointer<FCGX_Stream>) -> Int {
        unsafe stream.pointee.stop - stream.pointee.rdNext
    }

    /// Whether libfcgi holds nothing that the next record could be read from.
    private func isEmpty(_ stream: UnsafeMutablePointer<FCGX_Stream>) -> Bool {
        // Of a whole header, the content comes with it, or it is the end.
        unsafe fermata_buffered_count(stream) < Self.recordHeaderBytes
    }

    /// How many bytes wait in the connection.
    private var queuedCount: Int {
        var queued: CInt = 0
        return unsafe ioctl(connection.pointee.ipcFd, UInt(FIONREAD), &queued) == 0 ? Int(queued) : 0
    }

    // MARK: The answer

    /// The size that the head of an answer seldom exceeds, in bytes.
    private static let usualHeadBytes = 512

    /// Answers the request, and ends it.
    ///
    /// - Returns: false when the client or the web server is gone.
    @discardableResult
    public consuming func send(_ status: HTTPResponse.Status, _ fields: HTTPFields, body: [UInt8]) -> Bool {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.usualHeadBytes + body.count)
        for part in ["Status: ", String(status.code), " ", status.reasonPhrase, "\r\n"] { bytes += part.utf8 }
        for field in fields {
            for part in [field.name.rawName, ": ", field.value, "\r\n"] { bytes += part.utf8 }
        }
        for part in ["Content-Length: ", String(body.count), "\r\n\r\n"] { bytes += part.utf8 }
        bytes += body
        return unsafe bytes.withUnsafeBytes { buffer in
            unsafe buffer.withMemoryRebound(to: CChar.self) { characters in
                // Closed by hand, as that tells whether it went well; the answer and its end go in one write.
                unsafe FCGX_PutStr(characters.baseAddress, CInt(characters.count), connection.pointee.out)
                    == characters.count && FCGX_FClose(connection.pointee.err) == 0
                    && FCGX_FClose(connection.pointee.out) == 0
            }
        }
    }
}
