import CCrypto
import CMD5
import Threading

/// Does the MD5 of several threads at the same time.
///
/// There is no thread of its own. A thread that comes while nobody does it does so for all who wait, and lets the next of
/// them go on when its own bytes are done; the others sleep until theirs are. Before it begins it sleeps as long as others
/// keep coming, since eight cost little more than four.
final class MD5Lanes: Sendable {
    static let blockBytes = Int(CMD5_BLOCK_BYTES)
    /// How many blocks are done before others may join: 128 KiB.
    private static let turnBlocks = 2048

    /// For how long others are waited for, in microseconds: about half of what 512 KiB take alone.
    private static let patienceMicroseconds = 400
    /// How often nobody is waited for after nobody has come.
    private static let restTurns = 8

    /// What a thread waits for. The memory is that thread's, which does not go on before `remaining` is 0; all else is in
    /// the hands of the leader, which is one at a time.
    @safe
    private final class Job: @unchecked Sendable {
        let state: UnsafeMutablePointer<MD5_CTX>
        var bytes: UnsafePointer<UInt8>
        var remaining: Int
        /// Whether it was told to go on for the others, too.
        var isLeader = false
        let signal = Semaphore()

        init(_ state: UnsafeMutablePointer<MD5_CTX>, _ bytes: UnsafePointer<UInt8>, blockCount: Int) {
            unsafe self.state = state
            unsafe self.bytes = bytes
            remaining = blockCount
        }
    }

    private struct Queue {
        var waiting: [Job] = []
        var hasLeader = false
        /// Whether the leader sleeps until others come.
        var isLeaderWaiting = false
        /// How often nobody is waited for yet.
        var rest = 0
    }

    private let queue = Locked(Queue())
    private let arrivals = Semaphore()

    /// Takes blocks into a state that stands between two blocks.
    ///
    /// - Parameter others: how many others there may be to wait for.
    func update(
        _ state: UnsafeMutablePointer<MD5_CTX>,
        _ bytes: UnsafePointer<UInt8>,
        blockCount: Int,
        others: Int
    ) {
        let job = unsafe Job(state, bytes, blockCount: blockCount)
        let leads = queue.withLock { queue in
            queue.waiting.append(job)
            if queue.isLeaderWaiting { arrivals.post() }
            defer { queue.hasLeader = true }
            return !queue.hasLeader
        }
        if !leads { job.signal.wait() }
        guard leads || job.isLeader else { return }
        awaitOthers(min(others + 1, Int(CMD5_LANES)))
        lead(job)
    }

    /// Waits until there are some, or no more come for a while.
    private func awaitOthers(_ wanted: Int) {
        while true {
            let waits = queue.withLock { queue in
                queue.isLeaderWaiting = queue.waiting.count < wanted && queue.rest == 0
                if queue.rest > 0 { queue.rest -= 1 }
                return queue.isLeaderWaiting
            }
            guard waits else { return }
            if !arrivals.wait(microseconds: Self.patienceMicroseconds) {
                queue.withLock { queue in
                    queue.isLeaderWaiting = false
                    if queue.waiting.count == 1 { queue.rest = Self.restTurns }
                }
                return
            }
        }
    }

    /// Does the work of all who wait until the leader's own is done.
    private func lead(_ own: Job) {
        while own.remaining > 0 {
            // The leader's own is among them, so that it ends.
            let batch = queue.withLock { queue in
                [own] + queue.waiting.lazy.filter { $0 !== own }.prefix(Int(CMD5_LANES) - 1)
            }
            let count = batch.reduce(Self.turnBlocks) { min($0, $1.remaining) }
            Self.update(batch, count)
            for job in batch {
                unsafe job.bytes += count * Self.blockBytes
                job.remaining -= count
            }
            let done = batch.filter { $0.remaining == 0 }
            queue.withLock { queue in queue.waiting.removeAll { $0.remaining == 0 } }
            for job in done where job !== own { job.signal.post() }
        }
        queue.withLock { queue in
            guard let next = queue.waiting.first else {
                queue.hasLeader = false
                return
            }
            next.isLeader = true
            next.signal.post()
        }
    }

    /// Takes the next `count` blocks of each job into its state.
    private static func update(_ batch: [Job], _ count: Int) {
        let lanes = unsafe batch.map { job in
            // The state begins with its four words.
            let words = unsafe UnsafeMutableRawPointer(job.state).assumingMemoryBound(to: UInt32.self)
            return unsafe cmd5_lane(state: words, bytes: job.bytes)
        }
        unsafe lanes.withUnsafeBufferPointer { unsafe cmd5_update($0.baseAddress, $0.count, count) }
        for job in batch {
            // It also holds the number of bits, in two words.
            let bits = unsafe UInt64(job.state.pointee.Nh) << 32 | UInt64(job.state.pointee.Nl)
            let sum = bits + UInt64(count * blockBytes * 8)
            unsafe job.state.pointee.Nh = UInt32(truncatingIfNeeded: sum >> 32)
            unsafe job.state.pointee.Nl = UInt32(truncatingIfNeeded: sum)
        }
    }
}
