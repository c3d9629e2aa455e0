import Logging
import Testing

@testable import Responder

/// Lines of the log, as logfmt has them.
@Suite struct LogLineTests {
    private func text(_ line: LogLine) -> String { String(decoding: line.bytes, as: UTF8.self) }

    @Test("a line has the time, the level, the message and pairs, in this order")
    func line() {
        var line = LogLine(.info, "request")
        line.append("mount", "/up")
        line.append("bytes", 102_400)
        line.append("left", -1)
        let pattern =
            #/time=\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z level=info msg=request mount=/up bytes=102400 left=-1/#
        #expect(text(line).wholeMatch(of: pattern) != nil, "\(text(line))")
    }

    @Test(
        "a value that would end a pair or a line is quoted",
        arguments: [
            ("plain", "plain"), ("a/b:c", "a/b:c"), ("é", "é"), ("", #""""#), ("two words", #""two words""#),
            ("a=b", #""a=b""#), ("a\u{7F}", #""a\u{7f}""#), (#"say "hi""#, #""say \"hi\"""#),
            (#"C:\temp"#, #""C:\\temp""#),
            ("a\nlevel=error", #""a\nlevel=error""#), ("a\r\u{1B}[1m\u{7F} b", #""a\u{d}\u{1b}[1m\u{7f} b""#),
        ]
    )
    func quoted(value: String, expected: String) {
        var line = LogLine(.error, value)
        #expect(text(line).hasSuffix(" level=error msg=" + expected))
        line.append("key", value)
        #expect(text(line).hasSuffix(" key=" + expected))
    }
}
