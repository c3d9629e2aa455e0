import Foundation
import Threading

/// An upload in the dialect `dcloud`: segments in any order, which another size starts anew.
final class DCloudContender: Contender {
    /// After so many requests it is left alone.
    private static let requestsMax = 90
    private static let bytesMax = 8000
    private static let field = "file"

    private struct Segment {
        let version: Int
        let range: Range<Int>
        let total: Int
    }

    private struct Plain {
        let size: Int
        var isAcknowledged: Bool?
    }

    private struct State {
        /// By the size that segments declare.
        var histories: HistoriesBySize = [:]
        /// The size that the last answer spoke of.
        var total: Int
        var prefix = 0
        var number = 0
        var requests = 0
        var sent: [Segment] = []
        var publications: [(path: String, total: Int, period: Period)] = []
        /// When answers were on their way that said of the file that it was not complete.
        var incomplete: [Period] = []
        var restarts = 0
        var plains: [Int: Plain] = [:]
        var log: [String] = []
        /// Whether a request with segments was not answered with a success.
        var hasFailures = false

        mutating func nextNumber() -> Int {
            number += 1
            return number
        }
    }

    let traits: Traits
    let arena: Arena
    private let content: Content
    private let base: Int
    private let boundary: String
    private let state: Locked<State>

    init(_ number: Int, _ arena: Arena, seed: UInt64) {
        var chance = Chance(seed: seed)
        traits = Traits(number, &chance)
        self.arena = arena
        content = Content(seed: chance.next())
        base = chance.number(200..<Self.bytesMax)
        boundary = "----Race\(number)"
        state = Locked(State(total: base))
    }

    var isSpent: Bool { state.withLock { $0.requests > Self.requestsMax } }
    var log: [String] { state.withLock { $0.log } }
    var mayWaitForName: Bool { state.withLock { $0.hasFailures } }
    /// Each has a name of its own.
    var publicationsMax: Int { 1 }

    // MARK: Requests

    private enum Act {
        case query, next, random, again, inclusive, short, restart, otherTotal, two, adopted, fields, plain, cancel
    }

    func act(_ chance: inout Chance) {
        let responder = chance.number(0..<Fleet.size)
        let (total, prefix, version, sent) = state.withLock { state in
            state.requests += 1
            return (state.total, state.prefix, state.nextNumber(), state.sent)
        }
        let start = chance.number(0..<8) * total / 8
        let random = Segment(version: version, range: start..<chance.number(start..<total) + 1, total: total)
        let end = chance.isOne(in: 3) ? total : min(total, prefix + chance.number(0..<max(total / 3, 2)) + 1)
        switch chance.pick([
            (12, Act.query), (30, .next), (20, .random), (14, .again), (3, .inclusive), (5, .short), (2, .restart),
            (3, .otherTotal), (3, .two), (3, .adopted), (2, .fields), (5, .plain), (1, .cancel),
        ]) {
        case .query: _ = query(responder)
        case .next:
            let segment = Segment(version: version, range: min(prefix, end)..<end, total: total)
            send("segment", [segment], &chance, to: responder)
        case .random: send("segment", [random], &chance, to: responder)
        case .again:
            guard !sent.isEmpty else { return }
            send("segment again", [sent[chance.number(0..<sent.count)]], &chance, to: responder)
        case .inclusive: send("inclusive segment", [random], &chance, excess: -1, to: responder)
        case .short: send("wrong segment", [random], &chance, excess: chance.isOne(in: 2) ? 2 : 1, to: responder)
        case .restart:
            let other = base + chance.number(1..<8)
            let segment = Segment(version: version, range: 0..<chance.number(1..<other + 1), total: other)
            send("restart", [segment], &chance, to: responder)
        case .otherTotal:
            let other = base + chance.number(1..<8)
            let segment = Segment(version: version, range: other / 2..<other, total: other)
            send("other size", [segment], &chance, to: responder)
        case .two:
            let second = state.withLock { $0.nextNumber() }
            let next = Segment(version: second, range: min(prefix, end)..<end, total: total)
            send("two segments", [random, next], &chance, to: responder)
        case .adopted:
            let second = state.withLock { $0.nextNumber() }
            let first = Segment(version: second, range: 0..<chance.number(0..<total + 1), total: total)
            send("segment and rest", [random, first], &chance, isAdopted: true, to: responder)
        case .fields:
            let (reply, period) = arena.send(
                "fields",
                Form.request([.field("uid", "\(version)")], boundary: boundary),
                of: traits,
                to: responder
            )
            note("fields", reply, period)
            if let status = reply.status, status != 200 { tell(["fields are answered with \(reply)"]) }
        case .plain: plain(version, &chance, to: responder)
        case .cancel: if chance.isOne(in: 2) { cancel(responder) }
        }
    }

    private func note(_ text: String, _ reply: Reply, _ period: Period) {
        state.withLock { $0.log.append("\(period) \(text): \(reply)") }
    }

    /// Sends segments in one form.
    ///
    /// - Parameters:
    ///   - excess: by how much the range of the first says less than there is; -1 is right with an inclusive range.
    ///   - isAdopted: whether the last comes without a range.
    private func send(
        _ operation: String,
        _ segments: [Segment],
        _ chance: inout Chance,
        excess: Int = 0,
        isAdopted: Bool = false,
        cuts: Int = 8,
        to responder: Int
    ) {
        var parts = segments.map { segment in
            let range = segment.range
            let end = range.upperBound + (excess == -1 ? -1 : 0)
            return Form.Part.file(
                content.bytes(segment.version, range) + (excess > 0 ? content.bytes(0, 0..<excess + 1) : []),
                fileName: traits.name,
                range: "\(range.lowerBound)-\(end)/\(segment.total)"
            )
        }
        if isAdopted, let last = segments.last {
            parts[parts.count - 1] = .file(content.bytes(last.version, last.range), fileName: traits.name)
        }
        let request = Form.request(parts, boundary: boundary)
        let manner = Manner.random(&chance, request, cuts: excess > 0 ? 0 : cuts)
        let (numbers, removal) = state.withLock { state in
            // Other bytes for a file that is finished have its record go.
            let removal = state.nextNumber()
            let numbers = segments.map { begin($0, &state) }
            for total in Set(segments.map(\.total)) {
                state.histories[total]?.begin(removal, nil, 0..<0, empties: true, at: Clock.now)
            }
            return (numbers, removal)
        }
        let (reply, period) = arena.send(operation, request, of: traits, manner, to: responder)
        let faults = state.withLock { state -> [String] in
            if reply.status != 200 { state.hasFailures = true }
            for total in Set(segments.map(\.total)) {
                if state.histories[total]?.mayBeComplete(total) == true {
                    state.histories[total]?.end(removal, at: reply.end(period), isCertain: false)
                } else {
                    state.histories[total]?.refuse(removal)
                }
            }
            let ranges = segments.map { "\($0.range)/\($0.total) version \($0.version)" }.joined(separator: ", ")
            state.log.append("\(period) \(operation) \(ranges) \(numbers): \(reply)")
            return ended(operation, Array(zip(numbers, segments)), reply, period, isWrong: excess > 0, &state)
        }
        tell(faults)
    }

    /// Notes a segment that is on its way. At 0 it restarts a file of another size.
    private func begin(_ segment: Segment, _ state: inout State) -> Int {
        let (number, time) = (state.nextNumber(), Clock.now)
        state.sent.append(segment)
        if state.histories[segment.total] == nil {
            var history = History()
            // What a veto refuses is removed whenever it is whole, which is nobody's request alone.
            if traits.isRefused { history.begin(0, nil, 0..<0, empties: true, at: 0) }
            state.histories.inherit(&history, at: time)
            // Other sizes that are on their way may take this one's place.
            for (number, attempt) in state.histories.values.flatMap(\.attempts)
            where attempt.period.ended >= time && attempt.range.lowerBound == 0 && attempt.version != nil {
                history.begin(number, nil, 0..<0, empties: true, at: attempt.period.began)
            }
            state.histories[segment.total] = history
        }
        for total in state.histories.keys {
            if total == segment.total {
                state.histories[total]?.begin(number, segment.version, segment.range, at: time)
            } else if segment.range.lowerBound == 0 {
                state.histories[total]?.begin(number, nil, 0..<0, empties: true, at: time)
            }
        }
        return number
    }

    private func ended(
        _ operation: String,
        _ sent: [(Int, Segment)],
        _ reply: Reply,
        _ period: Period,
        isWrong: Bool,
        _ state: inout State
    ) -> [String] {
        guard let status = reply.status else {
            for (number, _) in sent { state.histories.end(number, at: reply.end(period), isCertain: false) }
            return []
        }
        guard let total = sent.first?.1.total else { return [] }
        guard status == 200 else {
            for (index, (number, _)) in sent.enumerated() {
                // Parts before the one that failed stay committed, and so does what a veto keeps from its name. What was
                // committed may have been published, and its record removed, before its own request could do so.
                let message = reply.json["message"] as? String ?? ""
                let isGone = status == 409 && message.contains("restarted or removed meanwhile")
                if status == 500 || status == 403 || isGone || sent.count > 1 && index < sent.count {
                    state.histories.end(number, at: period.ended, isCertain: false)
                } else {
                    state.histories.refuse(number)
                }
            }
            if status == 403, traits.isRefused { return [] }
            if status == 500, traits.isHindered { return [] }
            if isWrong, status == 422 { return [] }
            if status == 503, let number = sent.first?.0,
                state.histories[total]?.isDisputed(number, during: period) == true
            {
                return []
            }
            let mayDiffer = state.histories.count > 1 || state.histories[total]?.mayBeGone(during: period) == true
            if status == 409, mayDiffer { return [] }
            return ["\(operation) is answered with \(reply)"]
        }
        let files = reply.json["files"] as? [String: Any]
        for (number, segment) in sent {
            state.histories.end(number, at: period.ended)
            // Bytes for a file that has its name are acknowledged and not written.
            if files != nil { state.histories[segment.total]?.end(number, at: period.ended, isCertain: false) }
        }
        // What comes for a finished file is let pass unread, and another may begin anew before the answer.
        let isRestarted = state.histories[total]?.mayBeGone(during: period) == true
        if isWrong, files == nil, !isRestarted { return ["\(operation) is answered with \(reply)"] }
        if let file = files?[Self.field] as? [String: Any], let path = file["name"] as? String {
            state.publications.append((path, file["size"] as? Int ?? -1, period))
        }
        for file in reply.json["file"] as? [[String: Any]] ?? [] { return saw(file, period, &state) }
        return []
    }

    /// Takes over what an answer says of the file.
    private func saw(_ file: [String: Any], _ period: Period, _ state: inout State) -> [String] {
        guard let size = file["size"] as? Int, let range = file["range"] as? String,
            let prefix = range.split(separator: "-").last.flatMap({ Int($0) })
        else { return ["says \(file)"] }
        (state.total, state.prefix) = (size, prefix)
        if file["complete"] as? Bool == false { state.incomplete.append(period) }
        guard let history = state.histories[size] else { return ["is said to have \(size) bytes, which nobody said"] }
        if let fault = history.fault(ofPrefix: prefix, total: size, during: period) {
            return ["range 0-\(prefix) of \(size): \(fault)"]
        }
        return []
    }

    /// Asks how far the upload is; `nil` when the answer is lost, 0 bytes of 0 when it is not known.
    private func query(_ responder: Int) -> (prefix: Int, total: Int, isComplete: Bool)? {
        let request = Form.urlEncoded("server=uploader&action=query&boundary=\(boundary)")
        let (reply, period) = arena.send("query", request, of: traits, to: responder)
        note("query", reply, period)
        guard let status = reply.status else { return nil }
        guard status == 200, let files = reply.json["file"] as? [[String: Any]] else {
            tell(["query is answered with \(reply)"])
            return nil
        }
        let own = files.first { $0["name"] as? String == Self.field }
        let faults = state.withLock { state -> [String] in
            if let own { return saw(own, period, &state) }
            state.prefix = 0
            return state.histories.compactMap { total, history in
                history.fault(ofPrefix: 0, total: total, during: period).map { "is not known, and of \(total) \($0)" }
            }
        }
        tell(faults)
        guard let own else { return (0, 0, false) }
        return state.withLock { ($0.prefix, $0.total, own["complete"] as? Bool == true) }
    }

    private func cancel(_ responder: Int) {
        let attempt = removalBegins(at: Clock.now)
        let request = Form.urlEncoded("server=uploader&action=cancel&boundary=\(boundary)")
        let (reply, period) = arena.send("cancel", request, of: traits, to: responder)
        note("cancel [\(attempt)]", reply, period)
        if reply.status == nil {
            state.withLock { $0.histories.end(attempt, at: reply.end(period), isCertain: false) }
        } else {
            removalEnded(attempt, at: period.ended, isRemoved: reply.status == 200)
        }
        if let status = reply.status, ![200, 404, 409, 422].contains(status) {
            tell(["cancel is answered with \(reply)"])
        }
    }

    /// Sends a whole file of its own.
    private func plain(_ version: Int, _ chance: inout Chance, to responder: Int) {
        let size = chance.number(0..<5000)
        let part = Form.Part.file(content.bytes(version, 0..<size), fileName: "p\(version)-\(traits.name)")
        let request = Form.request([part], boundary: boundary)
        let manner = Manner.random(&chance, request, cuts: 8)
        state.withLock { $0.plains[version] = Plain(size: size) }
        let (reply, period) = arena.send("plain file", request, of: traits, manner, to: responder)
        note("plain file \(version)", reply, period)
        guard let status = reply.status else { return }
        state.withLock { $0.plains[version]?.isAcknowledged = status == 200 }
        if status == 403, traits.isRefused { return }
        if status == 500, traits.isHindered { return }
        if status != 200 { tell(["a plain file is answered with \(reply)"]) }
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
            state.log.append("\(time / 1000 % 1_000_000_000) removed [\(number)]: \(isRemoved)")
            state.histories.endRemoval(number, at: time, isRemoved: isRemoved)
        }
    }

    // MARK: The end

    func close() {
        var chance = Chance(seed: content.seed)
        for _ in 0..<8 {
            guard let found = query(chance.number(0..<Fleet.size)) else { return }
            if found.isComplete { return }
            let total = found.total > 0 ? found.total : base
            let version = state.withLock { $0.nextNumber() }
            let end = chance.isOne(in: 2) ? total : min(total, found.prefix + chance.number(0..<total) + 1)
            // A file that is whole and has no name yet gets it with its last bytes.
            let segment = Segment(version: version, range: min(found.prefix, end)..<end, total: total)
            send("segment at the end", [segment], &chance, cuts: 0, to: chance.number(0..<Fleet.size))
            if traits.isRefused { return }
        }
        if query(0)?.isComplete != true { tell(["its only client can not complete it"]) }
    }

    func faults(of published: [String: [UInt8]]) -> [String] {
        state.withLock { state in
            var faults: [String] = []
            var sizes: [Int: Int] = [:]
            for (path, bytes) in published {
                if traits.isRefused {
                    faults.append("\(path) is published, although its veto refuses it")
                } else if path.hasPrefix("p"),
                    let version = path.dropFirst().split(separator: "-").first.flatMap({ Int($0) })
                {
                    if bytes != content.bytes(version, 0..<(state.plains[version]?.size ?? 0)) {
                        faults.append("\(path) has \(bytes.count) bytes that are not those that were sent")
                    }
                } else if let history = state.histories[bytes.count] {
                    sizes[bytes.count, default: 0] += 1
                    // Whoever told of it first may only have sent a finished file again.
                    let told = state.publications.filter { $0.path == path }.map(\.period.began).min() ?? 0
                    let open = state.incomplete.filter { $0.ended < told }.map(\.began).max() ?? 0
                    if let fault = history.fault(of: bytes, content: content, sealedAfter: open) {
                        faults.append("\(path): \(fault)")
                    }
                } else {
                    faults.append("\(path) has \(bytes.count) bytes")
                }
            }
            for publication in state.publications where published[publication.path]?.count != publication.total {
                faults.append("\(publication.path) was told to be published and is not there")
            }
            for (version, plain) in state.plains where plain.isAcknowledged == true {
                if published["p\(version)-\(traits.name)"] == nil {
                    faults.append("the plain file \(version) is not there")
                }
            }
            return faults
        }
    }
}
