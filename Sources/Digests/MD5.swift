import CCrypto
public import Uploads

/// MD5 (RFC 1321) of bytes that come in pieces: what clients compare their parts with (dialects.md 0.6).
///
/// The C state is made with the value, used by it alone and freed with it, hence `@safe`.
@safe
public struct MD5: ~Copyable {
    private let context: OpaquePointer

    /// The digest of no bytes yet.
    public init() {
        guard let context = unsafe EVP_MD_CTX_new() else { fatalError("out of memory") }
        unsafe self.context = context
        guard unsafe EVP_DigestInit_ex(context, EVP_md5(), nil) == 1 else { fatalError("libcrypto has no MD5") }
    }

    deinit {
        unsafe EVP_MD_CTX_free(context)
    }

    /// Takes in the next bytes.
    public func update(_ bytes: Span<UInt8>) {
        unsafe bytes.withUnsafeBytes { buffer in
            _ = unsafe EVP_DigestUpdate(context, buffer.baseAddress, buffer.count)
        }
    }

    /// The digest of all bytes.
    public consuming func finish() -> MD5Digest {
        var bytes = [UInt8](repeating: 0, count: MD5Digest.byteCount)
        unsafe bytes.withUnsafeMutableBufferPointer { _ = unsafe EVP_DigestFinal_ex(context, $0.baseAddress, nil) }
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
