import Foundation
import Threading

/// An upload in a dialect with numbered parts: `fileid`, `parts` or `signed`.
final class NumberedContender: Contender {
    /// After so many requests it is left alone.
    private static let requestsMax = 70

    let traits: Traits
    let arena: Arena
    private let content: Content
    private let numbers: [Int]
    private let stride: Int
    private let lastCount: Int
    private let state: Locked<NumberedState>

    init(_ number: Int, _ arena: Arena, seed: UInt64) {
        var chance = Chance(seed: seed)
        traits = Traits(number, &chance)
        self.arena = arena
        content = Content(seed: chance.next())
        let (count, first) = (chance.number(1..<6), chance.isOne(in: 4) ? 0 : 1)
        switch arena.dialect {
        case .parts where chance.isOne(in: 3): numbers = (0..<count).map { first + 3 * $0 }
        case .parts, .fileid: numbers = (0..<count).map { first + $0 }
        case .signed, .dcloud, .offset: numbers = (0..<count).map { 1 + $0 }
        }
        stride = chance.isOne(in: 3) ? 1024 : chance.number(100..<3000)
        lastCount = chance.number(1..<stride + 1)
        state = Locked(NumberedState(requests: NumberedRequests(arena.dialect, name: traits.name)))
        // What a veto refuses is removed whenever it is whole, which is nobody's request alone.
        if traits.isRefused { state.withLock { $0.history.begin(0, nil, 0..<0, empties: true, at: 0) } }
        begin()
    }

    private var total: Int { (numbers.count - 1) * stride + lastCount }

    var isSpent: Bool { state.withLock { $0.requestCount > Self.requestsMax } }
    var log: [String] { state.withLock { $0.log } }
    var publicationsMax: Int { 1 }

    private func begin() {
        for attempt in 0..<50 {
            let request = state.withLock { $0.requests.begin(total: total, stride: stride) }
            let (reply, period) = arena.send("begin", request, of: traits, to: attempt)
            let hasBegun = state.withLock { state in
                state.log.append("\(period) begin \(numbers) of \(stride), last \(lastCount): \(reply)")
                return state.requests.hasBegun(reply)
            }
            if hasBegun { return }
            if reply.status != nil { break }
        }
        tell(["can not begin"])
    }

    // MARK: Requests

    private enum Act { case part, again, replace, wrongDigest, list, complete, stale, abort, confirm }

    func act(_ chance: inout Chance) {
        let (missing, known) = state.withLock { state in
            state.requestCount += 1
            let look = Period(began: Clock.now, ended: Clock.now)
            return (numbers.filter { state.history.mayLack(at: $0, during: look) }, state.versions.keys.sorted())
        }
        let number = numbers[chance.number(0..<numbers.count)]
        switch chance.pick([
            (missing.isEmpty ? 2 : 40, Act.part), (8, .again), (10, .replace), (4, .wrongDigest), (14, .list),
            (missing.isEmpty ? 25 : 4, .complete), (2, .stale), (1, .abort), (4, .confirm),
        ]) {
        case .part: store("part", missing.isEmpty ? number : missing[chance.number(0..<missing.count)], nil, &chance)
        case .again:
            guard !known.isEmpty else { return }
            let version = known[chance.number(0..<known.count)]
            guard let sent = state.withLock({ $0.versions[version] }) else { return }
            store("part again", sent.number, version, &chance)
        case .replace: store("part", number, nil, &chance)
        case .wrongDigest: storeWrong(number, &chance)
        case .list: _ = list(chance.number(0..<Fleet.size))
        case .complete:
            let versions = state.withLock { state in numbers.map { state.latest($0) } }
            complete(versions.compactMap { $0 }, &chance)
        case .stale:
            let versions = state.withLock { state in
                numbers.compactMap { number in state.versions.filter { $0.value.number == number }.keys.min() }
            }
            complete(versions, &chance)
        case .abort: if chance.isOne(in: 3) { abort(&chance) }
        case .confirm: confirm(&chance)
        }
    }

    private func count(_ number: Int, _ chance: inout Chance) -> Int {
        let usual = number == numbers.last ? lastCount : stride
        switch arena.dialect {
        case .fileid, .parts: return chance.isOne(in: 6) ? chance.number(0..<2 * stride) : usual
        case .signed, .dcloud, .offset: return usual
        }
    }

    /// Sends a part, a new version of it or one that was sent before.
    private func store(_ operation: String, _ number: Int, _ version: Int?, _ chance: inout Chance, isCut: Bool = true)
    {
        let count = count(number, &chance)
        let fieldsFirst = chance.isOne(in: 2)
        let (attempt, version, request) = state.withLock { state in
            let attempt = state.nextNumber()
            let version = version ?? attempt
            if state.versions[version] == nil {
                let bytes = content.bytes(version, 0..<count)
                state.versions[version] = NumberedState.Version(number: number, bytes: bytes, digest: md5(bytes))
            }
            let sent = state.versions[version]
            state.history.begin(attempt, version, number..<number + 1, at: Clock.now)
            let part = NumberedRequests.Part(number: number, digest: sent?.digest ?? "")
            return (attempt, version, state.requests.part(part, sent?.bytes ?? [], fieldsFirst: fieldsFirst))
        }
        let manner = Manner.random(&chance, request, cuts: isCut ? 8 : 0)
        let (reply, period) = arena.send(operation, request, of: traits, manner, to: chance.number(0..<Fleet.size))
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) \(operation) \(number) version \(version) [\(attempt)]: \(reply)")
            guard let status = reply.status else {
                state.history.end(attempt, at: reply.end(period), isCertain: false)
                return []
            }
            if status == 200 {
                state.history.end(attempt, at: period.ended)
                let isOver = state.history.isGone(before: period) || state.isFinished(before: period)
                return isOver ? ["[\(attempt)] a part is taken, although the upload is over"] : []
            }
            state.history.refuse(attempt)
            return state.isExplained(status, period) ? [] : ["[\(attempt)] \(operation) is answered with \(reply)"]
        }
        tell(faults)
    }

    /// Sends a part that is not what its digest or its size says.
    private func storeWrong(_ number: Int, _ chance: inout Chance) {
        let request = state.withLock { state in
            let version = state.nextNumber()
            var bytes = content.bytes(version, 0..<stride)
            let part = NumberedRequests.Part(number: number, digest: md5(bytes))
            if arena.dialect == .signed { bytes += [1, 2] } else { bytes[0] ^= 1 }
            return state.requests.part(part, bytes, fieldsFirst: true)
        }
        let (reply, period) = arena.send("wrong part", request, of: traits, to: chance.number(0..<Fleet.size))
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) wrong part \(number): \(reply)")
            guard let status = reply.status, status != 400, status != 413 else { return [] }
            return state.isExplained(status, period) ? [] : ["a wrong part is answered with \(reply)"]
        }
        tell(faults)
    }

    /// Asks which parts are there; `nil` when the answer is lost, or the upload.
    private func list(_ responder: Int) -> (parts: [NumberedRequests.Part], isFinished: Bool)? {
        let request = state.withLock { $0.requests.list() }
        let (reply, period) = arena.send("list", request, of: traits, to: responder)
        var found: (parts: [NumberedRequests.Part], isFinished: Bool)?
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) list: \(reply)")
            guard let status = reply.status else { return [] }
            guard status == 200 else {
                return state.isExplained(status, period) ? [] : ["list is answered with \(reply)"]
            }
            let parts = state.requests.parts(in: reply)
            found = (parts, reply.json["completed"] as? Bool == true)
            return state.faults(of: parts, numbers, period)
        }
        tell(faults)
        return found
    }

    /// Completes the upload with some versions of its parts.
    @discardableResult
    private func complete(_ versions: [Int], _ chance: inout Chance, isCut: Bool = true) -> Int? {
        guard !versions.isEmpty else { return nil }
        let (attempt, request) = state.withLock { state in
            let attempt = state.nextNumber()
            state.completions[attempt] = NumberedState.Completion(versions: versions, period: Period(began: Clock.now))
            let parts = versions.compactMap { state.versions[$0] }
                .map { NumberedRequests.Part(number: $0.number, digest: $0.digest) }
            return (attempt, state.requests.complete(parts))
        }
        let manner = Manner.random(&chance, request, cuts: isCut ? 4 : 0)
        let (reply, period) = arena.send("complete", request, of: traits, manner, to: chance.number(0..<Fleet.size))
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) complete \(versions) [\(attempt)]: \(reply)")
            state.completions[attempt]?.period.ended = reply.end(period)
            guard let status = reply.status else { return [] }
            if status == 200 {
                state.completions[attempt]?.isAcknowledged = true
                return state.faults(ofCompletion: attempt, period)
            }
            state.completions[attempt]?.isAcknowledged = status == 500 ? nil : false
            if status == 403, traits.isRefused { return [] }
            if status == 500, traits.isHindered { return [] }
            // Where all of the parts are, and stay, it is to be completed; the second time, too.
            let isSound =
                versions.count == numbers.count
                && zip(numbers, versions).allSatisfy { state.history.mustHold($1, at: $0, during: period) }
            let isForeign = state.completions.contains { number, other in
                number != attempt && other.isAcknowledged != false && other.versions != versions
                    && other.period.began < period.ended
            }
            if isSound, !isForeign { return ["[\(attempt)] complete is answered with \(reply)"] }
            return [400, 404, 409].contains(status) ? [] : ["[\(attempt)] complete is answered with \(reply)"]
        }
        tell(faults)
        return reply.status
    }

    private func abort(_ chance: inout Chance) {
        guard let request = state.withLock({ $0.requests.abort() }) else { return }
        let attempt = removalBegins(at: Clock.now)
        let (reply, period) = arena.send("abort", request, of: traits, to: chance.number(0..<Fleet.size))
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) abort [\(attempt)]: \(reply)")
            guard let status = reply.status else {
                state.history.end(attempt, at: reply.end(period), isCertain: false)
                return []
            }
            if status == 200 {
                state.history.end(attempt, at: period.ended)
                return state.isFinished(before: period) && !state.history.mayBeGone(during: period, besides: attempt)
                    ? ["[\(attempt)] what was completed is aborted"] : []
            }
            state.history.refuse(attempt)
            return state.isExplained(status, period) ? [] : ["[\(attempt)] abort is answered with \(reply)"]
        }
        tell(faults)
    }

    private func confirm(_ chance: inout Chance) {
        let job = ["first", "second"][chance.isOne(in: 4) ? 1 : 0]
        guard let request = state.withLock({ $0.requests.confirm(job) }) else { return }
        state.withLock { _ = $0.confirmations.insert(job) }
        let (reply, period) = arena.send("confirm", request, of: traits, to: chance.number(0..<Fleet.size))
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) confirm \(job): \(reply)")
            guard let status = reply.status else { return [] }
            if status == 200 {
                state.confirmed.insert(job)
                return state.confirmed.count > 1 ? ["two confirmations of other content are both told OK"] : []
            }
            let isRefusable =
                state.confirmations.count > 1 || !state.isFinished(before: period)
                || state.history.mayBeGone(during: period)
            return [404, 409].contains(status) && isRefusable ? [] : ["confirm is answered with \(reply)"]
        }
        tell(faults)
    }

    func removalBegins(at time: Int) -> Int {
        state.withLock { state in
            let number = state.nextNumber()
            state.history.begin(number, nil, 0..<0, empties: true, at: time)
            return number
        }
    }

    func removalEnded(_ number: Int, at time: Int, isRemoved: Bool) {
        state.withLock { state in
            state.log.append("\(time / 1000 % 1_000_000_000) removed [\(number)]: \(isRemoved)")
            if isRemoved { state.history.end(number, at: time) } else { state.history.refuse(number) }
        }
    }

    // MARK: The end

    func close() {
        var chance = Chance(seed: content.seed)
        let listed = list(chance.number(0..<Fleet.size))
        let look = Period(began: Clock.now, ended: Clock.now)
        let (isFinished, isGone, tried) = state.withLock { state in
            let tried = state.completions.values.filter { $0.isAcknowledged != false }
                .sorted { $0.isAcknowledged == true && $1.isAcknowledged != true }
            return (state.isFinished(before: look), state.history.mayBeGone(during: look), tried.map(\.versions))
        }
        if isGone, listed == nil { return }
        if isFinished || listed == nil || listed?.isFinished == true {
            // It has been completed with one of the lists that were sent, and says so again.
            for versions in tried where complete(versions, &chance, isCut: false) == 200 { return }
            if !isGone { tell(["was completed, and no call for it is answered again"]) }
            return
        }
        if listed?.parts.count != numbers.count || arena.dialect != .signed {
            let there = Set(listed?.parts.map(\.number) ?? [])
            for number in numbers where !there.contains(number) {
                store("part at the end", number, nil, &chance, isCut: false)
            }
        }
        // Of two that came at the same time the server says which it has.
        guard let there = list(chance.number(0..<Fleet.size))?.parts else {
            if !isGone { tell(["its only client can not list its parts"]) }
            return
        }
        let versions = state.withLock { state in
            there.sorted { $0.number < $1.number }.compactMap { part in
                state.versions.first { $0.value.number == part.number && $0.value.digest == part.digest }?.key
            }
        }
        var status = complete(versions, &chance, isCut: false)
        // A list that is sent again may be the one that counts.
        for versions in [versions] + tried where status != 200 { status = complete(versions, &chance, isCut: false) }
        if status != 200, !traits.isRefused, !isGone { tell(["its only client can not complete it"]) }
    }

    func faults(of published: [String: [UInt8]]) -> [String] {
        confirmationFaults() + fileFaults(of: published)
    }

    /// What is wrong with the file that a confirmation has left.
    private func confirmationFaults() -> [String] {
        let (path, confirmed) = state.withLock { ($0.requests.confirmationPath, $0.confirmed) }
        guard let path, let job = confirmed.first else { return [] }
        let text = (try? String(contentsOf: arena.files.appending(path: path), encoding: .utf8)) ?? ""
        return text.contains(#""job_name":"\#(job)""#) ? [] : ["was confirmed as \(job), and the file says: \(text)"]
    }

    private func fileFaults(of published: [String: [UInt8]]) -> [String] {
        state.withLock { state in
            let completions = state.completions.values
            let acknowledged = completions.filter { $0.isAcknowledged == true }
            if published.isEmpty { return acknowledged.isEmpty ? [] : ["was told to be complete and is not there"] }
            if traits.isRefused { return ["is published, although its veto refuses it"] }
            if published.count > 1 { return ["is there more than once: \(published.keys.sorted())"] }
            guard let bytes = published.values.first else { return [] }
            let legal = acknowledged.isEmpty ? completions.filter { $0.isAcknowledged != false } : acknowledged
            let isLegal = legal.contains { completion in
                completion.versions.flatMap { state.versions[$0]?.bytes ?? [] } == bytes
            }
            return isLegal ? [] : ["has \(bytes.count) bytes that are none of \(legal.map(\.versions))"]
        }
    }
}
