import Foundation
import Testing

/// Many slow uploads at the same time, and a fast one beside them.
///
/// `FERMATA_TEST_SLOW` sets another number of slow uploads than 1000; each 5000 of them get a responder. What they cost is
/// printed; speed is not judged here.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct LoadTests {
    /// How much a slow client sends, every second.
    private static let tickBytes = 1024
    /// For how many seconds it sends.
    private static let ticks = 20
    /// How many slow uploads a responder has within 20,000 open files, the hard limit of many systems.
    private static let uploadsPerResponder = 5000
    /// The most memory that the responder may take for a slow upload, in bytes.
    private static let uploadBytesMax = 48 << 10
    /// The size of the fast upload.
    private static let fastBytes = 256 << 20

    private let count = ProcessInfo.processInfo.environment["FERMATA_TEST_SLOW"].flatMap { Int($0) } ?? 1000

    /// One slow upload: a whole file in one request.
    private final class Slow {
        let connection: HTTPConnection
        let body: [UInt8]
        private var sent = 0

        init(_ port: UInt16, _ client: DCloudClient, _ content: [UInt8], _ index: Int) throws {
            connection = try HTTPConnection(port)
            body = client.body([.file(content, range: "0-\(content.count)/\(content.count)", fileName: "slow\(index)")])
            try connection.sendHead("POST", client.path, client.contentType, length: body.count)
        }

        func tick() throws {
            let end = min(sent + tickBytes, body.count)
            try connection.send(Array(body[sent..<end]))
            sent = end
        }

        func finish() throws -> HTTPConnection.Answer {
            try connection.send(Array(body[sent...]))
            return try connection.receive()
        }
    }

    @Test("slow uploads take little memory and fail none; a fast one goes on beside them")
    func slowUploads() throws {
        var limit = rlimit()
        getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        limit.rlim_cur = limit.rlim_max
        setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        let site = try Site(
            arguments: ["--workers", "\(count + 24)"],
            connections: 2 * count + 512,
            responders: (count + Self.uploadsPerResponder - 1) / Self.uploadsPerResponder
        )
        let content = [UInt8]("0123456789abcdef".utf8)
        let file = Array(repeatElement(content, count: Self.ticks * Self.tickBytes / content.count).joined())

        let alone = try (0..<3).map { try fastUpload(site, "alone\($0)") }
        let bytesBefore = try site.responderBytes()
        let uploads = try (0..<count).map { index in
            let client = DCloudClient(site: site, boundary: "----Slow\(index)")
            return try Slow(site.port, client, file, index)
        }
        let sending = DispatchGroup()
        let sender = Sender(uploads)
        DispatchQueue.global().async(group: sending) {
            do { try sender.send(ticks: Self.ticks) } catch { Issue.record("\(error)") }
        }
        // Some seconds after the last has begun, all have bytes on the way.
        sleep(UInt32(Self.ticks / 3))
        let perUpload = try (site.responderBytes() - bytesBefore) / count
        let beside = try (0..<3).map { try fastUpload(site, "beside\($0)") }
        sending.wait()
        for (index, upload) in uploads.enumerated() {
            let published = try upload.finish().published()
            #expect(published["size"] as? Int == file.count)
            #expect(FileManager.default.contents(atPath: site.files.path + "/slow\(index)") == Data(file))
        }
        let median = { (values: [Double]) in values.sorted()[values.count / 2] }
        let (fast, slow) = (median(alone), median(beside))
        print(
            "\(count) slow uploads: \(perUpload / 1024) KiB of the responder's memory each;",
            "a fast one beside them has \(Int(slow)) MiB/s, alone \(Int(fast)) MiB/s: \(Int(100 * slow / fast)) %"
        )
        #expect(perUpload < Self.uploadBytesMax)
    }

    /// All slow uploads, in the hands of one thread.
    private struct Sender: @unchecked Sendable {
        private let uploads: [Slow]

        init(_ uploads: [Slow]) { self.uploads = uploads }

        /// Has each send its bytes once a second.
        func send(ticks: Int) throws {
            let start = ContinuousClock.now
            for tick in 0..<ticks {
                for upload in uploads { try upload.tick() }
                let next = start + .seconds(tick + 1)
                let rest = next - ContinuousClock.now
                if rest > .zero { usleep(UInt32(rest / .microseconds(1))) }
            }
        }
    }

    /// Sends a large file; its speed in MiB/s.
    private func fastUpload(_ site: Site, _ name: String) throws -> Double {
        let client = DCloudClient(site: site, boundary: "----Fast\(name)")
        let body = client.body([.file([UInt8](repeating: 7, count: Self.fastBytes), fileName: name)])
        let connection = try HTTPConnection(site.port)
        let start = ContinuousClock.now
        let answer = try connection.request("POST", client.path, client.contentType, body)
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        #expect(try answer.published()["size"] as? Int == Self.fastBytes)
        try FileManager.default.removeItem(at: site.files.appending(path: name))
        return Double(Self.fastBytes >> 20) / seconds
    }
}
