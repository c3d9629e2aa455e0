import Glibc

/// How many files the process may have open.
enum OpenFiles {
    /// How many a request needs: its connection, its staging file, now and then a folder or a scratch file more, and of a
    /// form of many files one that says that the others are in use.
    private static let perRequest = 6
    /// How many the process needs besides: the ledger's connections, the log, the socket.
    private static let besides = 64

    /// Raises the limit as far as the process may.
    ///
    /// - Returns: how many requests can run at the same time under it.
    static func raiseLimit() -> Int {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return .max }
        limit.rlim_cur = limit.rlim_max
        unsafe setrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit)
        return max(0, Int(clamping: limit.rlim_cur) - besides) / perRequest
    }
}
