import Testing
import Uploads

@testable import Digests

@Suite struct DigestsTests {
    @Test(
        "MD5 values of docs/dialects/README.md 8, however the bytes come",
        arguments: [
            ("", "d41d8cd98f00b204e9800998ecf8427e"), ("0123", "eb62f6b9306db575c2d596b1279627a4"),
            ("456789", "e35cf7b66449df565f93c607d5a81d09"), ("0123456789", "781e5e245d69b566979b86e28d23f2c7"),
        ]
    )
    func md5(text: String, expected: String) {
        #expect(MD5.digest(of: text).description == expected)
        let pieces = MD5()
        for byte in text.utf8 { pieces.update([byte].span) }
        #expect(pieces.finish().description == expected)
    }

    @Test("a signature is HMAC-SHA256, and only the right one is valid")
    func signature() throws {
        // RFC 4231 4.2 has a key of 20 bytes, padded here with zeros, which HMAC does too.
        let key = try #require(
            SigningKey(bytes: [UInt8](repeating: 0x0B, count: 20) + [UInt8](repeating: 0, count: 12))
        )
        let signature = key.signature(of: "Hi There")
        #expect(signature == "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7")
        #expect(key.isValid(signature, of: "Hi There"))
        #expect(!key.isValid(signature, of: "Hi there"))
        #expect(!key.isValid(String(signature.dropLast()), of: "Hi There"))
        #expect(!key.isValid("", of: "Hi There"))
        #expect(SigningKey(bytes: [1]) == nil)
        #expect(SigningKey.randomBytes() != SigningKey.randomBytes())
    }

    @Test("SHA-256 of FIPS 180-4's example")
    func sha() {
        #expect(sha256("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    }
}
