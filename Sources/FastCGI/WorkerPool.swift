import CFastCGI
import CPosix
import Glibc
import Synchronization
import SystemPackage
import Threading

/// Threads that each take a request, see it through and take the next.
///
/// 1. There are as many as requests run at the same time, up to a limit, and a few that wait for the next ones. A
///    thread that waits on a connection which the web server keeps open counts as taken.
/// 2. A pool stops in an orderly way: no further request is accepted, those that run are finished. Threads that wait
///    are woken by a signal, which never reaches one that runs a request.
public final class WorkerPool: Sendable {
    /// The most workers of one process.
    public static let workersMax = 16_384
    /// How many workers wait for a connection, at least before the limit is reached.
    private static let spareMin = 1
    /// How many workers may wait for a connection.
    private static let spareMax = 32
    /// The stack of a worker in bytes; only what is used of it takes memory.
    private static let stackBytes = 1 << 20
    /// How long an idle thread is given to notice that it was woken, in microseconds.
    private static let wakeMicroseconds: useconds_t = 20_000

    private let descriptor: CInt
    private let workersMax: Int
    private let handler: @Sendable (consuming Request) -> Void
    private let isStopping = Atomic<Bool>(false)
    private let crew = Locked(Crew())

    /// Who is there.
    private struct Crew: Sendable {
        var threads: Set<pthread_t> = []
        /// Threads that wait for a connection, or are about to.
        var spare = 0
        /// Requests that run.
        var busy = 0
    }

    /// Why the pool can not start.
    public struct Failure: Error, CustomStringConvertible {
        /// What failed.
        public let description: String
    }

    /// Starts workers on a listening socket.
    ///
    /// - Parameters:
    ///   - workers: how many requests may run at the same time.
    ///   - handler: sees one request through; called on several threads at once.
    public init(
        on listener: borrowing Listener,
        workers: Int,
        handler: @escaping @Sendable (consuming Request) -> Void
    ) throws(Failure) {
        precondition((1...Self.workersMax).contains(workers))
        descriptor = listener.descriptor
        workersMax = workers
        self.handler = handler
        Signals.installHandlers()
        // Threads that wait most of the time share arenas; what each of its own arenas does not use would be held.
        cposix_limit_arenas(CInt(max(2, sysconf(CInt(_SC_NPROCESSORS_ONLN)))))
        guard FCGX_Init() == 0 else { throw Failure(description: "libfcgi can not be initialised") }
        try crew.withLock { (crew) throws(Failure) in
            while crew.spare < min(Self.spareMin, workers) { try start(&crew) }
        }
    }

    private func start(_ crew: inout Crew) throws(Failure) {
        var attributes = pthread_attr_t()
        unsafe pthread_attr_init(&attributes)
        defer { unsafe pthread_attr_destroy(&attributes) }
        unsafe pthread_attr_setstacksize(&attributes, Self.stackBytes)
        unsafe pthread_attr_setdetachstate(&attributes, CInt(PTHREAD_CREATE_DETACHED))
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
        crew.threads.insert(thread)
        crew.spare += 1
    }

    // MARK: The life of a worker

    private func work() {
        // libfcgi keeps pointers into the request, so it needs an address of its own.
        let connection = UnsafeMutablePointer<FCGX_Request>.allocate(capacity: 1)
        defer { unsafe connection.deallocate() }
        guard unsafe FCGX_InitRequest(connection, descriptor, CInt(FCGI_FAIL_ACCEPT_ON_INTR)) == 0 else { return }
        var isSpare = true
        while !isStopping.load(ordering: .acquiring) {
            // On a connection that is kept, libfcgi must not accept another of its own accord when that one ends.
            unsafe connection.pointee.listen_sock = isSpare ? descriptor : -1
            if unsafe FCGX_Accept_r(connection) == 0 {
                Signals.holdWakeUp()
                begin(isSpare: isSpare)
                handler(unsafe Request(connection))
                let isKept = unsafe connection.pointee.ipcFd >= 0
                guard end(isKept: isKept) else { break }
                isSpare = !isKept
                Signals.allowWakeUp()
            } else if !isSpare {
                guard becomeSpare() else { break }
                isSpare = true
            } else {
                // A signal, or too many open files: let others finish before the next try.
                usleep(Self.wakeMicroseconds)
            }
        }
        unsafe FCGX_Free(connection, 1)
        crew.withLock { _ = $0.threads.remove(pthread_self()) }
    }

    /// Notes that a request runs, and sees to it that somebody waits for the next.
    private func begin(isSpare: Bool) {
        crew.withLock { crew in
            crew.busy += 1
            if isSpare { crew.spare -= 1 }
            guard crew.spare < Self.spareMin, crew.threads.count < workersMax else { return }
            // Without another thread the next request waits for one of those that run.
            try? start(&crew)
        }
    }

    /// Notes that a request has ended; false when the thread is not needed any more.
    private func end(isKept: Bool) -> Bool {
        crew.withLock { crew in
            crew.busy -= 1
            if isKept { return true }
            guard crew.spare < Self.spareMax else { return false }
            crew.spare += 1
            return true
        }
    }

    /// Notes that a kept connection has ended; false when the thread is not needed any more.
    private func becomeSpare() -> Bool {
        crew.withLock { crew in
            guard crew.spare < Self.spareMax else { return false }
            crew.spare += 1
            return true
        }
    }

    // MARK: The end

    /// Stops accepting, and waits for the requests that run.
    ///
    /// - Parameter isUrgent: asked again and again while waiting; true ends the wait.
    /// - Returns: false when requests were still running in the end.
    public func stop(withinSeconds seconds: Int, isUrgent: () -> Bool) -> Bool {
        isStopping.store(true, ordering: .releasing)
        FCGX_ShutdownPending()
        let rounds = seconds * 1_000_000 / Int(Self.wakeMicroseconds)
        for round in 0..<max(rounds, 2) {
            // An idle thread may be about to enter accept(2) when it is first woken. None ends while it is signalled.
            crew.withLock { crew in
                for thread in crew.threads { pthread_kill(thread, Signals.wakeUp) }
            }
            usleep(Self.wakeMicroseconds)
            if round > 0, crew.withLock({ $0.busy }) == 0 { return true }
            if isUrgent() { return false }
        }
        return false
    }
}
