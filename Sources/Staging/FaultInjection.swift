#if DEBUG
import Glibc
import Threading

/// Makes system calls of this module fail, on one thread: a seam for tests, which a release build does not have.
public enum FaultInjection {
    /// What goes wrong.
    public enum Fault: Hashable, Sendable {
        /// The call fails with this errno.
        case error(CInt)
        /// A call that moves bytes moves one only; any other works.
        case short
    }

    private struct Plan {
        var countdown: Int
        let fault: Fault
        let isLasting: Bool
        var firedCount = 0
    }

    private static let plans = Locked<[pthread_t: Plan]>([:])

    /// Runs something whose n-th system call goes wrong, counted from 0.
    ///
    /// - Parameter isLasting: whether all later calls go wrong too, as on a disk that stays full.
    /// - Returns: how many calls went wrong.
    public static func run(
        failing number: Int,
        with fault: Fault,
        isLasting: Bool = false,
        _ body: () throws -> Void
    ) rethrows -> Int {
        let thread = pthread_self()
        plans.withLock { $0[thread] = Plan(countdown: number, fault: fault, isLasting: isLasting) }
        defer { plans.withLock { $0[thread] = nil } }
        try body()
        return plans.withLock { $0[thread]?.firedCount ?? 0 }
    }

    /// What is to go wrong with the call that is about to be made.
    static func next() -> Fault? {
        plans.withLock { plans in
            guard var plan = plans[pthread_self()] else { return nil }
            defer { plans[pthread_self()] = plan }
            if plan.countdown > 0 {
                plan.countdown -= 1
                return nil
            }
            guard plan.firedCount == 0 || plan.isLasting else { return nil }
            plan.firedCount += 1
            return plan.fault
        }
    }
}
#endif
