import Threading
import Uploads

/// Counts the requests of each principal that this process sees through at the same time, so that nobody takes all of its
/// workers (`FERMATA_MAX_REQUESTS`).
final class RequestLimits: Sendable {
    private struct Key: Hashable {
        @ByBytes var mount: String
        @ByBytes var principal: String
    }

    /// Only principals that have a request under way are kept.
    private let counts = Locked<[Key: Int]>([:])

    /// Counts a request that begins; false when the principal may have no more at the same time.
    func enter(_ mount: Mount) -> Bool {
        guard let max = mount.principalLimits.requestsMax else { return true }
        let key = Key(mount: mount.name, principal: mount.principal)
        return counts.withLock { counts in
            guard counts[key, default: 0] < max else { return false }
            counts[key, default: 0] += 1
            return true
        }
    }

    /// Counts a request that ends.
    func leave(_ mount: Mount) {
        guard mount.principalLimits.requestsMax != nil else { return }
        let key = Key(mount: mount.name, principal: mount.principal)
        counts.withLock { counts in
            let count = counts[key, default: 0] - 1
            counts[key] = count > 0 ? count : nil
        }
    }
}
