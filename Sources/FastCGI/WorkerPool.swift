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
/// 2. When the limit is reached, connections are accepted all the same. An urgent request is answered by a thread of the
///    reserve; any other waits, without a thread, for the first that has time, and is refused when that takes too long.
/// 3. A pool stops in an orderly way: no further request is accepted, those that run or wait are finished. Threads that
///    wait are woken by a signal, which never reaches one that runs a request.
public final class WorkerPool: Sendable {
    /// The most workers of one process.
    public static let workersMax = 16_384
    /// How many requests may wait for a worker; further ones are refused at once.
    public static let waitingMax = 1024
    /// For how long a request may wait for a worker, in seconds, before it is refused.
    public static let waitingSecondsMax = 30
    /// How many workers wait for a connection, at least.
    private static let spareMin = 1
    /// How many workers may wait for a connection.
    private static let spareMax = 32
    /// How many threads there may be beyond the limit: they answer what is urgent and receive what is to wait.
    private static let reserveMax = 8
    /// The stack of a worker in bytes; only what is used of it takes memory.
    private static let stackBytes = 1 << 20
    /// How long an idle thread is given to notice that it was woken, in microseconds.
    private static let wakeMicroseconds: useconds_t = 20_000
    /// How often those that wait are looked after while nobody comes, in milliseconds.
    private static let lookMilliseconds: CInt = 500
    /// For how long a full pool leaves a connection to another process on the same socket, in microseconds.
    private static let yieldMicroseconds: useconds_t = 5_000
    /// For how long a connection may say nothing, in milliseconds.
    private static let silenceMilliseconds: CInt = 2_000

    private let descriptor: CInt
    private let isTCP: Bool
    private let workersMax: Int
    private let handlers: Handlers
    private let stopSign = StopSign()
    private let crew = Locked(Crew())

    /// What becomes of requests; each function sees one through, and is called on several threads at once.
    public struct Handlers: Sendable {
        let answer: @Sendable (consuming Request) -> Void
        let refuse: @Sendable (consuming Request) -> Void
        let urgentParameter: String

        /// - Parameters:
        ///   - answer: answers a request.
        ///   - refuse: answers one for which there is no worker; it must not wait for the client.
        ///   - urgentParameter: the web server's own parameter whose value is `on` where a request is to be answered
        ///     although all workers are taken.
        public init(
            answer: @escaping @Sendable (consuming Request) -> Void,
            refuse: @escaping @Sendable (consuming Request) -> Void,
            urgentParameter: String
        ) {
            precondition(!urgentParameter.hasPrefix("HTTP_"), "a client can set \(urgentParameter)")
            self.answer = answer
            self.refuse = refuse
            self.urgentParameter = urgentParameter
        }
    }

    /// Who is there.
    private struct Crew: Sendable {
        var threads: Set<pthread_t> = []
        /// Threads that wait for a connection, or are about to.
        var spare = 0
        /// Workers that run a request, or wait on a kept connection.
        var taken = 0
        /// Requests that run or are about to, urgent ones too.
        var running = 0
        /// Requests that wait for a worker, the oldest first.
        var waiting: [Waiting] = []
    }

    /// A request that waits for a worker.
    private struct Waiting: Sendable {
        let connection: Connection
        let end: ContinuousClock.Instant
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
    ///   - handlers: what becomes of requests.
    public init(on listener: borrowing Listener, workers: Int, _ handlers: Handlers) throws(Failure) {
        precondition((1...Self.workersMax).contains(workers))
        descriptor = listener.descriptor
        isTCP = Self.isTCP(listener.descriptor)
        workersMax = workers
        self.handlers = handlers
        Signals.installHandlers()
        // Threads that wait most of the time share arenas; what each of its own arenas does not use would be held.
        cposix_limit_arenas(CInt(max(2, sysconf(CInt(_SC_NPROCESSORS_ONLN)))))
        guard FCGX_Init() == 0 else { throw Failure(description: "libfcgi can not be initialised") }
        try crew.withLock { (crew) throws(Failure) in
            while crew.spare < Self.spareMin { try start(&crew) }
        }
    }

    private static func isTCP(_ descriptor: CInt) -> Bool {
        var address = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe getsockname(descriptor, $0, &size)
            }
        }
        return result == 0 && CInt(address.ss_family) != AF_UNIX
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
        // A connection that waits for a worker goes with it, and its thread gets another.
        var connection = Connection()
        while !stopSign.isSet {
            lookAfterWaiting()
            guard let socket = accept() else { continue }
            Signals.holdWakeUp()
            leaveDoor()
            connection.take(socket)
            if isHeardOf(socket), connection.receive() {
                guard let free = see(connection) else { break }
                connection = free
            } else {
                connection.close()
                guard becomeSpare(wasTaken: false) else { break }
            }
            Signals.allowWakeUp()
        }
        crew.withLock { _ = $0.threads.remove(pthread_self()) }
    }

    /// Waits for a connection; `nil` when there is none yet.
    private func accept() -> CInt? {
        let (hasWaiting, isFull) = crew.withLock { (!$0.waiting.isEmpty, $0.taken >= workersMax) }
        if hasWaiting || isFull {
            var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            guard unsafe poll(&entry, 1, Self.lookMilliseconds) > 0 else { return nil }
            // Other processes on this socket may have time.
            if isFull { usleep(Self.yieldMicroseconds) }
            guard unsafe poll(&entry, 1, 0) > 0 else { return nil }
        }
        let socket = cposix_accept(descriptor)
        if socket >= 0 { return socket }
        // A signal, or too many open files: let others finish before the next try.
        if !stopSign.isSet { usleep(Self.wakeMicroseconds) }
        return nil
    }

    /// Makes a new connection ready; false when nothing is said on it.
    private func isHeardOf(_ socket: CInt) -> Bool {
        if isTCP {
            var on: CInt = 1
            unsafe setsockopt(socket, CInt(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<CInt>.size))
        }
        var entry = pollfd(fd: socket, events: Int16(POLLIN), revents: 0)
        return unsafe poll(&entry, 1, Self.silenceMilliseconds) > 0
    }

    /// Sees a request through, and those that follow it; a connection to accept others with, or `nil` when the thread is
    /// not needed any more.
    private func see(_ connection: Connection) -> Connection? {
        switch admit(connection) {
        case .worker:
            return work(on: connection)
        case .reserve:
            handlers.answer(connection.request(stopSign))
            connection.close()
            crew.withLock { $0.running -= 1 }
            return becomeSpare(wasTaken: false) ? connection : nil
        case .waits:
            return becomeSpare(wasTaken: false) ? Connection() : nil
        case .refused:
            handlers.refuse(connection.request(stopSign))
            connection.close()
            return becomeSpare(wasTaken: false) ? connection : nil
        }
    }

    /// Who answers a request.
    private enum Admission {
        case worker
        case reserve
        case waits
        case refused
    }

    private func admit(_ connection: Connection) -> Admission {
        let isAdmitted = crew.withLock { crew in
            guard crew.taken < workersMax else { return false }
            crew.taken += 1
            crew.running += 1
            return true
        }
        if isAdmitted { return .worker }
        let isUrgent = connection.isOn(handlers.urgentParameter)
        return crew.withLock { crew in
            if isUrgent {
                crew.running += 1
                return .reserve
            }
            if crew.taken < workersMax {
                crew.taken += 1
                crew.running += 1
                return .worker
            }
            guard crew.waiting.count < Self.waitingMax else { return .refused }
            let end = ContinuousClock.now + .seconds(Self.waitingSecondsMax)
            crew.waiting.append(Waiting(connection: connection, end: end))
            return .waits
        }
    }

    /// Answers a request, those that follow on its connection, and those that wait, as a worker.
    private func work(on first: Connection) -> Connection? {
        var connection = first
        while true {
            handlers.answer(connection.request(stopSign))
            // One after the other comes on a connection that is kept.
            while connection.isKept {
                crew.withLock { $0.running -= 1 }
                Signals.allowWakeUp()
                let isThere = !stopSign.isSet && connection.receive()
                Signals.holdWakeUp()
                crew.withLock { $0.running += 1 }
                if isThere { handlers.answer(connection.request(stopSign)) } else { connection.close() }
            }
            let next = crew.withLock { crew -> Connection? in
                if !crew.waiting.isEmpty { return crew.waiting.removeFirst().connection }
                crew.running -= 1
                return nil
            }
            guard let next else { break }
            connection = next
        }
        return becomeSpare(wasTaken: true) ? connection : nil
    }

    /// Notes that a thread has a connection, and sees to it that somebody waits for the next.
    private func leaveDoor() {
        crew.withLock { crew in
            crew.spare -= 1
            guard crew.spare < Self.spareMin, crew.threads.count < workersMax + Self.reserveMax else { return }
            // Without another thread the next request waits for one of those that run.
            try? start(&crew)
        }
    }

    /// Notes that a thread is free; false when it is not needed any more.
    private func becomeSpare(wasTaken: Bool) -> Bool {
        crew.withLock { crew in
            if wasTaken { crew.taken -= 1 }
            guard crew.spare < Self.spareMax else { return false }
            crew.spare += 1
            return true
        }
    }

    /// Refuses requests that have waited for too long.
    private func lookAfterWaiting() {
        while let connection = takeOverdue() {
            handlers.refuse(connection.request(stopSign))
            connection.close()
        }
    }

    private func takeOverdue() -> Connection? {
        crew.withLock { crew in
            guard let first = crew.waiting.first, first.end < .now else { return nil }
            return crew.waiting.removeFirst().connection
        }
    }

    // MARK: The end

    /// Stops accepting, and waits for the requests that run or wait.
    ///
    /// - Parameter isUrgent: asked again and again while waiting; true ends the wait.
    /// - Returns: false when requests were still running in the end.
    public func stop(withinSeconds seconds: Int, isUrgent: () -> Bool) -> Bool {
        stopSign.set()
        FCGX_ShutdownPending()
        let rounds = seconds * 1_000_000 / Int(Self.wakeMicroseconds)
        for round in 0..<max(rounds, 2) {
            // An idle thread may be about to enter accept(2) when it is first woken. None ends while it is signalled.
            crew.withLock { crew in
                for thread in crew.threads { pthread_kill(thread, Signals.wakeUp) }
            }
            usleep(Self.wakeMicroseconds)
            if round > 0, crew.withLock({ $0.running == 0 && $0.waiting.isEmpty }) { return true }
            if isUrgent() { return false }
        }
        return false
    }
}

/// Says that the process is about to end.
final class StopSign: Sendable {
    private let flag = Atomic<Bool>(false)

    var isSet: Bool { flag.load(ordering: .acquiring) }

    func set() { flag.store(true, ordering: .releasing) }
}
