import Ledger
import Threading
import Uploads

/// A staging file by its root and name.
struct StagingPlace: Sendable {
    let root: String
    let name: String

    init(root: String, name: String) {
        self.root = root
        self.name = name
    }

    init(_ file: StoredFile) { self.init(root: file.root, name: file.staging) }
}

/// Where the bytes of the last uploads went, so that a segment can claim its bytes before its file is looked up.
///
/// What is remembered may be another upload's, or be gone: the look-up tells.
final class RecentFiles: Sendable {
    private static let count = 1024

    private let places = Locked([StagingPlace?](repeating: nil, count: count))

    /// Where an upload is remembered: uploads may share it, and then forget each other.
    struct Index: Sendable {
        fileprivate let value: Int

        init(_ key: SessionKey, field: String) {
            // FNV-1a. Whoever sees to it that uploads share an index makes his own a little slower.
            var hash: UInt64 = 0xCBF2_9CE4_8422_2325
            for text in [key.principal, key.id, field] {
                for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
            }
            value = Int(truncatingIfNeeded: hash >> 32) % RecentFiles.count
        }
    }

    /// Where the bytes of an upload probably go; `nil` when nobody knows.
    func place(at index: Index) -> StagingPlace? { places.withLock { $0[index.value] } }

    func remember(_ place: StagingPlace, at index: Index) { places.withLock { $0[index.value] = place } }
}
