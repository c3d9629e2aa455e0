import Testing

@testable import Uploads

@Suite struct MD5DigestTests {
    private static let bytes: [UInt8] = [
        0xEB, 0x62, 0xF6, 0xB9, 0x30, 0x6D, 0xB5, 0x75, 0xC2, 0xD5, 0x96, 0xB1, 0x27, 0x96, 0x27, 0xA4,
    ]

    @Test(
        "every spelling of docs/dialects/README.md 0.6 is the same digest",
        arguments: [
            "eb62f6b9306db575c2d596b1279627a4", "EB62F6B9306DB575C2D596B1279627A4", "62L2uTBttXXC1ZaxJ5YnpA==",
            "\"eb62f6b9306db575c2d596b1279627a4\"", "W/\"eb62f6b9306db575c2d596b1279627a4\"",
            "W/eb62f6b9306db575c2d596b1279627a4", " eb62f6b9306db575c2d596b1279627a4 ", "\"62L2uTBttXXC1ZaxJ5YnpA==\"",
        ]
    )
    func spellings(text: String) {
        #expect(MD5Digest(parsing: text)?.bytes == Self.bytes)
        #expect(MD5Digest(parsing: text)?.description == "eb62f6b9306db575c2d596b1279627a4")
    }

    @Test(
        "anything else is none",
        arguments: [
            "", "md51", "eb62f6b9306db575c2d596b1279627a", "eb62f6b9306db575c2d596b1279627ag",
            "62L2uTBttXXC1ZaxJ5YnpAA=", "62L2uTBttXXC1ZaxJ5Yn-A==", "\"", "W/", "eb62f6b9306db575c2d596b1279627a4\0",
        ]
    )
    func refused(text: String) { #expect(MD5Digest(parsing: text) == nil) }
}

@Suite struct RelativePathTests {
    @Test(
        "paths are taken below the root (docs/dialects/README.md 0.7)",
        arguments: [
            ("a", "a"), ("/a/b", "a/b"), ("./a//b/./c/", "a/b/c"), ("a\\b", "a\\b"), ("...", "..."), ("", ""),
            ("/", ""), ("./", ""), ("é/ü", "é/ü"), (".fermata2", ".fermata2"), ("a b", "a b"),
        ]
    )
    func accepted(text: String, expected: String) { #expect(RelativePath(parsing: text)?.text == expected) }

    @Test(
        "paths that lead out, or to the staging folder, or hold control characters are refused",
        arguments: [
            "..", "../a", "a/..", "a/../b", "/..", ".fermata", ".fermata/x", "a/.fermata/x", "a\0b", "a\nb", "a\u{7F}",
            "a/\u{85}", String(repeating: "x", count: 256), String(repeating: "x/", count: 2100),
        ]
    )
    func refused(text: String) { #expect(RelativePath(parsing: text) == nil) }

    @Test("the longest component and path are accepted")
    func limits() throws {
        let component = String(repeating: "x", count: 255)
        #expect(RelativePath(parsing: component) != nil)
        let path = try #require(RelativePath(parsing: Array(repeating: component, count: 16).joined(separator: "/")))
        #expect(path.text.utf8.count == 4095)
        #expect(path.appending(try #require(RelativePath(parsing: "x"))) == nil)
        #expect(RelativePath(component: "a/b") == nil)
        #expect(RelativePath(component: ".") == nil)
        #expect(RelativePath.root.parent == .root)
    }

    @Test("names that are too long keep their extension")
    func longNames() throws {
        let long = String(repeating: "é", count: 200) + ".jpg"
        let fitted = try #require(ComponentName.fitted(long))
        #expect(fitted.utf8.count <= 255)
        #expect(fitted.hasSuffix(".jpg"))
        #expect(ComponentName.numbered(fitted, 12).hasSuffix("[12].jpg"))
        #expect(ComponentName.numbered(fitted, 12).utf8.count <= 255)
        #expect(ComponentName.fitted(String(repeating: "x", count: 300))?.utf8.count == 255)
        #expect(ComponentName.fitted("short") == "short")
    }
}

@Suite struct PartLayoutTests {
    @Test("slots follow each other from the base on")
    func slots() {
        #expect(PartLayout(stride: nil).slot(of: 1) == nil)
        #expect(PartLayout(stride: 10).slot(of: 3) == ByteRange(offset: 20, count: 10))
        #expect(PartLayout(stride: 10).slot(of: 0) == nil)
        #expect(PartLayout(stride: 10, base: 0).slot(of: 0) == ByteRange(offset: 0, count: 10))
        #expect(PartLayout(stride: .max).slot(of: 10_000) == nil, "a slot beyond 2^63 is none")
    }

    @Test("of a declared size the last slot is shorter, and there is none behind it; no bytes are one part")
    func declared() {
        let layout = PartLayout(stride: 10, total: 25)
        #expect(layout.slot(of: 2) == ByteRange(offset: 10, count: 10))
        #expect(layout.slot(of: 3) == ByteRange(offset: 20, count: 5))
        #expect(layout.slot(of: 4) == nil)
        #expect(PartLayout(stride: 10, total: 0).slot(of: 1) == .empty)
        #expect(PartLayout(stride: 10, total: 0).slot(of: 2) == nil)
        #expect(PartLayout.partCount(total: 30, stride: 10) == 3)
        #expect(PartLayout.partCount(total: .max, stride: 1) == .max)
    }
}

@Suite struct AssemblyRulesTests {
    private func digest(_ byte: UInt8) throws -> MD5Digest {
        try #require(MD5Digest(bytes: [UInt8](repeating: byte, count: 16)))
    }

    private func parts(_ sizes: [Int: Int64]) throws -> [Int: Part] {
        var parts: [Int: Part] = [:]
        for (number, size) in sizes {
            parts[number] = Part(number: number, size: size, digest: try digest(UInt8(number)))
        }
        return parts
    }

    @Test("every listed part must be there with its digest; others do not matter")
    func mismatch() throws {
        let parts = try parts([1: 10, 2: 10, 9: 1])
        let rules = AssemblyRules(totalMax: 100)
        let listed = try rules.check([PartClaim(number: 1, digest: digest(1))], against: parts)
        #expect(listed.map(\.number) == [1])
        for claim in [try PartClaim(number: 2, digest: digest(1)), try PartClaim(number: 3, digest: digest(3))] {
            #expect(throws: UploadError.partMismatch(number: claim.number)) { try rules.check([claim], against: parts) }
        }
    }

    @Test("sizes: least of all but the last, largest of all together, exact where declared")
    func sizes() throws {
        let parts = try parts([1: 9, 2: 10, 3: 3])
        let claims = { (numbers: [Int]) in
            try numbers.map { PartClaim(number: $0, digest: try self.digest(UInt8($0))) }
        }
        var rules = AssemblyRules(totalMax: 22)
        rules.partBytesMin = 10
        #expect(throws: UploadError.partTooSmall(number: 1, minBytes: 10)) {
            try rules.check(claims([1, 2, 3]), against: parts)
        }
        #expect(try rules.check(claims([2, 3]), against: parts).count == 2)
        rules.partBytesMin = 0
        #expect(try rules.check(claims([1, 2, 3]), against: parts).count == 3)
        rules.totalMax = 21
        #expect(throws: UploadError.tooLarge(maxBytes: 21)) { try rules.check(claims([1, 2, 3]), against: parts) }
        rules.total = 20
        #expect(throws: UploadError.lengthMismatch(declared: 20, received: 19)) {
            try rules.check(claims([1, 2]), against: parts)
        }
    }
}
