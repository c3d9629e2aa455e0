import Digests
import Foundation
import Synchronization
import Uploads

/// The bytes of all uploaded files: a random block, over and over, in a file that the kernel can send from.
final class Content: Sendable {
    /// How large the block is.
    static let blockBytes = 64 << 20

    let descriptor: Int32
    private let block: [UInt8]
    private let digests = Mutex<[Int: [Int: String]]>([:])

    /// - Parameter directory: where the block is kept, in a file without a name.
    init(in directory: String) throws {
        var template = Array("\(directory)/fermata-bench-XXXXXX".utf8CString)
        descriptor = mkstemp(&template)
        guard descriptor >= 0, unlink(template) == 0 else { throw BenchmarkError("no file in \(directory)") }
        var random = SystemRandomNumberGenerator()
        let words = (0..<Self.blockBytes / 8).map { _ in random.next() }
        block = words.withUnsafeBytes { Array($0) }
        guard write(descriptor, block, block.count) == block.count else { throw BenchmarkError("no memory") }
    }

    deinit { close(descriptor) }

    /// The MD5 of a part, in hexadecimal; made once for each place in the block.
    func md5(_ part: Workload.Part) -> String {
        let start = part.start % Self.blockBytes
        if let known = digests.withLock({ $0[start]?[part.count] }) { return known }
        let digest = MD5()
        var rest = part.count
        var offset = start
        while rest > 0 {
            let count = min(rest, Self.blockBytes - offset)
            let piece = Array(block[offset..<offset + count])
            digest.update(piece.span)
            rest -= count
            offset = (offset + count) % Self.blockBytes
        }
        let text = digest.finish().description
        digests.withLock { $0[start, default: [:]][part.count] = text }
        return text
    }

    /// Whether a file consists of these bytes.
    func isContent(of path: String, bytes: Int) throws -> Bool {
        let file = open(path, O_RDONLY)
        guard file >= 0 else { return false }
        defer { close(file) }
        var buffer = [UInt8](repeating: 0, count: 1 << 20)
        var offset = 0
        while true {
            let count = read(file, &buffer, buffer.count)
            guard count >= 0 else { throw BenchmarkError("\(path) can not be read") }
            if count == 0 { return offset == bytes }
            let start = offset % Self.blockBytes
            let inBlock = min(count, Self.blockBytes - start)
            let isSame = block.withUnsafeBytes { block in
                buffer.withUnsafeBytes { buffer in
                    guard let block = block.baseAddress, let buffer = buffer.baseAddress else { return false }
                    return memcmp(block + start, buffer, inBlock) == 0
                        && memcmp(block, buffer + inBlock, count - inBlock) == 0
                }
            }
            guard isSame else { return false }
            offset += count
        }
    }
}
