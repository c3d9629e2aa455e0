import Ledger
import Staging
import Uploads

/// The files of one request that rest: each has a staging name, and nobody has it open.
///
/// 1. A form may bring more files than a process may have open, and all of them wait for its end.
/// 2. The names begin with that of the *anchor*, a file without bytes that the request has open and marks as in use. As long
///    as it does, no sweep takes the others.
/// 3. A file that is still here when the request ends goes with it.
final class RestingFiles {
    /// What stands between the anchor's name and a number.
    private static let separator: Character = "-"

    private final class Anchor {
        let name: String
        /// Its mark ends when it is closed.
        private let file: StagingFile

        init(in area: borrowing StagingArea) throws(StagingError) {
            name = StagingArea.makeName()
            var file = try StagingFile.anonymous(in: area)
            try file.markInUse()
            try file.link(as: name, in: area)
            self.file = file
        }
    }

    private let engine: Engine
    private let root: String
    private var anchor: Anchor?
    private var names: Set<String> = []
    /// How many files have come to rest.
    private var count = 0

    /// The resting files of a request on a mount with this root.
    init(_ engine: Engine, root: String) {
        self.engine = engine
        self.root = root
    }

    deinit {
        let all = names.union(anchor.map { [$0.name] } ?? [])
        engine.discard(all.map { Leftover(root: root, staging: $0) })
    }

    /// Gives an open file without a name a staging name, under which it may be closed.
    func add(_ file: inout StagingFile) throws(UploadError) -> String {
        let area = try engine.area(root)
        let anchor = try makeAnchor(in: area)
        let name = "\(anchor.name)\(Self.separator)\(count)"
        do { try file.link(as: name, in: area) } catch { throw error.uploadError }
        count += 1
        names.insert(name)
        return name
    }

    private func makeAnchor(in area: borrowing StagingArea) throws(UploadError) -> Anchor {
        if let anchor { return anchor }
        let new = try staged { () throws(StagingError) in try Anchor(in: area) }
        anchor = new
        return new
    }

    /// Opens a file that rests.
    func open(_ name: String) throws(UploadError) -> StagingFile {
        let area = try engine.area(root)
        let file = try staged { () throws(StagingError) in try StagingFile.open(name, in: area) }
        guard let file else { throw .outOfTurn("open resting file", "it is gone") }
        return file
    }

    /// Leaves a file to who asks, with the duty to remove it.
    func handOver(_ name: String) { names.remove(name) }

    /// The name of the file that is in use as long as the one of this name may be: itself, or its anchor.
    static func nameInUse(for name: String) -> String { String(name.prefix { $0 != separator }) }
}
