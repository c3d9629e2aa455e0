import Digests
import Foundation

/// How many bytes digests take in a second of CPU time.
enum DigestFigures {
    private static let partBytes = 16 << 20
    private static let pieceBytes = 32 << 10

    static var all: [Figure] {
        let pieces = (0..<partBytes / pieceBytes).map { _ in
            (0..<pieceBytes).map { _ in UInt8.random(in: 0...255) }
        }
        let checksum = Figure(name: "XXH3", unit: "GB/s") {
            let checksum = Checksum()
            for piece in pieces { checksum.update(piece.span) }
            return Double(partBytes) / 1e9
        }
        return [checksum]
            + [1, 2, 4, 8, 16].map { count in
                Figure(name: "MD5, parts at the same time: \(count)", unit: "GB/s of CPU time", isCPUTime: true) {
                    together(count, pieces)
                    return Double(count * partBytes) / 1e9
                }
            }
    }

    /// Hashes as many parts as there are threads.
    private static func together(_ count: Int, _ pieces: [[UInt8]]) {
        let ended = DispatchGroup()
        for _ in 0..<count {
            ended.enter()
            Thread {
                var digest = SharedMD5()
                for piece in pieces { digest.update(piece.span) }
                _ = digest.finish()
                ended.leave()
            }.start()
        }
        ended.wait()
    }
}
