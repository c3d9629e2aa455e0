import CXXHash

/// XXH3-64 of bytes that come in pieces: guards committed bytes until they are known to be on disk
/// (docs/guarantees.md).
///
/// The C state is made with the value, used by it alone and freed with it, hence `@safe`.
@safe
public struct Checksum: ~Copyable {
    private let state: OpaquePointer

    /// The checksum of no bytes.
    public init() {
        guard let state = unsafe XXH3_createState() else { fatalError("out of memory") }
        unsafe self.state = state
        unsafe XXH3_64bits_reset(state)
    }

    deinit {
        unsafe XXH3_freeState(state)
    }

    /// Takes in the next bytes.
    public func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBytes { buffer in
            _ = unsafe XXH3_64bits_update(state, buffer.baseAddress, buffer.count)
        }
    }

    /// The checksum of all bytes so far.
    public var value: UInt64 { unsafe XXH3_64bits_digest(state) }
}
