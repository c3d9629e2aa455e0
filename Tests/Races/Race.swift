import Foundation
import Threading

/// Clients, administrators and a killer at two responders on one state directory, in rounds: after each of them all must
/// be as it should.
public struct Race: Sendable {
    /// How long the clients of a round meddle, in seconds.
    private static let roundSeconds = 8
    static let threads = 6
    private static let uploadsAtOnce = 3

    let dialect: RaceDialect
    let seconds: Int
    let seed: UInt64
    let binary: String

    /// - Parameters:
    ///   - seconds: for how long it goes on; the round that runs then is finished.
    ///   - binary: the responder.
    public init(_ dialect: RaceDialect, seconds: Int, seed: UInt64, binary: String) {
        self.dialect = dialect
        self.seconds = seconds
        self.seed = seed
        self.binary = binary
    }

    /// What a race has shown.
    public struct Report: Sendable {
        /// What was wrong.
        public let findings: [String]
        /// What was done how often, and with which outcome.
        public let counts: String
    }

    /// Races until the time is over or something is wrong.
    public func run() throws -> Report {
        let (findings, tally) = (Findings(), Tally())
        let began = Clock.now
        var (rounds, kills, files, uploads) = (0, 0, 0, 0)
        while findings.all.isEmpty, rounds == 0 || Clock.now - began < seconds * 1_000_000_000 {
            let left = seconds - (Clock.now - began) / 1_000_000_000
            // In every third round nobody is killed, and so nothing may be left behind either.
            let arena = try Arena(dialect, binary: binary, hasKills: rounds % 3 != 2, findings: findings, tally: tally)
            defer { arena.close() }
            let round = Round(arena, seed: Chance.mixed(seed &+ UInt64(rounds)))
            try round.race(seconds: max(2, min(Self.roundSeconds, left)), Self.threads, Self.uploadsAtOnce)
            files += try Referee(arena, round.contenders).judge()
            rounds += 1
            kills += arena.fleet.killCount
            uploads += round.contenders.count
            if !findings.all.isEmpty { findings.add("what is there is left in \(arena.directory.path)") }
        }
        let title =
            "\(dialect.rawValue), seed \(seed): \(rounds) rounds, \(uploads) uploads, \(files) files, \(kills) kills, "
            + "\(tally.total) operations"
        return Report(findings: findings.all, counts: ([title] + tally.lines).joined(separator: "\n  "))
    }
}

/// The part of a round in which everybody meddles.
final class Round: Sendable {
    private let arena: Arena
    private let seed: UInt64
    private struct State: Sendable {
        var all: [any Contender] = []
        var active: [any Contender] = []
        var isOver = false
    }
    private let state = Locked(State())
    private let beginning = Locked(())

    init(_ arena: Arena, seed: UInt64) {
        self.arena = arena
        self.seed = seed
    }

    var contenders: [any Contender] { state.withLock { $0.all } }

    func race(seconds: Int, _ threads: Int, _ uploads: Int) throws {
        let ended = DispatchGroup()
        let failures = Locked<[String]>([])
        var roles: [@Sendable (inout Chance) throws -> Void] = (0..<threads).map { _ in { self.meddle(&$0, uploads) } }
        roles.append(administer)
        roles.append(hinder)
        if arena.hasKills { roles.append(killNowAndThen) }
        for (index, role) in roles.enumerated() {
            ended.enter()
            Thread {
                var chance = Chance(seed: Chance.mixed(self.seed &+ UInt64(index)))
                do { try role(&chance) } catch { failures.withLock { $0.append("\(error)") } }
                ended.leave()
            }.start()
        }
        let end = Clock.now + seconds * 1_000_000_000
        while Clock.now < end, !arena.findings.areEnough { usleep(20_000) }
        state.withLock { $0.isOver = true }
        ended.wait()
        if let failure = failures.withLock({ $0.first }) { throw RaceFailure(what: failure) }
    }

    private var isOver: Bool { state.withLock { $0.isOver } }

    /// Sends requests, one after the other, to the uploads that go on.
    private func meddle(_ chance: inout Chance, _ uploads: Int) {
        while !isOver { contender(&chance, uploads).act(&chance) }
    }

    private func contender(_ chance: inout Chance, _ uploads: Int) -> any Contender {
        let pick = chance.next()
        let active = state.withLock { state in
            state.active.removeAll(where: \.isSpent)
            return state.active
        }
        if active.count >= uploads { return active[Int(pick % UInt64(active.count))] }
        // One thread at a time begins another.
        return beginning.withLock { _ in
            let number = state.withLock { $0.all.count }
            let contender = arena.dialect.contender(number, arena, seed: Chance.mixed(seed ^ UInt64(number) << 20))
            state.withLock { state in
                state.all.append(contender)
                state.active.append(contender)
            }
            return contender
        }
    }

    /// Kills a responder now and then.
    private func killNowAndThen(_ chance: inout Chance) throws {
        while !isOver {
            usleep(UInt32(chance.number(50_000..<600_000)))
            let signal = chance.isOne(in: 5) ? SIGTERM : SIGKILL
            try arena.fleet.replace(
                chance.number(0..<Fleet.size),
                signal: signal,
                pause: UInt32(chance.number(0..<100_000))
            )
            arena.tally.count(signal == SIGKILL ? "SIGKILL" : "SIGTERM", "done")
        }
    }

    /// Has programs fail now and then.
    private func hinder(_ chance: inout Chance) {
        while !isOver {
            usleep(UInt32(chance.number(50_000..<400_000)))
            arena.set("hindered", chance.isOne(in: 2))
            arena.set("deaf", chance.isOne(in: 3))
        }
        arena.set("hindered", false)
        arena.set("deaf", false)
    }

    /// Runs commands beside the service.
    private func administer(_ chance: inout Chance) throws {
        while !isOver {
            usleep(UInt32(chance.number(0..<100_000)))
            enum Act { case check, repair, sweep, remove, look }
            switch chance.pick([(6, Act.check), (4, .repair), (2, .sweep), (2, .remove), (2, .look)]) {
            case .check: try check("check")
            case .repair: try check("check", "--repair")
            case .sweep: expect(try arena.commands.run("sweep"), "sweep")
            case .look:
                for command in ["usage", "events"] { expect(try arena.commands.run(command), command) }
            case .remove: try remove(&chance)
            }
        }
    }

    private func expect(_ ending: Commands.Ending, _ command: String) {
        arena.tally.count(command, "\(ending.status)")
        if ending.status != 0 { arena.findings.add("\(command) exits with \(ending.status): \(ending.output)") }
    }

    /// Has the ledger compared with the files: while no responder is killed nothing is wrong, but for files whose veto
    /// has failed.
    private func check(_ words: String...) throws {
        let ending = words.count == 1 ? try arena.commands.run(words[0]) : try arena.commands.run(words[0], words[1])
        let command = words.joined(separator: " ")
        let lines = ending.output.split(separator: "\n").filter { line in
            if line.contains("is whole but has no final name") {
                return !line.contains(Traits.hindered) && !line.contains(Traits.refused)
                    && !contenders.contains { $0.mayWaitForName && line.contains($0.traits.name) }
                    && arena.fleet.isHealthy(since: ending.period.began)
            }
            return line != "nothing is wrong" && !line.hasSuffix(" differences")
        }
        arena.tally.count(command, lines.isEmpty ? "true" : "false")
        if !lines.isEmpty || ![0, 1].contains(ending.status) {
            arena.findings.add("\(command) beside the service (\(ending.status), \(ending.period)): \(ending.output)")
        }
    }

    /// Removes an upload that somebody meddles with.
    private func remove(_ chance: inout Chance) throws {
        let listed = try arena.commands.uploads()
        arena.tally.count("list", "0")
        let active = state.withLock { $0.active }
        guard !active.isEmpty else { return }
        let contender = active[chance.number(0..<active.count)]
        guard let upload = listed.first(where: { $0.fileName.hasSuffix(contender.traits.name) }) else { return }
        let number = contender.removalBegins(at: Clock.now)
        let ending = try arena.commands.run("remove", String(upload.id))
        arena.tally.count("remove", "\(ending.status)")
        if ![0, 1].contains(ending.status) {
            arena.findings.add("remove exits with \(ending.status): \(ending.output)")
        }
        contender.removalEnded(number, at: Clock.now, isRemoved: ending.status == 0)
    }
}
