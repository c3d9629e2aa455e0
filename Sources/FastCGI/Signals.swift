import CPosix
import Glibc

/// The signals of the process: those that end it are waited for by one thread and never interrupt another.
public enum Signals {
    static let wakeUp = SIGUSR2

    /// Keeps SIGTERM, SIGINT and SIGHUP from all threads that are started later, so that `wait` gets them; a connection that
    /// breaks while it is written to is an error of the write, not a signal. A SIGHUP that is ignored, as nohup(1) has it,
    /// stays so.
    public static func blockTermination() {
        var set = termination
        unsafe pthread_sigmask(SIG_BLOCK, &set, nil)
        signal(SIGPIPE, SIG_IGN)
    }

    /// Waits for SIGTERM, SIGINT or SIGHUP.
    ///
    /// - Parameter milliseconds: how long to wait.
    /// - Returns: the signal's number; `nil` when none came in time.
    public static func wait(milliseconds: Int) -> CInt? {
        var set = termination
        var time = timespec(tv_sec: milliseconds / 1000, tv_nsec: milliseconds % 1000 * 1_000_000)
        let number = unsafe sigtimedwait(&set, nil, &time)
        return number > 0 ? number : nil
    }

    /// Handlers that do nothing. That of `wakeUp` is without SA_RESTART, so that it makes a thread's accept(2) return;
    /// that of SIGUSR1 keeps libfcgi from installing its own, after which no request would be accepted any more.
    static func installHandlers() {
        var action = sigaction()
        unsafe action.__sigaction_handler.sa_handler = { _ in }
        unsafe sigaction(wakeUp, &action, nil)
        action.sa_flags = SA_RESTART
        unsafe sigaction(SIGUSR1, &action, nil)
    }

    /// Keeps `wakeUp` from the calling thread until `allowWakeUp`: what it waits for meanwhile is not to be cut short.
    static func holdWakeUp() { mask(SIG_BLOCK) }

    /// Lets `wakeUp` reach the calling thread, also one that came meanwhile.
    static func allowWakeUp() { mask(SIG_UNBLOCK) }

    private static func mask(_ how: CInt) {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, wakeUp)
        unsafe pthread_sigmask(how, &set, nil)
    }

    private static var termination: sigset_t {
        var set = sigset_t()
        unsafe sigemptyset(&set)
        unsafe sigaddset(&set, SIGTERM)
        unsafe sigaddset(&set, SIGINT)
        if !cposix_is_ignored(SIGHUP) { unsafe sigaddset(&set, SIGHUP) }
        return set
    }
}
