/// Notices that the clock of the machine has been set, by comparing it with one that only goes on.
///
/// A clock that is a day ahead lets every open upload expire, and what is swept then does not come back with the right time.
/// So nothing expires until the clock has gone on evenly for some time, or has been set back.
public struct ClockWatch: Sendable {
    /// How many seconds the two may differ before the clock counts as set.
    public static let jumpSecondsMax: Int64 = 300
    /// For how many seconds a clock that was set is not trusted.
    public static let distrustSeconds: Int64 = 3600

    /// The time of the clock at the start of the other, in seconds since 1970, as it is trusted.
    private var trusted: Int64
    /// The same, as it was last seen.
    private var seen: Int64
    /// Since when it has been as it was last seen, on the other clock.
    private var seenSince: Int64

    /// - Parameters:
    ///   - now: the time in seconds since 1970.
    ///   - uptime: the time of a clock that is never set, in seconds.
    public init(now: Int64, uptime: Int64) {
        trusted = now.subtractingReportingOverflow(uptime).partialValue
        seen = trusted
        seenSince = uptime
    }

    /// By how many seconds the clock differs from what it should be, if it is not to be trusted; 0 if it is.
    public mutating func jump(now: Int64, uptime: Int64) -> Int64 {
        let start = now.subtractingReportingOverflow(uptime).partialValue
        if Self.differ(start, seen) {
            seen = start
            seenSince = uptime
        }
        if uptime - seenSince >= Self.distrustSeconds || !Self.differ(start, trusted) { trusted = start }
        return start.subtractingReportingOverflow(trusted).partialValue
    }

    private static func differ(_ one: Int64, _ other: Int64) -> Bool {
        let (difference, overflow) = one.subtractingReportingOverflow(other)
        return overflow || difference.magnitude > jumpSecondsMax.magnitude
    }
}
