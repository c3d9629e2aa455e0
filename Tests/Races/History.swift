/// From when to when something was on its way, in nanoseconds of one clock. What nobody has heard the end of may still
/// happen at any time.
struct Period: Hashable, CustomStringConvertible {
    static let never = Int.max

    let began: Int
    var ended = Period.never

    /// In microseconds.
    var description: String { "\(began / 1000 % 1_000_000_000)-\(ended / 1000 % 1_000_000_000)" }

    /// Whether this was over before another began.
    func precedes(_ other: Period) -> Bool { ended < other.began }
}

/// What is known of one file from its clients' side: who wrote which bytes, or which numbered parts, and when.
///
/// 1. An attempt that was refused has left nothing.
/// 2. One that was acknowledged has happened, at some time of its period.
/// 3. One whose end nobody has heard, as its connection broke or its responder was killed, may have happened in part or
///    as a whole, or may still happen.
/// 4. Attempts whose periods overlap may have happened in any order, block by block.
struct History {
    /// Something that changes what the file holds.
    struct Attempt: Hashable {
        /// Whose bytes they are; `nil` where there are none.
        let version: Int?
        let range: Range<Int>
        /// Whether the file then holds nothing but `range`: a restart or, without bytes, a removal.
        let empties: Bool
        var period: Period
        /// Whether it has happened for sure.
        var isCertain = false

        func covers(_ offset: Int) -> Bool { version != nil && range.contains(offset) }

        func isEmptying(_ offset: Int) -> Bool { empties && !covers(offset) }

        func decides(_ offset: Int) -> Bool { empties || covers(offset) }
    }

    private(set) var attempts: [Int: Attempt] = [:]
    /// Those that were refused; only told of, when something is wrong.
    private(set) var refused: [Int: Attempt] = [:]

    // MARK: What happens

    /// Notes that an attempt of a number begins.
    mutating func begin(_ number: Int, _ version: Int?, _ range: Range<Int>, empties: Bool = false, at time: Int) {
        attempts[number] = Attempt(version: version, range: range, empties: empties, period: Period(began: time))
    }

    /// Notes that an attempt has happened, or that it is over and may have happened.
    mutating func end(_ number: Int, at time: Int, isCertain: Bool = true) {
        attempts[number]?.period.ended = time
        attempts[number]?.isCertain = isCertain
    }

    /// Notes that an attempt was refused.
    mutating func refuse(_ number: Int) { refused[number] = attempts.removeValue(forKey: number) }

    // MARK: What may be

    /// The versions that a byte may be of when the file is looked at, or sealed, at a time.
    func versions(at offset: Int, time: Int) -> Set<Int> {
        Set(
            attempts.values.filter { attempt in
                attempt.covers(offset) && attempt.period.began < time
                    && !isUndone(attempt, at: offset, before: time)
            }.compactMap(\.version)
        )
    }

    private func isUndone(_ attempt: Attempt, at offset: Int, before time: Int) -> Bool {
        attempts.values.contains { later in
            later.isCertain && later.period.ended < time && attempt.period.precedes(later.period)
                && later.decides(offset)
        }
    }

    /// Whether a look at the file may find these bytes of a version.
    func mayHold(_ version: Int, at offset: Int, during look: Period) -> Bool {
        attempts.values.contains { attempt in
            attempt.version == version && attempt.covers(offset) && attempt.period.began < look.ended
                && !isUndone(attempt, at: offset, before: look.began)
        }
    }

    /// Whether a look at the file may find any bytes at an offset.
    func mayHold(at offset: Int, during look: Period) -> Bool {
        attempts.values.contains { attempt in
            attempt.covers(offset) && attempt.period.began < look.ended
                && !attempts.values.contains { emptying in
                    emptying.isCertain && emptying.isEmptying(offset) && emptying.period.precedes(look)
                        && attempt.period.precedes(emptying.period)
                }
        }
    }

    /// Whether a look at the file may find no bytes at an offset: none were acknowledged, or something may have taken
    /// them away.
    func mayLack(at offset: Int, during look: Period) -> Bool {
        attempts.values.allSatisfy { attempt in
            guard attempt.isCertain, attempt.covers(offset), attempt.period.precedes(look) else { return true }
            return attempts.values.contains { emptying in
                emptying.isEmptying(offset) && emptying.period.began < look.ended
                    && !emptying.period.precedes(attempt.period)
            }
        }
    }

    /// Whether a look at the file must find the bytes of a version at an offset.
    func mustHold(_ version: Int, at offset: Int, during look: Period) -> Bool {
        attempts.values.contains { attempt in
            attempt.version == version && attempt.isCertain && attempt.covers(offset) && attempt.period.precedes(look)
                && !attempts.values.contains { other in
                    (other.version != version && other.covers(offset) || other.isEmptying(offset))
                        && other.period.began < look.ended && !other.period.precedes(attempt.period)
                }
        }
    }

    /// Whether something may have removed the file by then.
    func mayBeGone(during look: Period, besides own: Int? = nil) -> Bool {
        attempts.contains { $0.key != own && $0.value.version == nil && $0.value.period.began < look.ended }
    }

    /// Whether something has removed the file for sure before.
    func isGone(before look: Period) -> Bool {
        attempts.values.contains { $0.version == nil && $0.isCertain && $0.period.precedes(look) }
    }

    /// Whether bytes that reach an end may have been written.
    func mayBeWhole(_ total: Int) -> Bool {
        attempts.values.contains { $0.version != nil && $0.range.upperBound == total }
    }

    /// Whether all bytes of the file may have been written.
    func mayBeComplete(_ total: Int) -> Bool {
        cells(total).allSatisfy { cell in attempts.values.contains { $0.covers(cell.lowerBound) } }
    }

    /// Whether others have written, or tried to, while an attempt was on its way.
    func isDisputed(_ number: Int, during look: Period) -> Bool {
        attempts.contains { $0.key != number && $0.value.version != nil && !$0.value.period.precedes(look) }
            || refused.contains { $0.key != number && $0.value.version != nil && !$0.value.period.precedes(look) }
    }

    /// What is wrong with a file's prefix, as a look at the file has found it; `nil` when nothing is.
    ///
    /// - Parameter isExact: whether the byte behind the prefix was said to be missing.
    func fault(ofPrefix prefix: Int, total: Int, during look: Period) -> String? {
        for cell in cells(total) {
            if cell.upperBound <= prefix {
                if !mayHold(at: cell.lowerBound, during: look) {
                    return "\(cell) is said to be there, and nobody sent it"
                }
            } else if cell.contains(prefix) {
                // A broken attempt may have left a part of its bytes.
                if cell.lowerBound < prefix, !mayHold(at: cell.lowerBound, during: look) {
                    return "\(cell.lowerBound)..<\(prefix) is said to be there, and nobody sent it"
                }
                if !mayLack(at: prefix, during: look) {
                    return "\(prefix)..<\(cell.upperBound) was acknowledged and is lost"
                }
            }
        }
        return nil
    }

    // MARK: A published file

    /// What is wrong with the bytes of a published file; `nil` when there is a time, not before another, at which the
    /// file may have held exactly them.
    func fault(of bytes: [UInt8], content: Content, sealedAfter earliest: Int) -> String? {
        let cells = cells(bytes.count)
        var written: [Int: [UInt8]] = [:]
        for case let attempt in attempts.values {
            if let version = attempt.version { written[version] = content.bytes(version, attempt.range) }
        }
        let starts = Dictionary(
            attempts.values.compactMap { attempt in attempt.version.map { ($0, attempt.range.lowerBound) } }
        ) { first, _ in first }
        let times = [earliest] + attempts.values.map { $0.period.began + 1 }.filter { $0 > earliest }.sorted()
        // What is wrong at the first time says most, as later requests have changed more.
        var firstWrong: (cell: Range<Int>, time: Int)?
        for time in times {
            let wrong = cells.first { cell in
                let versions = versions(at: cell.lowerBound, time: time)
                return !cell.allSatisfy { offset in
                    versions.contains { version in
                        guard let start = starts[version], let own = written[version] else { return false }
                        return own[offset - start] == bytes[offset]
                    }
                }
            }
            guard let wrong else { return nil }
            firstWrong = firstWrong ?? (wrong, time)
        }
        guard let (wrong, time) = firstWrong else { return nil }
        let owner = owner(of: Array(bytes[wrong]), wrong, content)
        return "\(wrong) of \(bytes.count), at \(Period(began: time)), is \(owner)"
    }

    /// In words, whose bytes are in a range.
    private func owner(of bytes: [UInt8], _ range: Range<Int>, _ content: Content) -> String {
        let all = Array(attempts.values) + Array(refused.values)
        let owners = Set(
            all.compactMap(\.version).filter { content.bytes($0, range) == bytes }
        )
        if bytes.allSatisfy({ $0 == 0 }) { return "zeros" }
        if owners.isEmpty { return "of no version alone" }
        let names = owners.sorted().map { version in
            let isRefused = refused.values.contains { $0.version == version }
            return isRefused ? "\(version), which was refused" : "\(version), which was undone"
        }
        return "of version \(names.joined(separator: ", "))"
    }

    /// The ranges that were written alike, from 0 to an end.
    private func cells(_ end: Int) -> [Range<Int>] {
        var bounds: Set<Int> = [0, end]
        for attempt in Array(attempts.values) + Array(refused.values) where attempt.version != nil {
            bounds.insert(min(attempt.range.lowerBound, end))
            bounds.insert(min(attempt.range.upperBound, end))
        }
        let sorted = bounds.sorted()
        return zip(sorted, sorted.dropFirst()).map { $0..<$1 }
    }
}
