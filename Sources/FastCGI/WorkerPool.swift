import CFastCGI
import Glibc
import Synchronization
import SystemPackage

/// Threads that each take a request, see it through and take the next.
///
/// A pool stops in an orderly way: no further request is accepted, those that run are finished. Threads that wait in
/// accept(2), or on a connection that a web server keeps open, are woken by a signal and otherwise left to the end of
/// the process: they hold nothing.
public final class WorkerPool: Sendable {
    /// The most workers of one process. Each needs a few descriptors, of which libfcgi's select(2) takes 1024.
    public static let workersMax = 256
    /// The stack of a worker in bytes; only what is used of it takes memory.
    private static let stackBytes = 1 << 20
    /// How long an idle thread is given to notice that it was woken, in microseconds.
    private static let wakeMicroseconds: useconds_t = 20_000

    private let descriptor: CInt
    private let handler: @Sendable (consuming Request) -> Void
    private let busyCount = Atomic<Int>(0)
    private let isStopping = Atomic<Bool>(false)
    private let threads = Mutex<[pthread_t]>([])

    /// Why the pool can not start.
    public struct Failure: Error, CustomStringConvertible {
        /// What failed.
        public let description: String
    }

    /// Starts workers on a listening socket.
    ///
    /// - Parameter handler: sees one request through; called on several threads at once.
    public init(
        on listener: borrowing Listener,
        workers: Int,
        handler: @escaping @Sendable (consuming Request) -> Void
    ) throws(Failure) {
        precondition((1...Self.workersMax).contains(workers))
        descriptor = listener.descriptor
        self.handler = handler
        Signals.installHandlers()
        guard FCGX_Init() == 0 else { throw Failure(description: "libfcgi can not be initialised") }
        for _ in 0..<workers { try start() }
    }

    private func start() throws(Failure) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, Self.stackBytes)
        var thread = pthread_t()
        let context = unsafe Unmanaged.passRetained(self).toOpaque()
        let code = unsafe pthread_create(
            &thread,
            &attributes,
            { context in
                guard let context = unsafe context else { return nil }
                unsafe Unmanaged<WorkerPool>.fromOpaque(context).takeRetainedValue().work()
                return nil
            },
            context
        )
        guard code == 0 else {
            unsafe Unmanaged<WorkerPool>.fromOpaque(context).release()
            throw Failure(description: "a worker thread can not be started: \(Errno(rawValue: code))")
        }
        threads.withLock { $0.append(thread) }
    }

    private func work() {
        // libfcgi keeps pointers into the request, so it needs an address of its own.
        let connection = UnsafeMutablePointer<FCGX_Request>.allocate(capacity: 1)
        defer { unsafe connection.deallocate() }
        guard unsafe FCGX_InitRequest(connection, descriptor, CInt(FCGI_FAIL_ACCEPT_ON_INTR)) == 0 else { return }
        while !isStopping.load(ordering: .acquiring) {
            guard unsafe FCGX_Accept_r(connection) == 0 else {
                if isStopping.load(ordering: .acquiring) { break }
                // A signal, or too many open files: let others finish before the next try.
                usleep(Self.wakeMicroseconds)
                continue
            }
            busyCount.wrappingAdd(1, ordering: .acquiringAndReleasing)
            handler(unsafe Request(connection))
            busyCount.wrappingSubtract(1, ordering: .acquiringAndReleasing)
        }
        unsafe FCGX_Free(connection, 1)
    }

    /// Stops accepting, and waits for the requests that run.
    ///
    /// - Parameter isUrgent: asked again and again while waiting; true ends the wait.
    /// - Returns: false when requests were still running in the end.
    public func stop(withinSeconds seconds: Int, isUrgent: () -> Bool) -> Bool {
        isStopping.store(true, ordering: .releasing)
        FCGX_ShutdownPending()
        let rounds = seconds * 1_000_000 / Int(Self.wakeMicroseconds)
        for round in 0..<max(rounds, 2) {
            // An idle thread may be about to enter accept(2) when it is first woken.
            for thread in threads.withLock({ $0 }) { pthread_kill(thread, Signals.wakeUp) }
            usleep(Self.wakeMicroseconds)
            if round > 0, busyCount.load(ordering: .acquiring) == 0 { return true }
            if isUrgent() { return false }
        }
        return false
    }
}
