import HTTPTypes
import MultipartForm
import Testing
import Uploads

@testable import Dialects

/// What names and types each dialect takes.
@Suite struct NameRulesTests {
    private let mount: Mount = {
        var mount = Mount(name: "m", principal: "ann", root: "/r")
        mount.types = ["jpg", "image/jpeg"]
        return mount
    }()
    private let form = "multipart/form-data; boundary=b"

    private func header(_ lines: String...) throws -> PartHeader {
        try PartHeader(Array(lines.joined(separator: "\r\n").utf8))
    }

    /// What each dialect makes of the beginning of an upload of this name and media type: its answer's status, or 200 when
    /// it goes on.
    private func begin(_ dialect: ShippedDialect, _ name: String, _ type: String, on mount: Mount) throws -> Int {
        let file = try header(
            "Content-Disposition: form-data; name=file; filename=\"\(name)\"",
            "Content-Type: \(type)"
        )
        var first: any Exchange
        var steps: [Result<Outcome, UploadError>] = []
        switch dialect {
        case .dcloud:
            first = exchange(.dcloud, form, on: mount)
            if first.partBegins(file, sizeHint: nil) != .drain {
                first.fileEnded(.success(.held(HeldFile(index: 0), count: 1, digest: nil)))
            }
        case .fileid:
            first = exchange(.fileid, form, on: mount)
            for (name, value) in [("option", "initiate"), ("catalog", "c")] {
                _ = try first.partBegins(header("Content-Disposition: form-data; name=\(name)"), sizeHint: nil)
                first.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
            }
            if first.partBegins(file, sizeHint: nil) != .drain {
                first.fileEnded(.success(.held(HeldFile(index: 0), count: 1, digest: nil)))
            }
        case .parts:
            first = exchange(.parts, "application/json", path: "/uploadInit", on: mount)
            first.documentEnded(JSON.object([("resourceKey", .string("d/" + name))]).encoded)
        case .offset:
            first = exchange(.offset, "application/x-www-form-urlencoded", on: mount)
            let fields = [
                ("storage_path", "d"), ("file_relative_path", name), ("file_type", type), ("file_size", "1"),
            ]
            for (name, value) in fields {
                first.fieldEnded(FormField(name: name, value: value), raw: Array(value.utf8))
            }
            steps = [.success(.found(.folder)), .success(.done), .success(.found(.nothing))]
        case .signed:
            first = exchange(.signed, "application/json", path: "/multipart/init", on: mount)
            let members: [(String, JSON)] = [
                ("filename", .string(name)), ("file_size", .integer(1)), ("file_type", .string("master")),
                ("content_type", .string(type)),
            ]
            first.documentEnded(JSON.object(members).encoded)
        }
        let (_, answer) = drive(first.bodyEnded(.whole), steps)
        return answer?.status.code ?? 200
    }

    @Test("a program that is declared as an image is refused in every dialect", arguments: ShippedDialect.allCases)
    func declared(dialect: ShippedDialect) throws {
        let refused = dialect == .offset ? 400 : 403
        for name in ["evil.php", "evil.jpg.php", "EVIL.PHP", "evil.php.", "evil.php "] {
            #expect(try begin(dialect, name, "image/jpeg", on: mount) == refused, "\(name)")
        }
        if dialect != .parts { #expect(try begin(dialect, "photo", "image/jpeg", on: mount) == 200) }
        #expect(try begin(dialect, "photo.JPG", "image/jpeg", on: mount) == 200)
    }

    @Test(
        "a file without a name has no type that an extension could allow",
        arguments: [ShippedDialect.dcloud, .fileid]
    )
    func nameless(dialect: ShippedDialect) throws {
        #expect(try begin(dialect, "", "text/html", on: mount) == 403)
    }

    @Test("hidden names are stored without their dots, or refused where the client chooses the path")
    func hidden() throws {
        var mount = mount
        mount.types = []
        #expect(RelativePath(fileName: ".htaccess", on: mount).text == "htaccess")
        #expect(RelativePath(fileName: "a/.user.ini", on: mount).text == "user.ini")
        #expect(RelativePath(fileName: "...", on: mount).text.hasPrefix("upload-"))
        for name in [".htaccess", ".git/config", "a/.user.ini"] {
            #expect(try begin(.parts, name, "", on: mount) == 400)
            #expect(try begin(.offset, name, "x", on: mount) == 400)
        }
        mount.allowsDotFiles = true
        #expect(RelativePath(fileName: ".htaccess", on: mount).text == ".htaccess")
        #expect(try begin(.parts, ".htaccess", "", on: mount) == 200)
        #expect(try begin(.offset, ".htaccess", "x", on: mount) == 200)
    }

    @Test("paths are no deeper than a limit, in every dialect that has paths")
    func depth() throws {
        var mount = mount
        mount.types = []
        let deep = Array(repeating: "a", count: RelativePath.depthMax).joined(separator: "/")
        #expect(try begin(.parts, deep, "", on: mount) == 400)
        #expect(try begin(.offset, deep, "x", on: mount) == 400)
        #expect(try begin(.parts, String(deep.dropLast(2)), "", on: mount) == 200)
        #expect(try begin(.offset, String(deep.dropLast(2)), "x", on: mount) == 200)
        #expect(RelativePath(parsing: deep + "/a", on: mount) == nil, "a catalog of fileid")
    }
}
