import Foundation
import Synchronization
import Testing
import Uploads

@testable import Digests

@Suite struct SharedMD5Tests {
    private static func digest(_ bytes: [UInt8]) -> MD5Digest {
        let digest = MD5()
        digest.update(bytes.span)
        return digest.finish()
    }

    private static func shared(_ bytes: [UInt8], in pieces: Int, pausing: Bool = false) -> MD5Digest {
        var digest = SharedMD5()
        var rest = bytes[...]
        while !rest.isEmpty {
            digest.update(Array(rest.prefix(pieces)).span)
            if pausing { digest.pause() }
            rest = rest.dropFirst(pieces)
        }
        return digest.finish()
    }

    /// Runs threads to their ends, for a minute at most.
    private static func run(_ threads: [Thread]) {
        for thread in threads { thread.start() }
        var running = threads
        for _ in 0..<60_000 where !running.isEmpty {
            usleep(1000)
            running.removeAll { $0.isFinished }
        }
        #expect(running.isEmpty, "threads wait for ever")
    }

    @Test(
        "every length up to ten blocks, and about what is worth a meeting, in pieces that begin and end within blocks"
    )
    func lengths() {
        // Another part that comes in has this one gathered.
        let other = SharedMD5()
        for count in Array(0...640) + Array(4090...4170) {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 * 7) }
            let expected = Self.digest(bytes)
            for pieces in [1000, 64, 65, 7] {
                #expect(Self.shared(bytes, in: pieces) == expected)
                #expect(Self.shared(bytes, in: pieces, pausing: true) == expected)
            }
        }
        #expect(other.finish().description == "d41d8cd98f00b204e9800998ecf8427e")
    }

    @Test("parts of any lengths that come in at the same time", arguments: [2, 3, 8, 9, 16, 40])
    func together(count: Int) {
        let parts = (0..<count).map { index in
            [UInt8](repeating: UInt8(index), count: Int.random(in: 0...2_000_000)) + [1, 2, 3]
        }
        let wrong = Atomic<Int>(0)
        // Threads of their own, as they wait for each other.
        let threads = parts.map { part in
            Thread {
                let expected = Self.digest(part)
                for _ in 0..<3 {
                    if Self.shared(part, in: Int.random(in: 1...300_000), pausing: Bool.random()) != expected {
                        wrong.add(1, ordering: .relaxed)
                    }
                }
            }
        }
        Self.run(threads)
        #expect(wrong.load(ordering: .relaxed) == 0)
    }

    @Test("threads that meet again and again, each with little")
    func meetings() {
        let wrong = Atomic<Int>(0)
        let block = [UInt8](repeating: 7, count: 4160)
        let expected = Self.digest(Array(repeatElement(block, count: 1000).joined()))
        let threads = (0..<8).map { _ in
            Thread {
                var digest = SharedMD5()
                for _ in 0..<1000 {
                    digest.update(block.span)
                    digest.pause()
                }
                if digest.finish() != expected { wrong.add(1, ordering: .relaxed) }
            }
        }
        Self.run(threads)
        #expect(wrong.load(ordering: .relaxed) == 0)
    }
}
