import CFastCGI
import Glibc
import Threading

/// A block of memory for the bytes of a body, lent by a pool for as long as a body is read.
public struct BodyBuffer: ~Copyable {
    let block: MemoryBlock
    private let pool: BodyBufferPool

    fileprivate init(_ block: MemoryBlock, of pool: BodyBufferPool) {
        self.block = block
        self.pool = pool
    }

    deinit {
        pool.giveBack(block)
    }

    /// As libfcgi is told of it.
    var memory: fermata_memory_block {
        unsafe fermata_memory_block(start: block.bytes.baseAddress, count: CInt(block.bytes.count))
    }
}

/// Keeps buffers between requests, so that a request costs no mapping of memory.
public final class BodyBufferPool: Sendable {
    /// The size of a buffer in bytes: large enough that a read of one costs little beside its bytes.
    public static let bufferBytes = 256 << 10
    /// How many unused buffers are kept.
    private static let idleMax = 16

    private let idle = Locked<[MemoryBlock]>([])
    private let blockBytes: Int

    /// An empty pool.
    public init() { blockBytes = Self.bufferBytes }

    /// The same with buffers of another size.
    init(blockBytes: Int) { self.blockBytes = blockBytes }

    /// Lends a buffer; `nil` when the system has no memory for one.
    public func lend() -> BodyBuffer? {
        guard let block = idle.withLock({ $0.popLast() }) ?? MemoryBlock(count: blockBytes) else { return nil }
        return BodyBuffer(block, of: self)
    }

    fileprivate func giveBack(_ block: MemoryBlock) {
        idle.withLock { idle in
            if idle.count < Self.idleMax { idle.append(block) }
        }
    }
}

/// Memory that one request at a time writes to: the pool lends it to one `BodyBuffer`, which can not be copied.
///
/// It is a mapping of its own. From malloc(3), blocks of this size would come to lie between what many threads allocate
/// for as long as their requests last, and could not be given back.
@safe
final class MemoryBlock: @unchecked Sendable {
    let bytes: UnsafeMutableBufferPointer<UInt8>

    /// `nil` when the system has no memory, or no more mappings.
    init?(count: Int) {
        let memory = unsafe mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let memory = unsafe memory, unsafe memory != MAP_FAILED else { return nil }
        unsafe bytes = UnsafeMutableBufferPointer(
            start: memory.bindMemory(to: UInt8.self, capacity: count),
            count: count
        )
    }

    deinit {
        unsafe munmap(bytes.baseAddress, bytes.count)
    }
}
