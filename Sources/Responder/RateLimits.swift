import Threading
import Uploads

/// Says how long to wait for the next bytes of a principal, so that they come no faster than its mount allows, on average.
/// Nothing is refused.
final class RateLimits: Sendable {
    /// How much may come at once after a rest, in seconds of the rate.
    private static let burst = Duration.seconds(1)
    /// How many principals are kept; those that have been at rest are forgotten first.
    private static let principalsMax = 10_000

    private struct Key: Hashable {
        @ByBytes var mount: String
        @ByBytes var principal: String
    }

    /// When all that a principal has sent would have come at its rate.
    private let ends = Locked<[Key: ContinuousClock.Instant]>([:])

    /// Counts bytes that have come; how long it is until more may.
    func delay(after count: Int, on mount: Mount) -> Duration {
        guard let rate = mount.bytesPerSecond, count > 0 else { return .zero }
        let now = ContinuousClock.now
        let time = Duration.seconds(Double(count) / Double(rate))
        let end = ends.withLock { ends in
            if ends.count >= Self.principalsMax { ends = ends.filter { $0.value > now } }
            let key = Key(mount: mount.name, principal: mount.principal)
            let end = max(ends[key] ?? now, now) + time
            ends[key] = end
            return end
        }
        return max(.zero, end - now - Self.burst)
    }
}
