import Glibc
public import Logging

/// Writes log lines as logfmt to standard error: `time=… level=info msg=request mount=/up …`.
public struct LogfmtHandler: LogHandler {
    /// The length that a line seldom exceeds, in bytes.
    private static let usualBytes = 256

    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]

    /// A handler that writes lines of this level and above.
    public init(level: Logger.Level) {
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        var line: [UInt8] = []
        line.reserveCapacity(Self.usualBytes)
        Self.append("time", Self.time(), to: &line)
        Self.append("level", event.level.rawValue, to: &line)
        Self.append("msg", event.message.description, to: &line)
        let all = metadata.isEmpty ? event.metadata ?? [:] : metadata.merging(event.metadata ?? [:]) { $1 }
        for (key, value) in all.sorted(by: { $0.key < $1.key }) {
            if case .string(let text) = value {
                Self.append(key, text, to: &line)
            } else {
                Self.append(key, value.description, to: &line)
            }
        }
        line[line.count - 1] = UInt8(ascii: "\n")
        // One call, so that lines of several processes do not mix. What can not be logged is lost.
        unsafe line.withUnsafeBytes { _ = unsafe write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Appends `key=value` and a space.
    private static func append(_ key: String, _ value: String, to line: inout [UInt8]) {
        line.append(contentsOf: key.utf8)
        line.append(UInt8(ascii: "="))
        line.append(contentsOf: quoted(value).utf8)
        line.append(UInt8(ascii: " "))
    }

    /// The time in UTC, as RFC 3339 has it, to the millisecond.
    private static func time() -> String {
        var now = timespec()
        var parts = unsafe tm()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        unsafe gmtime_r(&now.tv_sec, &parts)
        return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 32) { text in
            let count = unsafe strftime(text.baseAddress, text.count, "%Y-%m-%dT%H:%M:%S.", &parts)
            let milliseconds = String(1000 + now.tv_nsec / 1_000_000).dropFirst()
            let seconds = unsafe UnsafeRawBufferPointer(text)[..<count]
            return unsafe String(decoding: seconds, as: UTF8.self) + milliseconds + "Z"
        }
    }

    /// A value in quotes when it holds anything that would end it.
    private static func quoted(_ text: String) -> String {
        let isPlain =
            !text.isEmpty
            && text.utf8.allSatisfy {
                $0 > 0x20 && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "=") && $0 != UInt8(ascii: "\\")
            }
        if isPlain { return text }
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case let control where control.value < 0x20 || control.value == 0x7F:
                quoted += "\\u{" + String(control.value, radix: 16) + "}"
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
