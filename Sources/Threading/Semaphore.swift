import CPosix
import Glibc

/// A count that threads wait for to be more than 0, and take one off (sem_overview(7)).
@safe
public final class Semaphore: @unchecked Sendable {
    private let semaphore: UnsafeMutablePointer<sem_t>

    /// A semaphore at 0.
    public init() {
        unsafe semaphore = .allocate(capacity: 1)
        let code = unsafe sem_init(semaphore, 0, 0)
        precondition(code == 0, "0 is a count")
    }

    deinit {
        unsafe sem_destroy(semaphore)
        unsafe semaphore.deallocate()
    }

    /// Waits for the count to be more than 0, and takes one off.
    public func wait() {
        // Signals interrupt it.
        while unsafe sem_wait(semaphore) != 0 {}
    }

    /// Waits for the count to be more than 0, and takes one off; false when it has not been after some microseconds.
    public func wait(microseconds: Int) -> Bool {
        while unsafe cposix_sem_wait(semaphore, Int64(microseconds)) != 0 {
            // A signal begins the time anew.
            if errno != EINTR { return false }
        }
        return true
    }

    /// Adds one.
    public func post() { unsafe sem_post(semaphore) }
}
