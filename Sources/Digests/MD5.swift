import CCrypto
public import Uploads

/// MD5 (RFC 1321) of bytes that come in pieces: what clients compare their parts with (docs/dialects/README.md 0.6).
///
/// The C state is made with the value, used by it alone and freed with it, hence `@safe`.
@safe
public struct MD5: ~Copyable {
    private let state: UnsafeMutablePointer<MD5_CTX>

    /// The digest of no bytes yet.
    public init() {
        unsafe state = .allocate(capacity: 1)
        unsafe MD5_Init(state)
    }

    deinit {
        unsafe state.deallocate()
    }

    /// Takes in the next bytes.
    public func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBytes { buffer in
            _ = unsafe MD5_Update(state, buffer.baseAddress, buffer.count)
        }
    }

    /// Takes in the next bytes, together with what other threads have at the same time.
    ///
    /// - Parameter others: how many others there may be to wait for.
    func update(_ bytes: UnsafeBufferPointer<UInt8>, in lanes: MD5Lanes, others: Int) {
        let rest = unsafe bytes.count - fillBlock(bytes)
        let blockCount = rest / MD5Lanes.blockBytes
        guard blockCount > 0, let end = unsafe bytes.baseAddress?.advanced(by: bytes.count) else {
            return unsafe update(bytes.extracting((bytes.count - rest)...).span)
        }
        unsafe lanes.update(state, end - rest, blockCount: blockCount, others: others)
        let tail = rest % MD5Lanes.blockBytes
        unsafe update(UnsafeBufferPointer(start: end - tail, count: tail).span)
    }

    /// Takes in as many bytes as complete a block that has begun; how many.
    private func fillBlock(_ bytes: UnsafeBufferPointer<UInt8>) -> Int {
        let begun = unsafe Int(state.pointee.num)
        let missing = begun == 0 ? 0 : min(MD5Lanes.blockBytes - begun, bytes.count)
        unsafe update(bytes.extracting(..<missing).span)
        return missing
    }

    /// The digest of all bytes.
    public consuming func finish() -> MD5Digest {
        var bytes = [UInt8](repeating: 0, count: MD5Digest.byteCount)
        unsafe bytes.withUnsafeMutableBufferPointer { _ = unsafe MD5_Final($0.baseAddress, state) }
        guard let digest = MD5Digest(bytes: bytes) else { preconditionFailure("MD5 has 16 bytes") }
        return digest
    }

    /// The digest of a text in UTF-8.
    public static func digest(of text: String) -> MD5Digest {
        let state = MD5()
        state.update(Array(text.utf8).span)
        return state.finish()
    }
}
