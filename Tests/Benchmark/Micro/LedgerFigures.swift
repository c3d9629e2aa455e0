import Foundation
import Ledger
import Uploads

/// How many transactions the ledger does in a second, on a file that comes in order in segments of 100 KiB.
final class LedgerFigures {
    private static let segmentBytes: Int64 = 100 << 10
    private static let total: Int64 = 1 << 50

    private let directory: String
    private let ledger: SQLiteLedger
    private let key = SessionKey(mount: "/upload", principal: "", id: "bench")
    private let file: StoredFile
    private var end: Int64 = 0

    /// - Parameter parent: where the ledger is made, for as long as the figures are there.
    init(in parent: String) throws {
        directory = parent + "/fermata-bench-" + UUID().uuidString.prefix(8)
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
        ledger = try SQLiteLedger(stateDirectory: directory)
        guard let path = RelativePath(parsing: "f") else { throw BenchmarkError("a name is a path") }
        let spec = FileSpec(
            field: "f",
            fileName: "f",
            mediaType: "",
            target: Target(path, ifTaken: .addNumber),
            total: Self.total
        )
        let new = NewFile(key: key, spec: spec, root: "/r", staging: "s", expiresAt: .max, now: 0)
        file = try ledger.reserve(new).file
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    var all: [Figure] {
        [
            Figure(name: "ledger, look up the file of a segment", unit: "transactions/s") {
                for _ in 0..<100 {
                    let range = ByteRange(offset: self.end, count: Self.segmentBytes) ?? .first(0)
                    guard try self.ledger.file("f", of: self.key, overlapping: range, now: 0) != nil else {
                        throw BenchmarkError("the file is lost")
                    }
                }
                return 100
            },
            Figure(name: "ledger, commit a segment", unit: "transactions/s") {
                for _ in 0..<100 { try self.commit() }
                return 100
            },
        ]
    }

    private func commit() throws {
        guard let range = ByteRange(offset: end, count: Self.segmentBytes) else { throw BenchmarkError("the end") }
        end = range.end
        let limits = CommitLimits(
            disjointRangesMax: 1024,
            fileBytesMax: Self.total,
            expiresAt: 86_400 + Int64(Date().timeIntervalSince1970),
            isDurable: false
        )
        let segment = CommittedSegment(range: range, checksum: UInt64.random(in: 0...(.max)))
        if try ledger.commit(segment, to: file, limits: limits).needsSync {
            try ledger.markSynced(try ledger.unsyncedSegments(of: file), of: file)
        }
    }
}
