import Dialects
import Digests
import Engine
import Foundation
import HTTPTypes
import Ledger
import Mounts
import Responder
import Testing
import Uploads

/// The dialect of `Sample/`, from the parameters of a location to the published file.
@Suite struct PutDialectTests {
    /// All that makes it one of the service's.
    private static let dialects = DialectRegistry(DialectRegistry.shipped.dialects + [PutDialect()])

    /// A service on a directory of its own.
    private final class Service {
        let directory = URL(fileURLWithPath: "/dev/shm/fermata-sample-" + UUID().uuidString)
        let engine: Engine
        private let handler: Handler

        var files: URL { directory.appending(path: "files") }

        init() throws {
            try FileManager.default.createDirectory(
                at: directory.appending(path: "files"),
                withIntermediateDirectories: true
            )
            engine = Engine(ledger: try SQLiteLedger(stateDirectory: directory.path), now: { Int64(time(nil)) })
            let key = try #require(SigningKey(bytes: [UInt8](repeating: 7, count: SigningKey.byteCount)))
            handler = Handler(engine, signingKey: key)
        }

        deinit { try? FileManager.default.removeItem(at: directory) }

        /// - Parameter cutAt: after how many bytes the client is gone.
        func request(
            _ method: HTTPRequest.Method,
            _ path: String,
            _ body: [UInt8],
            cutAt: Int? = nil,
            _ settings: [String: String] = [:]
        ) throws -> Answer {
            let policy = MountPolicy(dialects: dialects, allowedRoots: [], defaultRoot: files.path)
            let parameters = ["FERMATA_DIALECT": "put", "FERMATA_MOUNT": "/m"].merging(settings) { $1 }
            let mount = try MountCheck.mount(parameters, policy)
            let request = HTTPRequest(method: method, scheme: "http", authority: "host", path: "/m" + path)
            return handler.answer(
                RequestHead(request, pathInfo: path, query: "", contentLength: Int64(body.count)),
                in: try #require(dialects["put"]),
                on: mount,
                body: Bytes(rest: body.prefix(cutAt ?? body.count), isCutOff: cutAt != nil)
            )
        }

        func content(_ name: String) -> [UInt8]? {
            FileManager.default.contents(atPath: files.appending(path: name).path).map { Array($0) }
        }

        var names: [String] {
            get throws {
                try FileManager.default.contentsOfDirectory(atPath: files.path).filter { $0 != ".fermata" }.sorted()
            }
        }
    }

    /// A body in blocks.
    private struct Bytes: Body {
        var rest: ArraySlice<UInt8>
        let isCutOff: Bool

        mutating func next(_ consume: (Span<UInt8>) -> Void) -> BodyProgress {
            let block = rest.prefix(1000)
            rest = rest.dropFirst(block.count)
            if !block.isEmpty { consume(block.span) }
            if !rest.isEmpty { return .more }
            return isCutOff ? .cutOff : .last
        }
    }

    private let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 167) }

    @Test("a whole body is a file, and the answer says where")
    func whole() throws {
        let service = try Service()
        let answer = try service.request(.put, "/image.jpg", bytes)
        #expect(answer.status == .created && answer.fields[.location] == "/image.jpg")
        #expect(String(decoding: answer.body, as: UTF8.self) == #"{"name":"image.jpg"}"#)
        #expect(service.content("image.jpg") == bytes)
        #expect(try service.engine.check(isRepairing: false, tombstoneSeconds: 900).isEmpty)
    }

    @Test("a name that is taken gets a number, or its file is replaced where its setting says so")
    func taken() throws {
        let service = try Service()
        _ = try service.request(.put, "/a.bin", [1])
        _ = try service.request(.put, "/a.bin", [2])
        #expect(service.content("a.bin") == [1] && service.content("a[1].bin") == [2])
        _ = try service.request(.put, "/a.bin", [3], ["FERMATA_PUT_OVERWRITE": "on"])
        #expect(service.content("a.bin") == [3])
        #expect(try service.names == ["a.bin", "a[1].bin"])
    }

    @Test("what is cut off, too large, of another type or under no safe name is refused in words and stored nowhere")
    func refused() throws {
        let service = try Service()
        let cases: [(path: String, settings: [String: String], cutAt: Int?, status: Int)] = [
            ("/a", [:], 500, 400), ("/a", ["FERMATA_MAX_FILE": "1k"], nil, 413), ("/a/b", [:], nil, 400),
            ("/..", [:], nil, 400), ("/", [:], nil, 400), ("/%00", [:], nil, 400), ("/.htaccess", [:], nil, 400),
            ("/a.php", ["FERMATA_TYPES": "jpg"], nil, 403),
        ]
        for (path, settings, cutAt, status) in cases {
            let answer = try service.request(.put, path, bytes, cutAt: cutAt, settings)
            #expect(answer.status.code == status, "\(path) \(settings)")
            #expect(String(decoding: answer.body, as: UTF8.self).contains(#""detail":""#))
        }
        let answer = try service.request(.post, "/a", bytes)
        #expect(answer.status == .methodNotAllowed && answer.fields[.allow] == "PUT")
        #expect(try service.names.isEmpty)
    }

    @Test("its settings have forms, defaults and help like all others, and a wrong value names its setting")
    func settings() throws {
        let table = SettingTable(Self.dialects)
        #expect(table.markdown.contains("| `FERMATA_PUT_OVERWRITE` | `put`: whether"))
        #expect(throws: MountError.self) { try Service().request(.put, "/a", [], ["FERMATA_PUT_OVERWRITE": "perhaps"]) }
    }

    @Test("what the service cannot do is told in its words")
    func serviceFailures() {
        let dialect = PutDialect()
        let mount = dialect.mount(name: "/m", root: "/nowhere")
        for (failure, status) in [
            (ServiceFailure.misconfigured, 500), (.otherSite, 403), (.contentCoding("gzip"), 415),
            (.refused(.overloaded), 503),
        ] {
            let answer = dialect.answer(to: failure, on: mount)
            #expect(answer.status.code == status && !answer.body.isEmpty)
        }
        #expect(dialect.answer(to: .refused(.overloaded), on: mount).fields[.retryAfter] != nil)
    }
}
