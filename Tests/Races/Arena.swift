import Foundation
import Threading

/// Where one round of a race takes place: a state directory of its own, its responders, and what its uploads tell to
/// programs.
final class Arena: Sendable {
    let dialect: RaceDialect
    let directory: URL
    let fleet: Fleet
    let commands: Commands
    let findings: Findings
    let tally: Tally
    /// Whether responders are killed in this round.
    let hasKills: Bool

    init(
        _ dialect: RaceDialect,
        binary: String,
        hasKills: Bool,
        findings: Findings,
        tally: Tally
    ) throws {
        self.dialect = dialect
        self.hasKills = hasKills
        self.findings = findings
        self.tally = tally
        directory = URL(fileURLWithPath: "/tmp").appending(path: "fermata-race-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: false)
        try FileManager.default.createDirectory(
            at: directory.appending(path: "told"),
            withIntermediateDirectories: false
        )
        let path = directory.path
        // A hook that is deaf now and then is told again.
        try Self.makeProgram(
            path + "/hook",
            "[ -e \(path)/deaf ] && exit 1; exec cat > \"$(mktemp \(path)/told/XXXXXXXX)\""
        )
        try Self.makeProgram(
            path + "/veto",
            """
            document=$(cat)
            case $document in
            *\(Traits.refused)*) echo not wanted; exit 1 ;;
            *\(Traits.hindered)*) [ -e \(path)/hindered ] && exit 2 ;;
            esac
            exit 0
            """
        )
        commands = Commands(binary: binary, state: path + "/state", programs: [path + "/veto"])
        fleet = try Fleet(directory, binary: binary, findings: findings)
    }

    /// Ends the responders and removes everything.
    func close() {
        fleet.stop()
        if findings.all.isEmpty { try? FileManager.default.removeItem(at: directory) }
    }

    /// Where finished files appear.
    var files: URL { directory.appending(path: "state/files") }

    private static func makeProgram(_ path: String, _ script: String) throws {
        try "#!/bin/sh\n\(script)\n".write(toFile: path, atomically: true, encoding: .utf8)
        try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: path)
    }

    /// Makes a file there, or has it go, that programs look for.
    func set(_ name: String, _ isThere: Bool) {
        let path = directory.appending(path: name).path
        if isThere { Glibc.close(creat(path, 0o644)) } else { unlink(path) }
    }

    /// Sends a request and counts it.
    func send(
        _ operation: String,
        _ request: WebRequest,
        of traits: Traits,
        _ manner: Manner = .atOnce,
        to responder: Int
    ) -> (reply: Reply, period: Period) {
        var request = request
        request.mount = traits.mount(dialect, directory.path)
        let began = Clock.now
        let reply = fleet.send(request, manner, to: responder)
        let outcome =
            switch reply {
            case .answer(let status, _, _): "\(status)"
            case .cut: "cut"
            case .broken: "broken"
            }
        tally.count(operation, outcome)
        return (reply, Period(began: began, ended: Clock.now))
    }
}

/// What is special about an upload.
struct Traits: Sendable {
    static let refused = "refused"
    static let hindered = "hindered"

    /// How its file is to be called; tells a veto what to do.
    let name: String
    let number: Int
    let user: String
    let hasVeto: Bool
    let hasManifest: Bool
    let isDurable: Bool

    /// Whether a veto refuses its file whenever it is whole.
    var isRefused: Bool { name.contains(Self.refused) }
    /// Whether its veto fails now and then.
    var isHindered: Bool { name.contains(Self.hindered) }

    init(_ number: Int, prefix: String = "u", _ chance: inout Chance) {
        let kind = chance.pick([(12, ""), (2, "heard"), (1, Self.refused), (1, Self.hindered)])
        self.number = number
        name = "\(prefix)\(number)-\(kind).bin"
        user = number % 2 == 0 ? "ann" : "bob"
        hasVeto = !kind.isEmpty
        hasManifest = chance.isOne(in: 6)
        isDurable = chance.isOne(in: 6)
    }

    /// What a location would say.
    func mount(_ dialect: RaceDialect, _ directory: String) -> [String: String] {
        var mount = dialect.mount
        mount["FERMATA_DIALECT"] = dialect.rawValue
        mount["FERMATA_QUOTA"] = "1t"
        mount["FERMATA_HOOK"] = directory + "/hook"
        if hasVeto { mount["FERMATA_VETO"] = directory + "/veto" }
        if hasManifest { mount["FERMATA_MANIFEST"] = "on" }
        if isDurable { mount["FERMATA_DURABILITY"] = "segment" }
        mount["REMOTE_USER"] = user
        return mount
    }
}

/// The dialects that are raced in.
public enum RaceDialect: String, CaseIterable, Sendable {
    case dcloud, fileid, parts, offset, signed

    /// What their mounts say.
    var mount: [String: String] {
        switch self {
        case .dcloud: ["FERMATA_CANCEL": "on"]
        case .fileid, .offset: [:]
        case .parts: ["FERMATA_MIN_PART": "1", "FERMATA_CANCEL": "on"]
        case .signed:
            [
                "FERMATA_MIN_PART": "1", "FERMATA_CHUNK": "1000",
                "FERMATA_BASE_URL": "http://localhost" + WebRequest.mountPath,
            ]
        }
    }

    /// Begins an upload.
    func contender(_ number: Int, _ arena: Arena, seed: UInt64) -> any Contender {
        switch self {
        case .offset: OffsetContender(number, arena, seed: seed)
        case .fileid, .parts, .signed: NumberedContender(number, arena, seed: seed)
        case .dcloud: DCloudContender(number, arena, seed: seed)
        }
    }
}

/// One upload that several clients meddle with at the same time.
protocol Contender: AnyObject, Sendable {
    var arena: Arena { get }
    var traits: Traits { get }
    /// Sends a random request.
    func act(_ chance: inout Chance)
    /// Whether it has come to an end, and has been meddled with for long enough.
    var isSpent: Bool { get }
    /// Whether it may be whole and wait for a repeat of its last bytes, as a request was cut or refused that has brought
    /// some.
    var mayWaitForName: Bool { get }
    /// Brings it to its end, as its only client.
    func close()
    /// Notes that an administrator begins to remove it; the number goes to `removalEnded`.
    func removalBegins(at time: Int) -> Int
    /// Notes that it was removed, or was not there.
    func removalEnded(_ number: Int, at time: Int, isRemoved: Bool)
    /// What is wrong with the published files of its name, by their paths below the root.
    func faults(of published: [String: [UInt8]]) -> [String]
    /// How often its files may have been published, each of its paths.
    var publicationsMax: Int { get }
    /// What its clients did, and with which outcome.
    var log: [String] { get }
}

extension Contender {
    /// Tells what is wrong, with what was done.
    func tell(_ faults: [String]) {
        for fault in faults { arena.findings.add(fault, about: traits.name, log: log) }
    }
    var mayWaitForName: Bool { false }
}
