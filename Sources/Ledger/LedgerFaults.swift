#if DEBUG
import GRDB
import Glibc
import Threading

/// Makes statements of the ledger fail, on one thread: a seam for tests, which a release build does not have.
public enum LedgerFaults {
    private struct Plan {
        var countdown: Int
        let code: ResultCode
        var hasFired = false
    }

    private static let plans = Locked<[pthread_t: Plan]>([:])

    /// Runs something whose n-th statement, counted from 0, fails with an SQLite result code.
    ///
    /// - Returns: whether it did.
    public static func run(
        failing number: Int,
        with code: CInt,
        _ body: () throws -> Void
    ) rethrows -> Bool {
        let thread = pthread_self()
        plans.withLock { $0[thread] = Plan(countdown: number, code: ResultCode(rawValue: code)) }
        defer { plans.withLock { $0[thread] = nil } }
        try body()
        return plans.withLock { $0[thread]?.hasFired ?? false }
    }

    /// Fails if the statement that is about to be run is the one.
    static func check() throws {
        let code: ResultCode? = plans.withLock { plans in
            guard var plan = plans[pthread_self()], !plan.hasFired else { return nil }
            defer { plans[pthread_self()] = plan }
            guard plan.countdown == 0 else {
                plan.countdown -= 1
                return nil
            }
            plan.hasFired = true
            return plan.code
        }
        if let code { throw DatabaseError(resultCode: code, message: "injected") }
    }
}
#endif
