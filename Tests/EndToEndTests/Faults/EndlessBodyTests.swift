import Dialects
import Foundation
import Responder
import Testing

/// Bodies that never end: each is given up, and answered, after a bounded number of bytes.
@Suite(.timeLimit(.minutes(5)))
struct EndlessBodyTests {
    /// What a request may cost at most: the largest file, and what is read for nothing behind it. In bytes.
    private static let bytesMax = fileBytes + drainBytes + (1 << 20)
    private static let fileBytes: Int64 = 1 << 20
    private static let drainBytes: Int64 = 2 << 20

    /// Some bytes, then others again and again.
    private struct Endless: Body {
        final class Meter {
            var bytes: Int64 = 0
        }

        var start: [UInt8]
        let block: [UInt8]
        let meter: Meter

        init(_ start: String, _ repeated: String, _ meter: Meter) {
            self.start = Array(start.utf8)
            block = Array(repeatElement(Array(repeated.utf8), count: (256 << 10) / repeated.utf8.count).joined())
            self.meter = meter
        }

        mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress {
            let bytes = start.isEmpty ? block : start
            start = []
            meter.bytes += Int64(bytes.count)
            consume(bytes.span)
            return meter.bytes < 2 * EndlessBodyTests.bytesMax ? .more : .cutOff
        }
    }

    /// Where a form never ends.
    enum Place: String, CaseIterable {
        case preamble, header, field, file, ranged, parts, emptyParts, epilogue

        var body: (start: String, repeated: String) {
            let field = "--b\r\nContent-Disposition: form-data; name=\"option\"\r\n\r\n"
            let file = "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\""
            return switch self {
            case .preamble: ("", "x")
            case .header: ("--b\r\n", "x")
            case .field: (field, "x")
            case .file: (file + "\r\n\r\n", "x")
            case .ranged: (file + "; range=\"0-10/20\"\r\n\r\n", "x")
            case .parts: ("", field + "x\r\n")
            case .emptyParts: ("", "--b\r\n\r\n\r\n")
            case .epilogue: ("--b--\r\n", "x")
            }
        }
    }

    private static let methods: [ContractDialect: [(String, String)]] = [
        .dcloud: [("POST", "/m/")], .fileid: [("POST", "/m")],
        .parts: [("POST", "/m/upload"), ("POST", "/m/uploadInit")],
        .offset: [("POST", "/m/"), ("PATCH", "/m/unknown")],
        .signed: [("POST", "/m/multipart/init"), ("PUT", "/m/multipart/part/t/u/1?expires=1&signature=0")],
    ]

    @Test("forms", arguments: ContractDialect.allCases, Place.allCases)
    func form(dialect: ContractDialect, place: Place) throws {
        try check(dialect, "multipart/form-data; boundary=b", place.body.start, place.body.repeated)
    }

    @Test("documents, fields in one piece, and what is of no known type", arguments: ContractDialect.allCases)
    func document(dialect: ContractDialect) throws {
        try check(dialect, "application/json", "[", "[")
        try check(dialect, "application/json", "{\"a\":\"", "x")
        try check(dialect, "application/x-www-form-urlencoded", "", "a=b&")
        try check(dialect, "application/x-www-form-urlencoded", "a=", "x")
        try check(dialect, "application/octet-stream", "", "x")
    }

    private func check(_ dialect: ContractDialect, _ type: String, _ start: String, _ repeated: String) throws {
        for (method, path) in Self.methods[dialect] ?? [] {
            let server = try InProcessServer(
                dialect,
                ["FERMATA_MAX_FILE": "\(Self.fileBytes)"],
                drainBytesMax: Self.drainBytes
            )
            let meter = Endless.Meter()
            let answer = try server.request(method, path, type, length: nil, Endless(start, repeated, meter))
            #expect((200..<500).contains(answer.status), "\(answer)")
            #expect(meter.bytes <= Self.bytesMax, "\(method) \(path): \(meter.bytes) bytes are read")
        }
    }
}
