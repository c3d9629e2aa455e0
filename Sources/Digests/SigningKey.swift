import CCrypto
import Uploads

/// A secret that signs texts with HMAC-SHA256 (RFC 2104), such as the part URLs of docs/dialects/signed.md 5.2.
public struct SigningKey: Sendable {
    /// The length of a key in bytes.
    public static let byteCount = 32

    private let bytes: [UInt8]

    /// A key of `byteCount` secret bytes; `nil` for any other number.
    public init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// A new key, from the system's generator of random numbers.
    public static func randomBytes() -> [UInt8] {
        (0..<byteCount).map { _ in UInt8.random(in: 0...UInt8.max) }
    }

    /// The signature of a text: 64 lower-case hexadecimal digits.
    public func signature(of text: String) -> String {
        let message = Array(text.utf8)
        var digest = [UInt8](repeating: 0, count: 32)
        unsafe digest.withUnsafeMutableBufferPointer { buffer in
            _ = unsafe HMAC(
                EVP_sha256(),
                bytes,
                CInt(bytes.count),
                message,
                message.count,
                buffer.baseAddress,
                nil
            )
        }
        return digest.hexadecimal
    }

    /// Whether a text bears this signature; how long that takes to tell says nothing about the right one.
    public func isValid(_ signature: String, of text: String) -> Bool {
        let (given, right) = (Array(signature.utf8), Array(self.signature(of: text).utf8))
        return unsafe given.count == right.count && CRYPTO_memcmp(given, right, right.count) == 0
    }
}

/// The SHA-256 (FIPS 180-4) of a text: 64 lower-case hexadecimal digits.
public func sha256(_ text: String) -> String { sha256(Array(text.utf8)) }

/// The SHA-256 of bytes.
public func sha256(_ message: [UInt8]) -> String {
    var digest = [UInt8](repeating: 0, count: 32)
    unsafe digest.withUnsafeMutableBufferPointer { buffer in
        _ = unsafe EVP_Digest(message, message.count, buffer.baseAddress, nil, EVP_sha256(), nil)
    }
    return digest.hexadecimal
}
