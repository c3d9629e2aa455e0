import Foundation
import Testing

/// The commands that those use who look after the service, beside a responder that runs.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct CommandTests {
    typealias Dialect = ContractDialect
    private let site: Site
    private let binary: String

    init() throws {
        site = try Site(
            mounts: Dictionary(uniqueKeysWithValues: Dialect.allCases.map { ("/" + $0.rawValue, $0.parameters) })
        )
        binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
    }

    private func fermata(_ arguments: String...) throws -> (status: Int32, output: String) {
        try run(binary, arguments + ["--state", site.directory.path + "/state"])
    }

    private func list(_ arguments: String...) throws -> [[String: Any]] {
        let result = try run(binary, ["list", "--json", "--state", site.directory.path + "/state"] + arguments)
        try #require(result.status == 0)
        return try result.output.split(separator: "\n").map { line in
            try #require(try JSONSerialization.jsonObject(with: Data(line.utf8)) as? [String: Any])
        }
    }

    @Test("uploads of every dialect are listed, shown and removed", arguments: Dialect.allCases)
    func uploads(dialect: Dialect) throws {
        let conversation = dialect.conversation(site, path: "/" + dialect.rawValue, name: "a.bin")
        _ = try conversation.begin()
        _ = try conversation.send(0)
        let open = try list()
        #expect(open.count == 1)
        let upload = try #require(open.first)
        #expect(upload["dialect"] as? String == dialect.rawValue)
        #expect(upload["mount"] as? String == "/" + dialect.rawValue)
        #expect(upload["committedBytes"] as? Int == Dialect.pieceBytes)
        #expect(upload["state"] as? String == "open")
        let id = try #require(upload["id"] as? Int)
        let line = try fermata("list").output.split(separator: "\n")
        #expect(line.count == 2)
        #expect(line[1].hasPrefix("\(id)\t\(dialect.rawValue)\t"), "\(line[1])")
        let shown = try fermata("show", "\(id)")
        #expect(shown.status == 0)
        #expect(shown.output.contains("committed: \(Dialect.pieceBytes) ("), "\(shown.output)")
        switch dialect {
        case .dcloud, .offset: #expect(shown.output.contains("range: 0-\(Dialect.pieceBytes)\n"))
        case .fileid, .parts, .signed: #expect(shown.output.contains("part: 1, \(Dialect.pieceBytes) bytes, MD5 "))
        }
        let details = try #require(
            try JSONSerialization.jsonObject(with: Data(fermata("show", "--json", "\(id)").output.utf8))
                as? [String: Any]
        )
        #expect((details["upload"] as? [String: Any])?["id"] as? Int == id)
        #expect(try fermata("remove", "\(id)").status == 0)
        #expect(try list().isEmpty)
        #expect(try FileManager.default.contentsOfDirectory(atPath: site.files.path + "/.fermata") == [".mark"])
        #expect(try fermata("show", "\(id)").status == 1)
        #expect(try fermata("remove", "\(id)").status == 1)
        let answer = try conversation.send(1)
        #expect(dialect.unknownStatuses.contains(answer.status), "\(answer.body)")
    }

    @Test("finished uploads are listed when asked for, and removing one leaves its file")
    func finished() throws {
        let conversation = Dialect.dcloud.conversation(site, path: "/dcloud")
        for index in conversation.pieces.indices { _ = try conversation.send(index) }
        #expect(try list().isEmpty)
        let all = try list("--all")
        #expect(all.map { $0["state"] as? String } == ["finished"])
        #expect(all.first?["path"] as? String == conversation.publishedPath)
        #expect(try fermata("remove", "\(try #require(all.first?["id"] as? Int))").status == 0)
        #expect(FileManager.default.fileExists(atPath: site.files.appending(path: conversation.publishedPath).path))
    }

    @Test("what comes in is watched, a line for each change")
    func watched() throws {
        let conversation = Dialect.dcloud.conversation(site, path: "/dcloud")
        _ = try conversation.send(0)
        let result = try fermata("watch", "--count", "2", "--interval", "0.2")
        #expect(result.status == 0)
        let lines = result.output.split(separator: "\n")
        #expect(lines.count == 1)
        #expect(lines.first?.hasSuffix("\t\(Dialect.pieceBytes)\t\(Dialect.content.count)\tf.bin") == true, "\(lines)")
    }

    @Test("wrong arguments and flags out of bounds exit with 64, as a directory without a ledger does; help with 0")
    func misused() throws {
        #expect(try run(binary, ["show", "x", "--state", site.directory.path + "/state"]).status == 64)
        #expect(try run(binary, ["list", "--state", "/nothing"]).status == 64)
        #expect(try run(binary, ["watch", "--interval", "0", "--state", "/nothing"]).status == 64)
        let state = site.directory.path + "/state"
        for flags in [
            ["serve", "--listen", "127.0.0.1:0"], ["serve", "--listen", "0.0.0.0:9000"], ["serve", "--workers", "0"],
            ["serve", "--workers", "16385"], ["serve", "--drain-seconds", "-1"], ["serve", "--drain-seconds", "3601"],
            ["serve", "--socket-mode", "1000"], ["serve", "--socket-mode", "8"], ["serve", "--log-level", "loud"],
            ["serve", "--allow-program", "sh"], ["doctor", "--workers", "-1"], ["doctor", "--workers", "900000000"],
            ["doctor", "--nginx", "/nothing"], ["watch", "--interval", "nan"], ["watch", "--interval", "3601"],
            ["watch", "--count", "0"], ["usage", "set", "--mount", "/m", "--", "-1"],
            ["usage", "set", "--mount", "/m", "9223372036854775808"], ["events", "drop", "99999999999999999999"],
            ["remove", "1e3"], ["show", ""],
        ] {
            let all = Array(flags[..<(flags.firstIndex(of: "--") ?? flags.endIndex)] + ["--state", state])
            let rest = flags.firstIndex(of: "--").map { Array(flags[$0...]) } ?? []
            #expect(try run(binary, all + rest).status == 64, "\(flags)")
        }
        for command in ["serve", "list", "show", "watch", "remove", "events", "usage", "sweep", "check", "doctor"] {
            let help = try run(binary, [command, "--help"])
            #expect(help.status == 0 && help.output.contains("USAGE: fermata \(command)"), "\(command)")
        }
    }
}
