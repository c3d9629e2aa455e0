import Dialects
import Foundation
import Testing
import Uploads

@testable import Mounts

@Suite struct MountParametersTests {
    private func mount(_ parameters: [String: String], _ settings: MountPolicy? = nil) throws -> Mount {
        let given = [
            "FERMATA_DIALECT": "dcloud", "SCRIPT_NAME": "/up", "SERVER_NAME": "a.example", "SERVER_PORT": "443",
        ]
        let usual = MountPolicy(dialects: .shipped, allowedRoots: [], defaultRoot: "/nowhere/files")
        return try MountCheck.mount(given.merging(parameters) { $1 }, settings ?? usual)
    }

    private func refusal(_ parameters: [String: String], _ settings: MountPolicy? = nil) -> String? {
        do { _ = try mount(parameters, settings) } catch { return "\(error)" }
        return nil
    }

    @Test(
        "a value out of its bounds is an error that names setting, value and bounds",
        arguments: [
            ("FERMATA_TOMBSTONE", "9223372036854775807", "3650d"), ("FERMATA_TOMBSTONE", "3651d", "3650d"),
            ("FERMATA_TOMBSTONE", "-1", "0s"), ("FERMATA_EXPIRES", "0", "1s"), ("FERMATA_EXPIRES", "0h", "1s"),
            ("FERMATA_EXPIRES", "106751991167300d", "3650d"), ("FERMATA_URL_EXPIRES", "0", "1s"),
            ("FERMATA_MAX_FILE", "0", "from 1"), ("FERMATA_MAX_FILE", "1025t", "1024t"),
            ("FERMATA_MAX_FILE", "99999999999999999999g", "1024t"), ("FERMATA_MAX_PART", "0", "from 1"),
            ("FERMATA_MIN_PART", "2000t", "1024t"), ("FERMATA_CHUNK", "0", "from 1"), ("FERMATA_QUOTA", "-1", "from 0"),
            ("FERMATA_QUOTA", "9223372036854775807", "1024t"), ("FERMATA_RATE", "1", "from 1k"),
            ("FERMATA_MAX_OPEN", "0", "from 1 to 1000000"), ("FERMATA_MAX_RANGES", "1000001", "from 1 to 1000000"),
            ("FERMATA_MAX_RANGES", "+5", "from 1"), ("FERMATA_MAX_FILE", "٣", "a size"),
            ("FERMATA_MAX_FIELD", "1023", "from 1k to 64m"), ("FERMATA_MAX_FIELD", "65m", "from 1k to 64m"),
            ("FERMATA_MAX_FIELDS", "0", "from 1k to 64m"), ("FERMATA_MAX_FIELDS", "many", "from 1k to 64m"),
            ("FERMATA_MAX_PARTS_IN_FORM", "0", "from 1 to 100000"),
            ("FERMATA_MAX_PARTS_IN_FORM", "100001", "from 1 to 100000"), ("FERMATA_SAME_SITE", "yes", "on or off"),
            ("FERMATA_BASE_URL", "http:///tasks", "a URL"), ("FERMATA_BASE_URL", "javascript://x/y", "a URL"),
            ("FERMATA_ON_COMPLETE", "/done?x=1", "a path"), ("FERMATA_ANSWER_TYPE", "xml", "json, text or html"),
            ("FERMATA_MANIFEST", "yes", "on or off"), ("FERMATA_DURABILITY", "none", "publish or segment"),
            ("FERMATA_TYPES", ",", "a list"), ("FERMATA_TYPES", String(repeating: "a", count: 5000), "4096 bytes"),
            ("FERMATA_ON_COMPLETE", "/a\r\nX: y", "control character"), ("FERMATA_MOUNT", "//a/b", "two slashes"),
        ]
    )
    func bounds(name: String, value: String, bounds: String) throws {
        let text = try #require(refusal([name: value]))
        #expect(text.contains(name) && text.contains(bounds), "\(text)")
        if value.utf8.count < 100, !value.contains("\r") { #expect(text.contains(value), "\(text)") }
    }

    @Test("the bounds themselves are fine, and times far ahead do not overflow")
    func atBounds() throws {
        let mount = try mount([
            "FERMATA_TOMBSTONE": "3650d", "FERMATA_EXPIRES": "3650d", "FERMATA_MAX_FILE": "1024t",
            "FERMATA_MAX_PART": "1",
            "FERMATA_MAX_RANGES": "1000000", "FERMATA_QUOTA": "0", "FERMATA_RATE": "1k", "FERMATA_URL_EXPIRES": "1",
        ])
        #expect(mount.tombstoneSeconds == 3650 * 86_400 && mount.fileBytesMax == 1 << 50)
        #expect(mount.expiry(at: 1 << 40) > 1 << 40)
    }

    @Test(
        "an unknown parameter is an error that names the nearest known one",
        arguments: [
            ("FERMATA_MAXFILE", "FERMATA_MAX_FILE"), ("FERMATA_QOUTA", "FERMATA_QUOTA"),
            ("FERMATA_TOMBSTONES", "FERMATA_TOMBSTONE"), ("FERMATA_max_part", "FERMATA_MAX_PART"),
            ("FERMATA_PRINCIPLE", "FERMATA_PRINCIPAL"), ("FERMATA_", "FERMATA_"),
        ]
    )
    func unknown(name: String, nearest: String) throws {
        let text = try #require(refusal([name: "10m"]))
        #expect(text.hasPrefix("\(name) is no parameter: did you mean \(nearest)"), "\(text)")
    }

    @Test("a program must be one of those that were allowed")
    func programs() throws {
        for name in ["FERMATA_HOOK", "FERMATA_VETO"] {
            let text = try #require(refusal([name: "/bin/sh"]))
            #expect(text.contains(name) && text.contains("--allow-program /bin/sh"))
            let settings = MountPolicy(
                dialects: .shipped,
                allowedRoots: [],
                defaultRoot: "/nowhere/files",
                allowedPrograms: ["/bin/true", "/bin/none"]
            )
            #expect(refusal([name: "/bin/sh"], settings) != nil)
            #expect(refusal([name: "/bin/true"], settings) == nil)
            #expect(refusal([name: "/bin/../bin/true"], settings) != nil, "it is the path as it was allowed")
            #expect(refusal([name: "/bin/none"], settings)?.contains("is not an absolute path of a program") == true)
        }
    }

    @Test("what was read of a location holds as long as its root and its programs are what they were")
    func holds() throws {
        let folder = "/tmp/fermata-mounts-" + UUID().uuidString
        let manager = FileManager.default
        for name in ["one", "two"] {
            try manager.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        defer { #expect(throws: Never.self) { try manager.removeItem(atPath: folder) } }
        let (root, program) = (folder + "/root", folder + "/program")
        try manager.createSymbolicLink(atPath: root, withDestinationPath: "one")
        try manager.copyItem(atPath: "/bin/true", toPath: program)
        let settings = MountPolicy(
            dialects: .shipped,
            allowedRoots: [folder],
            defaultRoot: "/nowhere/files",
            allowedPrograms: [program]
        )
        let values = ["FERMATA_DIALECT": "dcloud", "FERMATA_ROOT": root, "FERMATA_VETO": program]
        let parameters = try MountParameters({ values[$0] }, names: Array(values.keys), settings)
        #expect(parameters.stillHolds(settings))
        try manager.removeItem(atPath: root)
        try manager.createSymbolicLink(atPath: root, withDestinationPath: "two")
        #expect(!parameters.stillHolds(settings), "the link leads elsewhere")
        try manager.removeItem(atPath: root)
        try manager.createSymbolicLink(atPath: root, withDestinationPath: "/")
        #expect(!parameters.stillHolds(settings), "the link leads out of what is allowed")
        try manager.removeItem(atPath: root)
        try manager.createSymbolicLink(atPath: root, withDestinationPath: "one")
        #expect(parameters.stillHolds(settings))
        try manager.removeItem(atPath: program)
        #expect(!parameters.stillHolds(settings), "the program is gone")
    }

    @Test("the limits of forms are what their settings say, up to their bounds")
    func formLimits() throws {
        let usual = try mount([:])
        #expect(usual.fieldBytesMax == 64 << 10 && usual.allFieldBytesMax == 1 << 20 && usual.formPartsMax == 1000)
        let least = try mount([
            "FERMATA_MAX_FIELD": "1k", "FERMATA_MAX_FIELDS": "1024", "FERMATA_MAX_PARTS_IN_FORM": "1",
        ])
        #expect(least.fieldBytesMax == 1024 && least.allFieldBytesMax == 1024 && least.formPartsMax == 1)
        let most = try mount([
            "FERMATA_MAX_FIELD": "64m", "FERMATA_MAX_FIELDS": "65536k", "FERMATA_MAX_PARTS_IN_FORM": "100000",
        ])
        #expect(most.fieldBytesMax == 64 << 20 && most.allFieldBytesMax == 64 << 20 && most.formPartsMax == 100_000)
    }

    @Test("a name in Latin-1 and the same in UTF-8 are two principals, and nobody else can have the name of either")
    func principals() {
        let principal = { (name: String, bytes: [UInt8]) in
            MountParameters.principal { $0 == name ? bytes : nil }
        }
        for name in ["REMOTE_USER", "FERMATA_PRINCIPAL"] {
            let spellings: [[UInt8]] = [
                [0xE9], Array("\u{E9}".utf8), Array("e\u{301}".utf8), Array("E9".utf8), Array("\\xE9".utf8),
            ]
            let names = Set(spellings.map { Array(principal(name, $0).utf8) })
            #expect(names.count == spellings.count, "\(name)")
        }
        #expect(principal("REMOTE_USER", Array("ann".utf8)) == "ann")
        #expect(principal("REMOTE_USER", Array("\u{E9}".utf8)).utf8.elementsEqual("\u{E9}".utf8))
        #expect(MountParameters.principal { $0 == "REMOTE_USER" ? [0x61] : [] } == "", "set but empty is nobody")
    }

    @Test("the state directory, what is above it and what is in it are no roots, links followed; its files are")
    func stateAsRoot() throws {
        let folder = "/tmp/fermata-mounts-" + UUID().uuidString
        let manager = FileManager.default
        for name in ["state/files/a", "state/other", "beside"] {
            try manager.createDirectory(atPath: "\(folder)/\(name)", withIntermediateDirectories: true)
        }
        defer { #expect(throws: Never.self) { try manager.removeItem(atPath: folder) } }
        try manager.createSymbolicLink(atPath: folder + "/link", withDestinationPath: folder + "/state")
        let settings = MountPolicy(
            dialects: .shipped,
            allowedRoots: ["/"],
            defaultRoot: folder + "/state/files",
            stateDirectory: folder + "/state"
        )
        for root in [
            "/", "/tmp", folder, folder + "/state", folder + "/state/", folder + "/link", folder + "/state/other",
            folder + "/beside/../state", folder + "/link/other",
        ] {
            #expect(refusal(["FERMATA_ROOT": root], settings)?.contains("holds the ledger") == true, "\(root)")
        }
        for root in [folder + "/beside", folder + "/state/files", folder + "/link/files/a"] {
            #expect(refusal(["FERMATA_ROOT": root], settings) == nil, "\(root)")
        }
    }

    @Test("a mount without a name of its own is named by server, port and path; one with a name by that alone")
    func names() throws {
        #expect(try mount([:]).name == "//a.example:443/up")
        #expect(try mount(["SERVER_NAME": "b.example"]).name != mount([:]).name)
        #expect(try mount(["SERVER_PORT": "80"]).name != mount([:]).name)
        #expect(try mount(["FERMATA_MOUNT": "own"]).name == "own")
        #expect(
            try Mount.shortName(of: mount([:]).name) == "/up" && Mount.server(of: mount([:]).name) == "a.example:443"
        )
        #expect(Mount.shortName(of: "own") == "own" && Mount.server(of: "own") == nil)
        #expect(Mount.shortName(of: "//a.example:80") == "")
        #expect(refusal(["SERVER_NAME": String(repeating: "a", count: 2000)])?.contains("FERMATA_MOUNT") == true)
    }
}
