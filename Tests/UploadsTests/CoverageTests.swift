import Testing

@testable import Uploads

@Suite struct CoverageTests {
    private func range(_ offset: Int64, _ end: Int64) throws -> ByteRange {
        try #require(ByteRange(offset: offset, end: end))
    }

    @Test("what is taken out is not covered, and all else is")
    func remove() throws {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            var bytes = Set<Int64>()
            var coverage = Coverage()
            for _ in 0..<20 {
                let offset = Int64.random(in: 0...40, using: &generator)
                let range = try #require(ByteRange(offset: offset, count: Int64.random(in: 0...10, using: &generator)))
                if Bool.random(using: &generator) {
                    coverage.insert(range)
                    bytes.formUnion(range.offset..<range.end)
                } else {
                    coverage.remove(range)
                    bytes.subtract(range.offset..<range.end)
                }
                let covered = coverage.ranges.flatMap { Array($0.offset..<$0.end) }
                try #require(covered == bytes.sorted(), "\(coverage)")
            }
        }
    }

    @Test("ranges are half-open, ordered and checked for overflow")
    func ranges() throws {
        #expect(ByteRange(offset: 4, end: 3) == nil)
        #expect(ByteRange(offset: -1, end: 3) == nil)
        #expect(ByteRange(offset: .max, count: 1) == nil)
        #expect(ByteRange(offset: 0, count: -1) == nil)
        #expect(try range(4, 4).isEmpty)
        #expect(try !range(0, 4).overlaps(range(4, 8)))
        #expect(try range(0, 4).touches(range(4, 8)))
        #expect(try !range(4, 4).overlaps(range(0, 8)))
    }

    @Test("an insertion tells what it absorbed, and nothing when nothing changed")
    func merge() throws {
        var coverage = Coverage()
        #expect(try coverage.insert(range(10, 20)) == .init(removed: [], inserted: range(10, 20)))
        #expect(try coverage.insert(range(30, 40)) == .init(removed: [], inserted: range(30, 40)))
        #expect(try coverage.insert(range(12, 18)) == nil)
        #expect(try coverage.insert(range(5, 5)) == nil)
        #expect(
            try coverage.insert(range(20, 30))
                == .init(removed: [range(10, 20), range(30, 40)], inserted: range(10, 40))
        )
        #expect(coverage.contiguousPrefix == 0)
        coverage.insert(try range(0, 10))
        #expect(coverage.contiguousPrefix == 40)
        #expect(coverage.isWhole(total: 40))
        #expect(!coverage.isWhole(total: 41))
    }

    @Test("random insertions give what a bitmap gives", arguments: 0..<100)
    func random(seed: Int) throws {
        var state = UInt64(seed) &* 0x9E37_79B9_7F4A_7C15 &+ 1
        func next(_ bound: UInt64) -> Int64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int64((state >> 33) % bound)
        }
        var coverage = Coverage()
        var bitmap = [Bool](repeating: false, count: 80)
        for _ in 0..<40 {
            let offset = next(70)
            let inserted = try range(offset, offset + next(10))
            let overlaps = bitmap[Int(inserted.offset)..<Int(inserted.end)].contains(true)
            #expect(coverage.overlaps(inserted) == overlaps, "seed \(seed)")
            coverage.insert(inserted)
            for index in inserted.offset..<inserted.end { bitmap[Int(index)] = true }
            var expected: [ByteRange] = []
            var start: Int64?
            for (index, isSet) in (bitmap + [false]).enumerated() {
                if isSet, start == nil { start = Int64(index) }
                if !isSet, let first = start {
                    expected.append(try range(first, Int64(index)))
                    start = nil
                }
            }
            #expect(coverage.ranges == expected, "seed \(seed)")
        }
    }
}

@Suite struct FilePhaseTests {
    private let stored = FileSpec(field: "f", fileName: "a", mediaType: "", target: .test("a"), total: 10)
    private let other = FileSpec(field: "f", fileName: "b", mediaType: "", target: .test("b"), total: 10)

    @Test(
        "what becomes of a segment, by the tables of docs/dialects/dcloud.md 1.4.3 and 1.4.6",
        arguments: [
            // phase, offset, end, same file, admission
            (FilePhase.reserved, 0, 4, true, Admission.write), (.reserved, 4, 8, true, .write),
            (.reserved, 4, 8, false, .replace), (.open, 0, 4, true, .write), (.open, 4, 8, true, .write),
            (.open, 0, 4, false, .replace), (.open, 4, 8, false, .refuse(.fileChanged)),
            (.published(name: "a"), 0, 4, true, .acknowledge), (.published(name: "a"), 0, 0, true, .acknowledge),
            (.published(name: "a"), 4, 8, true, .acknowledge), (.published(name: "a"), 10, 10, true, .acknowledge),
            (.published(name: "a"), 0, 4, false, .replace),
            (.published(name: "a"), 4, 8, false, .refuse(.fileChanged)),
            (.publishing(name: "a", inode: 1), 0, 4, true, .finishPublishing),
        ] as [(FilePhase, Int64, Int64, Bool, Admission)]
    )
    func admission(phase: FilePhase, offset: Int64, end: Int64, isSame: Bool, expected: Admission) throws {
        let range = try #require(ByteRange(offset: offset, end: end))
        #expect(phase.admission(of: range, declared: isSame ? stored : other, stored: stored) == expected)
    }

    @Test("types are extensions or media types, in any case")
    func types() {
        var mount = Mount(name: "m", root: "/")
        #expect(mount.allows(fileName: "x.exe", mediaType: ""))
        mount.types = ["png", "image/webp"]
        #expect(mount.allows(fileName: "x.PNG", mediaType: ""))
        #expect(mount.allows(fileName: "x", mediaType: "Image/WebP; q=1"))
        #expect(!mount.allows(fileName: "png", mediaType: "text/plain"))
        #expect(!mount.allows(fileName: "x.png.exe", mediaType: ""))
    }
}
