import Synchronization
import Threading
public import Uploads

/// The MD5 of a part that comes in while others do: their bytes are gathered, and taken in at the same time, which costs a
/// fraction of one after the other. A part that is alone is not gathered.
///
/// The memory is made with the value, used by it alone and freed with it, hence `@safe`.
@safe
public struct SharedMD5: ~Copyable {
    /// How many bytes are gathered, so that meeting costs little beside them.
    private static let gatheredBytesMax = 512 << 10
    /// How many bytes are not worth a meeting, as those of a slow client.
    private static let sharedBytesMin = 4 << 10
    private static let lanes = MD5Lanes()
    private static let buffers = Locked<[GatheringBuffer]>([])
    /// How many unused buffers are kept.
    private static let idleBuffersMax = 16

    /// One of the parts that come in.
    private final class Presence {
        /// How many there are.
        static let count = Atomic<Int>(0)

        init() { Self.count.add(1, ordering: .relaxed) }
        deinit { Self.count.subtract(1, ordering: .relaxed) }
    }

    private let presence = Presence()
    private let digest = MD5()
    private var buffer: GatheringBuffer?
    private var gatheredCount = 0

    /// The digest of no bytes yet.
    public init() {}

    /// Takes in the next bytes.
    public mutating func update(_ bytes: Span<UInt8>) {
        if gatheredCount == 0, Presence.count.load(ordering: .relaxed) < 2 {
            digest.update(bytes)
            return
        }
        var offset = 0
        while offset < bytes.count {
            let buffer = buffer ?? Self.lend()
            self.buffer = buffer
            let count = min(bytes.count - offset, Self.gatheredBytesMax - gatheredCount)
            buffer.put(bytes.extracting(offset..<offset + count), at: gatheredCount)
            gatheredCount += count
            offset += count
            if gatheredCount == Self.gatheredBytesMax { takeIn() }
        }
    }

    /// Lets go of what was gathered, as no bytes come for a while.
    public mutating func pause() {
        takeIn()
        guard let buffer else { return }
        self.buffer = nil
        Self.buffers.withLock { buffers in
            if buffers.count < Self.idleBuffersMax { buffers.append(buffer) }
        }
    }

    /// The digest of all bytes.
    public consuming func finish() -> MD5Digest {
        pause()
        return digest.finish()
    }

    private mutating func takeIn() {
        guard let buffer, gatheredCount > 0 else { return }
        defer { gatheredCount = 0 }
        if gatheredCount < Self.sharedBytesMin {
            unsafe digest.update(UnsafeBufferPointer(rebasing: buffer.bytes[..<gatheredCount]).span)
            return
        }
        let others = Presence.count.load(ordering: .relaxed) - 1
        unsafe digest.update(
            UnsafeBufferPointer(rebasing: buffer.bytes[..<gatheredCount]),
            in: Self.lanes,
            others: others
        )
    }

    private static func lend() -> GatheringBuffer {
        buffers.withLock { $0.popLast() } ?? GatheringBuffer(count: gatheredBytesMax)
    }
}

/// Memory that one part at a time uses.
@safe
private final class GatheringBuffer: @unchecked Sendable {
    let bytes: UnsafeMutableBufferPointer<UInt8>

    init(count: Int) {
        unsafe bytes = .allocate(capacity: count)
        unsafe bytes.initialize(repeating: 0)
    }

    deinit {
        unsafe bytes.deallocate()
    }

    func put(_ more: Span<UInt8>, at offset: Int) {
        unsafe more.withUnsafeBufferPointer { more in
            _ = unsafe UnsafeMutableBufferPointer(rebasing: bytes[offset...]).update(fromContentsOf: more)
        }
    }
}
