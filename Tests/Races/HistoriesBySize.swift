/// What is known of the files that an upload may be of, by their sizes: a request for one of them may put it in the place of
/// another, and what removes an upload removes whichever is there.
typealias HistoriesBySize = [Int: History]

extension HistoriesBySize {
    /// Has a new history know of what is on its way and may empty whichever file is there: removals, and beginnings of other
    /// sizes, which both have no bytes of their own.
    func inherit(_ history: inout History, at time: Int) {
        for (number, attempt) in values.flatMap(\.attempts)
        where attempt.version == nil && attempt.empties && attempt.period.ended >= time {
            history.begin(number, nil, 0..<0, empties: true, at: attempt.period.began)
        }
    }

    /// Notes, for every size, that something begins which leaves nothing behind.
    mutating func beginEmptying(_ number: Int, at time: Int) {
        for size in keys { self[size]?.begin(number, nil, 0..<0, empties: true, at: time) }
    }

    /// Notes, for every size, that an attempt has happened, or that it is over and may have happened.
    mutating func end(_ number: Int, at time: Int, isCertain: Bool = true) {
        for size in keys { self[size]?.end(number, at: time, isCertain: isCertain) }
    }

    /// Notes, for every size, that an attempt was refused.
    mutating func refuse(_ number: Int) {
        for size in keys { self[size]?.refuse(number) }
    }

    /// Notes that an upload was removed, or was not there.
    mutating func endRemoval(_ number: Int, at time: Int, isRemoved: Bool) {
        if isRemoved { end(number, at: time) } else { refuse(number) }
    }
}
