import Digests
import Foundation
import Threading

/// An upload in the dialect `offset`: POST tells or resets, PATCH appends or, at 0, begins anew.
final class OffsetContender: Contender {
    /// After so many requests it is left alone.
    private static let requestsMax = 90
    private static let bytesMax = 6000

    private struct State {
        var histories: HistoriesBySize = [:]
        /// What the file is to have, as the last POST said.
        var total: Int
        /// What the last answer said is there.
        var offset = 0
        var number = 0
        var requests = 0
        var patches: [Int: Patch] = [:]
        var publications: [(total: Int, period: Period)] = []
        var resets = 0
        var log: [String] = []

        mutating func nextNumber() -> Int {
            number += 1
            return number
        }
    }

    private struct Patch {
        let version: Int
        let range: Range<Int>
        var period: Period
    }

    let traits: Traits
    let arena: Arena
    private let content: Content
    private let base: Int
    private let state: Locked<State>

    init(_ number: Int, _ arena: Arena, seed: UInt64) {
        var chance = Chance(seed: seed)
        traits = Traits(number, &chance)
        self.arena = arena
        content = Content(seed: chance.next())
        base = chance.number(200..<Self.bytesMax)
        state = Locked(State(total: base))
        state.withLock { $0.histories[base] = newHistory([:], at: 0) }
        post(base, to: 0)
    }

    var isSpent: Bool { state.withLock { $0.requests > Self.requestsMax } }
    var log: [String] { state.withLock { $0.log } }
    var publicationsMax: Int { state.withLock { 1 + $0.resets } }

    /// What is known of a file that begins at a time: bytes that are on their way may go to it.
    private func newHistory(_ patches: [Int: Patch], at time: Int) -> History {
        var history = History()
        // What a veto refuses is removed whenever it is whole, which is nobody's request alone.
        if traits.isRefused { history.begin(0, nil, 0..<0, empties: true, at: 0) }
        for (number, patch) in patches where patch.period.ended >= time {
            history.begin(
                number,
                patch.version,
                patch.range,
                empties: patch.range.lowerBound == 0,
                at: patch.period.began
            )
            if patch.period.ended != Period.never { history.end(number, at: patch.period.ended, isCertain: false) }
        }
        return history
    }

    private var id: String { "\(MD5.digest(of: "./" + traits.name))" }

    // MARK: Requests

    func act(_ chance: inout Chance) {
        let responder = chance.number(0..<Fleet.size)
        let (total, offset, version, sent) = state.withLock { state in
            state.requests += 1
            let total = state.total
            let sent = state.patches.filter { $0.value.range.upperBound == total }.max { $0.key < $1.key }?.value
            return (total, state.offset, state.nextNumber(), sent)
        }
        let length = chance.isOne(in: 3) ? total - offset : chance.number(0..<max(total / 3, 2))
        let next = offset..<min(total, offset + max(length, 1))
        enum Act { case post, reset, next, last, restart, anywhere, beyond }
        switch chance.pick([
            (14, Act.post), (1, .reset), (45, .next), (16, .last), (9, .restart), (6, .anywhere), (3, .beyond),
        ]) {
        case .post: post(total, to: responder)
        case .reset: post(base + chance.number(1..<8), to: responder)
        case .next: patch("PATCH next", version, next, &chance, to: responder)
        case .last:
            // The last bytes once more, as they were sent before or with others in them.
            let range = sent?.range ?? max(0, total - chance.number(1..<200))..<total
            let again = chance.isOne(in: 2) ? sent?.version : nil
            patch("PATCH last", again ?? version, range, &chance, to: responder)
        case .restart:
            let end = chance.isOne(in: 5) ? total : chance.number(1..<total + 1)
            patch("PATCH 0", version, 0..<end, &chance, to: responder)
        case .anywhere:
            let start = chance.number(0..<total)
            patch("PATCH anywhere", version, start..<chance.number(start..<total) + 1, &chance, to: responder)
        case .beyond:
            patch("PATCH beyond", version, offset..<total + chance.number(1..<100) + 8, &chance, to: responder)
        }
    }

    @discardableResult
    private func post(_ total: Int, to responder: Int) -> Int? {
        let fields = "storage_path=./&file_relative_path=\(traits.name)&file_type=bin&file_size=\(total)"
        let (number, operation) = state.withLock { state in
            let (number, time) = (state.nextNumber(), Clock.now)
            if state.histories[total] == nil {
                var history = newHistory(state.patches, at: time)
                state.histories.inherit(&history, at: time)
                state.histories[total] = history
            }
            // A file of another size makes way, and so does the account of one that is finished.
            state.histories.beginEmptying(number, at: time)
            return (number, total == state.total ? "POST" : "POST size")
        }
        let (reply, period) = arena.send(operation, Form.urlEncoded(fields), of: traits, to: responder)
        let offset = (reply.json["data"] as? [String: Any])?["offset"] as? Int
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) \(operation) \(total) [\(number)]: \(reply)")
            let isFirst = state.histories[total]?.mayBeWhole(total) != true
            for known in state.histories.keys {
                if known == total, isFirst, reply.status != nil {
                    state.histories[known]?.refuse(number)
                } else {
                    let isCertain = known != total && offset != nil
                    state.histories[known]?.end(number, at: reply.end(period), isCertain: isCertain)
                }
            }
            if !isFirst || operation != "POST" { state.resets += 1 }
            guard let status = reply.status else { return [] }
            guard let offset else { return self.faults(of: status, reply, operation, isResized: false) }
            (state.total, state.offset) = (total, offset)
            if offset == total { state.publications.append((total, period)) }
            guard let fault = state.histories[total]?.fault(ofPrefix: offset, total: total, during: period) else {
                return []
            }
            return ["[\(number)] \(operation) answers offset \(offset) of \(total): \(fault)"]
        }
        tell(faults)
        return offset
    }

    @discardableResult
    private func patch(
        _ operation: String,
        _ version: Int,
        _ range: Range<Int>,
        _ chance: inout Chance,
        cuts: Int = 8,
        to responder: Int
    ) -> Int? {
        let offset = Form.Part.field("upload_offset", String(range.lowerBound))
        let file = Form.Part.file(content.bytes(version, range), fileName: traits.name)
        let request = Form.request(chance.isOne(in: 3) ? [offset, file] : [file, offset], "PATCH", at: "/" + id)
        let manner = Manner.random(&chance, request, cuts: cuts)
        let number = state.withLock { state in
            let (number, time) = (state.nextNumber(), Clock.now)
            state.patches[number] = Patch(version: version, range: range, period: Period(began: time))
            for known in state.histories.keys {
                state.histories[known]?.begin(number, version, range, empties: range.lowerBound == 0, at: time)
            }
            return number
        }
        let (reply, period) = arena.send(operation, request, of: traits, manner, to: responder)
        let data = reply.json["data"] as? [String: Any]
        let faults = state.withLock { state -> [String] in
            state.log.append("\(period) \(operation) \(range) version \(version) [\(number)]: \(reply)")
            state.patches[number]?.period.ended = reply.end(period)
            guard let status = reply.status, status == 200, let after = data?["offset"] as? Int,
                let total = data?["file_size"] as? Int
            else {
                // Of a whole file whose veto fails or refuses the bytes are written all the same.
                let mayBeWritten = reply.status.map { $0 == 500 || $0 == 403 } ?? true
                if mayBeWritten {
                    state.histories.end(number, at: reply.end(period), isCertain: false)
                } else {
                    state.histories.refuse(number)
                }
                let isResized = state.histories.count > 1
                return reply.status.map { self.faults(of: $0, reply, operation, isResized: isResized) } ?? []
            }
            let isDone = reply.json["message"] as? String == "File uploaded successfully"
            for known in state.histories.keys {
                if known == total {
                    // A repeat of the last bytes of a file that is whole is not written.
                    state.histories[known]?.end(number, at: period.ended, isCertain: !isDone)
                } else {
                    state.histories[known]?.refuse(number)
                }
            }
            if isDone { state.publications.append((total, period)) }
            (state.total, state.offset) = (total, after)
            guard after == range.upperBound, isDone == (after == total) else {
                return ["\(operation) \(range): \(reply)"]
            }
            guard !isDone, let fault = state.histories[total]?.fault(ofPrefix: after, total: total, during: period)
            else { return [] }
            return ["[\(number)] \(operation) answers offset \(after) of \(total): \(fault)"]
        }
        tell(faults)
        return data?["offset"] as? Int
    }

    /// What is wrong with a refusal.
    private func faults(of status: Int, _ reply: Reply, _ operation: String, isResized: Bool) -> [String] {
        switch (status, reply.json["message"] as? String) {
        case (403, _) where traits.isRefused: []
        case (500, _) where traits.isHindered: []
        case (400, "Invalid offset"), (400, "Invalid upload ID"):
            operation.hasPrefix("PATCH") ? [] : ["\(operation) is answered with \(reply)"]
        // A reset may have made the file shorter.
        case (400, "Unsupported file size") where operation == "PATCH beyond" || isResized: []
        default: ["\(operation) is answered with \(reply)"]
        }
    }

    // MARK: The end

    func close() {
        var chance = Chance(seed: content.seed)
        for _ in 0..<8 {
            let total = state.withLock { $0.total }
            guard let offset = post(total, to: chance.number(0..<Fleet.size)), offset < total else { break }
            let version = state.withLock { $0.nextNumber() }
            let end = chance.isOne(in: 2) ? total : chance.number(offset + 1..<total + 1)
            let after = patch(
                "PATCH at the end",
                version,
                offset..<end,
                &chance,
                cuts: 0,
                to: chance.number(0..<Fleet.size)
            )
            if traits.isRefused { return }
            guard let after, after == end else {
                tell(["its only client can not append \(offset)..<\(end) of \(total)"])
                return
            }
            if end == total { return }
        }
    }

    func removalBegins(at time: Int) -> Int {
        state.withLock { state in
            let number = state.nextNumber()
            state.histories.beginEmptying(number, at: time)
            return number
        }
    }

    func removalEnded(_ number: Int, at time: Int, isRemoved: Bool) {
        state.withLock { state in
            state.log.append("\(time) removed [\(number)]: \(isRemoved)")
            state.resets += 1
            state.histories.endRemoval(number, at: time, isRemoved: isRemoved)
        }
    }

    func faults(of published: [String: [UInt8]]) -> [String] {
        state.withLock { state in
            guard let bytes = published[traits.name] else {
                return state.publications.isEmpty ? [] : ["was told to be published and is not there"]
            }
            if traits.isRefused { return ["is published, although its veto refuses it"] }
            guard let history = state.histories[bytes.count] else { return ["has \(bytes.count) bytes"] }
            // The last one that was told replaced those before.
            let told = state.publications.map(\.period.began).max() ?? 0
            guard let fault = history.fault(of: bytes, content: content, sealedAfter: told) else { return [] }
            return [fault]
        }
    }
}
