import HTTPTypes
import MultipartForm
import Testing
import Uploads

@testable import Dialects

/// Chunks of other libraries, which must not be taken for whole files.
@Suite struct ForeignChunkTests {
    private let mount = Mount(name: "m", principal: "ann", root: "/r")

    /// Sends a file of 200 bytes with fields, in the body or in the URL.
    private func answer(
        _ fields: [(String, String)],
        query: String = "",
        partField: String = "",
        header: (HTTPField.Name, String)? = nil,
        to dialect: ShippedDialect = .dcloud,
        path: String = ""
    ) throws -> (commands: [Command], answer: Answer?) {
        var request = HTTPRequest(method: .post, scheme: "http", authority: "host", path: "/m" + path)
        request.headerFields[.contentType] = "multipart/form-data; boundary=b"
        if let (name, value) = header { request.headerFields[name] = value }
        let head = RequestHead(request, pathInfo: path, query: query, contentLength: nil)
        var exchange = dialect.exchange(for: head, on: mount, in: surroundings)
        for (name, value) in fields {
            let header = try PartHeader(Array("Content-Disposition: form-data; name=\"\(name)\"".utf8))
            #expect(exchange.partBegins(header, sizeHint: nil) == .field)
            exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
        }
        let file = try PartHeader(Array("Content-Disposition: form-data; name=file; filename=blob\(partField)".utf8))
        if case .file = exchange.partBegins(file, sizeHint: nil) {
            let digest = MD5Digest(bytes: [UInt8](repeating: 7, count: 16))
            exchange.fileEnded(.success(.held(HeldFile(index: 0), count: 200, digest: digest)))
        }
        return drive(exchange.bodyEnded(.whole))
    }

    @Test(
        "a chunk of another library is refused, with what to do",
        arguments: [
            [("resumableChunkNumber", "1"), ("resumableTotalChunks", "3"), ("resumableIdentifier", "500-f")],
            [("flowChunkNumber", "2"), ("flowTotalChunks", "3")],
            [("flowChunkNumber", "1"), ("flowCurrentChunkSize", "200"), ("flowTotalSize", "500")],
            [("chunkNumber", "1"), ("totalChunks", "3"), ("identifier", "x")],
            [("dzuuid", "u"), ("dzchunkindex", "0"), ("dztotalchunkcount", "3")],
            [("dzuuid", "u"), ("dzchunkindex", "2")],
            [("qquuid", "u"), ("qqpartindex", "0"), ("qqtotalparts", "3")],
            [("fileId", "500_f"), ("chunkIndex", "0"), ("chunkCount", "3")],
            [("_chunkNumber", "0"), ("_chunkSize", "200"), ("_currentChunkSize", "200"), ("_totalSize", "500")],
            [("name", "f"), ("chunk", "0"), ("chunks", "3")],
            [("name", "f"), ("offset", "0"), ("total", "500")],
        ]
    )
    func chunks(fields: [(String, String)]) throws {
        let query = fields.map { "\($0)=\($1)" }.joined(separator: "&")
        for (fields, query) in [(fields, ""), ([], query)] {
            let (commands, answer) = try answer(fields, query: query)
            #expect(commands == [])
            #expect(answer?.status == .unprocessableContent)
            let text = String(decoding: answer?.body ?? [], as: UTF8.self)
            #expect(text.contains("4003") && text.contains("FERMATA_DIALECT chunks"), "\(text)")
        }
    }

    @Test(
        "a form that only looks like a chunk is taken",
        arguments: [
            [], [("chunks", "1")], [("chunks", "12")], [("chunk", "3")], [("chunk", "a"), ("chunks", "3")],
            [("name", "f"), ("chunk", "0"), ("chunks", "1")], [("name", "f"), ("chunk", "0"), ("chunks", "0")],
            [("resumableChunkNumber", "1"), ("resumableTotalChunks", "1"), ("resumableTotalSize", "200")],
            [("dzuuid", "u"), ("dzchunkindex", "0"), ("dztotalchunkcount", "1")], [("totalChunks", "many")],
            [("qquuid", "u"), ("qqtotalfilesize", "200")], [("offset", "0"), ("total", "500")],
            [("name", "f"), ("offset", "0"), ("total", "200")], [("fileId", "7"), ("chunkCount", "3")],
        ]
    )
    func forms(fields: [(String, String)]) throws {
        #expect(try answer(fields).commands.first?.isPublication == true)
    }

    @Test("a Content-Range that names less than the whole refuses the form, of the request as of the part")
    func contentRange() throws {
        let extended = try #require(HTTPField.Name("X-Content-Range"))
        for (range, isWhole) in [
            ("bytes 0-199/500", false), ("bytes 300-499/500", false), ("bytes 0-199/200", true),
            ("bytes 0-199/*", false),
            ("bytes */500", false), ("nonsense", false), ("bytes 0-499/500", false),
        ] {
            for name in [HTTPField.Name.contentRange, extended] {
                let commands = try answer([], header: (name, range)).commands
                #expect((commands.first?.isPublication == true) == isWhole, "\(name): \(range)")
            }
            let commands = try answer([], partField: "\r\nContent-Range: \(range)").commands
            #expect((commands.first?.isPublication == true) == isWhole, "part: \(range)")
        }
    }

    @Test("dialects that need their own fields say what a chunk of others needs")
    func others() throws {
        let fields = [("resumableChunkNumber", "1"), ("resumableTotalChunks", "3")]
        for (dialect, path) in [(ShippedDialect.fileid, ""), (.parts, "/upload"), (.offset, "")] {
            let (commands, answer) = try answer(fields, to: dialect, path: path)
            #expect(commands == [])
            #expect(answer?.status == .badRequest)
            let text = String(decoding: answer?.body ?? [], as: UTF8.self)
            #expect(text.contains("FERMATA_DIALECT chunks"), "\(text)")
        }
    }
}

extension Command {
    fileprivate var isPublication: Bool {
        if case .publishForm = self { true } else { false }
    }
}
