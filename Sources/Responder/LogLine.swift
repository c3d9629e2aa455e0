import Glibc
import Logging
import Uploads

/// One line of logfmt on its way to standard error: `time=… level=info msg=request mount=/up …`.
struct LogLine {
    /// The length that a line seldom exceeds, in bytes.
    private static let usualBytes = 256

    /// The line without its end.
    private(set) var bytes: [UInt8] = []

    init(_ level: Logger.Level, _ message: String) {
        bytes.reserveCapacity(Self.usualBytes)
        appendTime()
        append("level", level.rawValue)
        append("msg", message)
    }

    /// Appends `key=value`.
    mutating func append(_ key: String, _ value: String) {
        appendKey(key)
        append(quoting: value)
    }

    /// Appends `key=number`.
    mutating func append(_ key: String, _ number: Int) {
        appendKey(key)
        bytes += String(number).utf8
    }

    private mutating func appendKey(_ key: String) {
        bytes.append(UInt8(ascii: " "))
        bytes += key.utf8
        bytes.append(UInt8(ascii: "="))
    }

    /// Writes the line with one call, so that lines of several processes do not mix. What can not be logged is lost.
    consuming func write() {
        bytes.append(UInt8(ascii: "\n"))
        unsafe bytes.withUnsafeBytes { _ = unsafe Glibc.write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    /// Appends the time in UTC, as RFC 3339 has it, to the millisecond.
    private mutating func appendTime() {
        var now = timespec()
        var parts = unsafe tm()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        unsafe gmtime_r(&now.tv_sec, &parts)
        bytes += "time=".utf8
        append(unsafe Int(parts.tm_year) + 1900, digits: 4, then: "-")
        append(unsafe Int(parts.tm_mon) + 1, digits: 2, then: "-")
        append(unsafe Int(parts.tm_mday), digits: 2, then: "T")
        append(unsafe Int(parts.tm_hour), digits: 2, then: ":")
        append(unsafe Int(parts.tm_min), digits: 2, then: ":")
        append(unsafe Int(parts.tm_sec), digits: 2, then: ".")
        append(now.tv_nsec / 1_000_000, digits: 3, then: "Z")
    }

    /// Appends a number with zeros before it, and a character.
    private mutating func append(_ number: Int, digits: Int, then separator: Unicode.Scalar) {
        var rest = number
        bytes += repeatElement(UInt8(ascii: "0"), count: digits)
        for index in (bytes.count - digits..<bytes.count).reversed() {
            bytes[index] += UInt8(rest % 10)
            rest /= 10
        }
        bytes.append(UInt8(ascii: separator))
    }

    /// Appends a value, in quotes when it holds anything that would end it.
    private mutating func append(quoting text: String) {
        let start = bytes.count
        bytes += text.utf8
        if bytes.count > start, bytes[start...].allSatisfy(\.isPlain),
            bytes[start...].allSatisfy({ $0 < 0x80 }) || text.unicodeScalars.allSatisfy(\.isShown)
        {
            return
        }
        bytes.removeSubrange(start...)
        bytes.append(UInt8(ascii: "\""))
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": bytes += "\\\"".utf8
            case "\\": bytes += "\\\\".utf8
            case "\n": bytes += "\\n".utf8
            case let hidden where !hidden.isShown: bytes += "\\u{\(String(hidden.value, radix: 16))}".utf8
            default: bytes += String(scalar).utf8
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}

extension UInt8 {
    /// Whether a byte means nothing in logfmt.
    fileprivate var isPlain: Bool {
        switch self {
        case 0...0x20, 0x7F, UInt8(ascii: "\""), UInt8(ascii: "="), UInt8(ascii: "\\"): false
        default: true
        }
    }
}
