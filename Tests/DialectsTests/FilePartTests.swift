import HTTPTypes
import MultipartForm
import Testing
import Uploads

@testable import Dialects

/// Which part of a form is the file, in the dialects that take one.
@Suite struct FilePartTests {
    private let mount = Mount(name: "m", principal: "ann", root: "/r")
    private let digest = MD5Digest(bytes: [UInt8](repeating: 7, count: 16))

    private func header(_ parameters: String) -> PartHeader {
        do { return try PartHeader(Array("Content-Disposition: form-data; \(parameters)".utf8)) } catch {
            preconditionFailure("\(parameters): \(error)")
        }
    }

    /// Gives an exchange parts, of which each file is held under the number of its place; what it does then.
    private func command(
        _ dialect: ShippedDialect,
        _ parts: [(String, String)],
        _ ending: BodyEnding = .whole,
        path: String = "",
        counts: [Int64] = []
    ) -> (Command?, Answer?) {
        let method: HTTPRequest.Method = dialect == .offset ? .patch : .post
        var exchange = exchange(dialect, "multipart/form-data; boundary=b", method: method, path: path, on: mount)
        for (index, (parameters, value)) in parts.enumerated() {
            switch exchange.partBegins(header(parameters), sizeHint: nil) {
            case .field:
                let name = header(parameters).name ?? ""
                exchange.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
            case .file:
                let count = index < counts.count ? counts[index] : 5
                exchange.fileEnded(.success(.held(HeldFile(index: index), count: count, digest: digest)))
            case .drain: break
            }
        }
        let (commands, answer) = drive(exchange.bodyEnded(ending))
        return (commands.first, answer)
    }

    /// What each dialect calls its file, its path and the fields of a part.
    private static let dialects: [(ShippedDialect, name: String, path: String, fields: [(String, String)])] = [
        (.offset, "file", "/abc", [("name=upload_offset", "0")]),
        (.fileid, "file", "", [("name=fileId", "7"), ("name=part", "3")]),
        (.parts, "content", "/upload", [("name=uploadId", "7"), ("name=partNumber", "3"), ("name=md5", "\(digits)")]),
    ]
    private static let digits = String(repeating: "07", count: 16)

    private func held(_ command: Command?) -> Int? {
        switch command {
        case .append(let file, _, _), .commitPart(let file, _, _, _): file.index
        case _: nil
        }
    }

    @Test("the part with the dialect's name is the file, wherever it stands")
    func named() {
        for (dialect, name, path, fields) in Self.dialects {
            let file = ("name=\(name); filename=a", "")
            let preview = ("name=preview; filename=p.png", "")
            #expect(held(command(dialect, [preview, file] + fields, path: path).0) == 1, "\(dialect)")
            #expect(held(command(dialect, [preview] + fields + [file], path: path).0) == 1 + fields.count, "\(dialect)")
            #expect(held(command(dialect, fields + [file, preview], path: path).0) == fields.count, "\(dialect)")
        }
    }

    @Test("a part of another name is the file in a form without one of the dialect's")
    func substitute() {
        for (dialect, name, path, fields) in Self.dialects {
            let parts = [("name=x; filename=a", ""), ("name=y; filename=b", "")] + fields
            #expect(held(command(dialect, parts, path: path).0) == 0, "\(dialect)")
            let empty = [("name=x; filename=a", ""), ("name=\(name); filename=\"\"", "")] + fields
            #expect(held(command(dialect, empty, path: path, counts: [5, 0]).0) == 0, "\(dialect): no file was chosen")
        }
    }

    @Test("nothing is made of a part of another name when the form was cut off")
    func cutOff() {
        let fields = [("name=upload_offset", "0"), ("name=x; filename=a", "")]
        #expect(command(.offset, fields, .cutOff, path: "/abc").0 == nil)
    }

    @Test("two files of the dialect's name refuse the form")
    func ambiguous() {
        for (dialect, name, path, fields) in Self.dialects {
            let file = ("name=\(name); filename=a", "")
            let (command, answer) = command(dialect, fields + [file, file], path: path)
            #expect(command == nil, "\(dialect)")
            #expect(answer?.status == .badRequest, "\(dialect)")
        }
    }

    @Test("a scalar field of the dialect is a field whatever its media type")
    func scalars() throws {
        for (dialect, name, path, fields) in Self.dialects {
            var exchange = exchange(
                dialect,
                "multipart/form-data; boundary=b",
                method: dialect == .offset ? .patch : .post,
                path: path,
                on: mount
            )
            for (parameters, _) in fields {
                let header = try PartHeader(
                    Array("Content-Disposition: form-data; \(parameters)\r\nContent-Type: image/png".utf8)
                )
                #expect(exchange.partBegins(header, sizeHint: nil) == .field, "\(dialect) \(name)")
            }
        }
    }
}
