import Glibc
import Ledger
import Staging
import Threading
public import Uploads

// Which roots are this ledger's own (docs/dialects/README.md 0.9).
//
// 1. A root has a mark in its staging folder that names the ledger and a number, and the ledger knows the number.
// 2. A root whose mark is missing although the ledger knows one, or is another's, is unavailable: nothing is staged in it,
//    and nothing of it is forgotten, settled, recovered or swept, as its bytes may only not be there now.
// 3. A mark is looked at when the folder is another than the last time, and once a second; a sweep always looks. As long as
//    it is the same in the same folder, the ledger is not asked about it.

/// Why a root is not used.
public enum RootProblem: Hashable, Sendable {
    /// The directory is not there; the ledger knows it, or not.
    case notThere(isKnown: Bool)
    /// Its staging folder can not be opened, made or read.
    case notOpened(reason: String)
    /// The ledger knows its mark, and it is not there.
    case markMissing
    /// The ledger of another state directory has marked it.
    case otherLedger(state: String)
    /// It has the mark of another root of the same ledger, whose path is known or not.
    case otherRoot(path: String?)
    /// A version without marks has used it, and none of the bytes of its open uploads are there.
    case bytesMissing(uploads: Int)
    /// Staging files are there that the ledger knows nothing of, and nobody has marked it.
    case foreignFiles(count: Int)
    /// What a crash left behind in it is being dealt with.
    case recovering

    /// What is wrong, in words.
    public var problem: String {
        switch self {
        case .notThere: "the directory is not there"
        case .notOpened(let reason): "no file can be staged in it: \(reason)"
        case .markMissing: "the mark that Fermata gave it is not there, as when its disk is not mounted"
        case .otherLedger(let state): "it belongs to the ledger of \(state)"
        case .otherRoot(let path?): "it has the mark of the root \(path)"
        case .otherRoot(nil): "it has a mark that its ledger does not know"
        case .bytesMissing(let uploads):
            "no byte of its \(uploads) open uploads is there, as when its disk is not mounted"
        case .foreignFiles(let count): "\(count) staging files are there that this ledger does not know"
        case .recovering: "it has just come back and is being checked"
        }
    }

    /// What to do about it, in words.
    public var remedy: String {
        switch self {
        case .notThere(isKnown: false): "make it, and give it to the user of serve"
        case .notThere(isKnown: true):
            "mount its disk; only if that was replaced for good: make it, and fermata adopt-root"
        case .notOpened:
            "give it to the user of serve, on a file system with O_TMPFILE such as ext4, XFS, Btrfs or tmpfs"
        case .markMissing, .bytesMissing:
            "mount it; only if the disk was replaced for good: fermata adopt-root"
        case .otherLedger:
            "give each state directory roots of its own; only if that ledger is lost for good: fermata adopt-root"
        case .otherRoot:
            "mount the right disk, or use the other path; only if it was moved for good: fermata adopt-root"
        case .foreignFiles:
            "start serve with the state directory that they belong to; only if that is lost for good: fermata adopt-root"
        case .recovering: "wait"
        }
    }
}

/// What the roots of an engine were found to be.
final class Roots: Sendable {
    /// For how long a root is taken for the one that it was.
    private static let lifetime = Duration.seconds(1)
    /// For how long a root that is not there is missed after somebody wanted to use it.
    private static let missedFor = Duration.seconds(600)

    private struct Known {
        let place: StagingArea.Place
        let mark: RootMark
        let end: ContinuousClock.Instant
    }

    private let known = Locked<[String: Known]>([:])
    /// When somebody last wanted to use a root that is not used.
    private let refused = Locked<[String: ContinuousClock.Instant]>([:])
    /// The roots that are being recovered, and by which threads.
    private let recovering = Locked<[String: pthread_t]>([:])
    /// What a recovery of a root that comes back later gives to tombstones; `nil` where this process does not recover.
    let tombstoneSeconds = Locked<Int64?>(nil)

    /// Whether a root is the one that was looked at before.
    func isKnown(_ root: String, _ area: borrowing StagingArea) throws(StagingError) -> Bool {
        let place = try area.place()
        guard let known = known.withLock({ $0[root] }), known.place == place else { return false }
        if ContinuousClock.now < known.end { return true }
        guard try area.hasMark(known.mark) else { return false }
        note(root, at: place, known.mark)
        return true
    }

    func note(_ root: String, at place: StagingArea.Place, _ mark: RootMark) {
        known.withLock { $0[root] = Known(place: place, mark: mark, end: ContinuousClock.now + Self.lifetime) }
    }

    /// Whether somebody has wanted to use a root of late.
    func isAsked(_ root: String) -> Bool {
        let last = [known.withLock { $0[root]?.end }, refused.withLock { $0[root] }].compactMap { $0 }.max()
        return last.map { ContinuousClock.now < $0 + Self.missedFor } ?? false
    }

    func noteRefusal(of root: String) { refused.withLock { $0[root] = .now } }

    /// Begins to recover a root, unless a thread does already: returns that one.
    func beginRecovery(of root: String) -> pthread_t? {
        recovering.withLock { recovering in
            if let thread = recovering[root] { return thread }
            recovering[root] = pthread_self()
            return nil
        }
    }

    func endRecovery(of root: String) { recovering.withLock { $0[root] = nil } }
}

/// What a root is.
private enum Standing {
    /// This ledger's own by its mark, with its folder at a place.
    case own(KnownRoot, RootMark, StagingArea.Place)
    /// This ledger's own, by a mark whose number it has still to note.
    case unnoted(RootMark, StagingArea.Place)
    /// Nobody's, and without bytes that somebody may miss.
    case unmarked
    /// Not to be used.
    case unavailable(RootProblem)
}

extension Engine {
    /// Opens the staging area of a root.
    ///
    /// - Parameter isFresh: whether its mark is looked at in any case.
    /// - Throws: `stagingUnavailable` when it can not be opened, or is not this ledger's own.
    func area(_ root: String, isFresh: Bool = false) throws(UploadError) -> StagingArea {
        do throws(StagingError) {
            if !isFresh, let area = try StagingArea.openIfThere(root: root), try rootsInUse.isKnown(root, area) {
                return area
            }
        } catch {
            throw RootProblem.notOpened(reason: "\(error)").error(of: root)
        }
        do throws(UploadError) { return try identify(root) } catch {
            rootsInUse.noteRefusal(of: root)
            throw error
        }
    }

    /// Why a root is not used; `nil` when it is, or would be. Nothing is made or changed.
    public func problem(of root: String) throws(UploadError) -> RootProblem? {
        switch try standing(of: root) {
        case .own, .unnoted, .unmarked: nil
        case .unavailable(let problem): problem
        }
    }

    /// The roots that are not used, of those that files were ever staged in, and why.
    public func unavailableRoots() throws(UploadError) -> [(root: String, problem: RootProblem)] {
        var found: [(root: String, problem: RootProblem)] = []
        for root in try ledger.roots() {
            if let problem = try problem(of: root) { found.append((root, problem)) }
        }
        return found
    }

    private func identify(_ root: String) throws(UploadError) -> StagingArea {
        let mark: RootMark
        let place: StagingArea.Place
        var isRecovered = true
        switch try standing(of: root) {
        case .own(let known, let found, let folder):
            (mark, place) = (found, folder)
            isRecovered = known.isRecovered
        case .unnoted(let found, let folder):
            (mark, place) = (found, folder)
            try note(found, of: root)
        case .unmarked: (mark, place) = try self.mark(root)
        case .unavailable(let problem): throw problem.error(of: root)
        }
        guard let area = try open(root, at: place) else { throw RootProblem.markMissing.error(of: root) }
        if !isRecovered, try !recoverReturned(root, area) { return area }
        rootsInUse.note(root, at: place, mark)
        return area
    }

    /// Opens the staging area of a root; `nil` when its folder is another by now.
    private func open(_ root: String, at place: StagingArea.Place) throws(UploadError) -> StagingArea? {
        do throws(StagingError) {
            guard let area = try StagingArea.openIfThere(root: root), try area.place() == place else { return nil }
            return area
        } catch {
            throw RootProblem.notOpened(reason: "\(error)").error(of: root)
        }
    }

    /// Gives a root that nobody has marked a mark of this ledger.
    private func mark(_ root: String) throws(UploadError) -> (RootMark, StagingArea.Place) {
        let identity = ledger.identity
        let new = RootMark(ledger: identity.id, root: StagingArea.makeName(), state: identity.state)
        let found: (mark: RootMark?, place: StagingArea.Place)
        do throws(StagingError) {
            let area = try StagingArea.open(root: root)
            // Of several processes one makes it; what the others find is looked at as if it had always been there.
            found = (try area.give(new) ? new : try area.mark(), try area.place())
        } catch {
            throw RootProblem.notOpened(reason: "\(error)").error(of: root)
        }
        guard let mark = found.mark else { throw RootProblem.markMissing.error(of: root) }
        guard mark.ledger == identity.id else { throw RootProblem.otherLedger(state: mark.state).error(of: root) }
        try note(mark, of: root)
        return (mark, found.place)
    }

    private func note(_ mark: RootMark, of root: String) throws(UploadError) {
        guard try ledger.note(mark.root, of: root) == mark.root else { throw RootProblem.markMissing.error(of: root) }
    }

    /// Looks at a root, and changes nothing.
    private func standing(of root: String) throws(UploadError) -> Standing {
        let known = try ledger.root(root)
        let found: Found
        do throws(StagingError) { found = try look(root) } catch { return .unavailable(.notOpened(reason: "\(error)")) }
        switch (found, known) {
        case (.noRoot, let known): return .unavailable(.notThere(isKnown: known != nil))
        case (.noFolder, nil), (.folder(nil, fileCount: 0, _), nil): return .unmarked
        // Every version has made a folder in each root that it used.
        case (.noFolder, .some): return .unavailable(.markMissing)
        case (.folder(nil, let count, _), nil): return .unavailable(.foreignFiles(count: count))
        case (.folder(let mark?, _, let place), let known): return try standing(of: root, known, mark, at: place)
        case (.folder(nil, _, _), let known?):
            return known.mark == nil ? try formerStanding(of: root) : .unavailable(.markMissing)
        }
    }

    /// What is on the disk.
    private enum Found {
        case noRoot
        case noFolder
        /// A staging folder, its mark and how many staging files are in it.
        case folder(RootMark?, fileCount: Int, StagingArea.Place)
    }

    private func look(_ root: String) throws(StagingError) -> Found {
        guard let area = try StagingArea.openIfThere(root: root) else {
            return StagingArea.isRoot(root) ? .noFolder : .noRoot
        }
        var mark = try area.mark()
        // Once a root has its mark nobody asks how many there are.
        let count = try mark == nil ? area.names(unchangedSince: .max).count : 0
        // Another process may have marked it since, and then have staged what was counted.
        if count > 0 { mark = try area.mark() }
        return .folder(mark, fileCount: count, try area.place())
    }

    /// What a root with a mark is.
    private func standing(
        of root: String,
        _ known: KnownRoot?,
        _ found: RootMark,
        at place: StagingArea.Place
    ) throws(UploadError) -> Standing {
        if found.ledger != ledger.identity.id { return .unavailable(.otherLedger(state: found.state)) }
        if let known, let mark = known.mark {
            if mark == found.root { return .own(known, found, place) }
            return .unavailable(.otherRoot(path: try ledger.root(marked: found.root)))
        }
        // Another process may have noted the mark of this very root since the ledger was asked.
        if let path = try ledger.root(marked: found.root), !path.utf8.elementsEqual(root.utf8) {
            return .unavailable(.otherRoot(path: path))
        }
        return .unnoted(found, place)
    }

    /// What a root is that only versions without marks have used: an empty one that should not be is not mounted.
    private func formerStanding(of root: String) throws(UploadError) -> Standing {
        let open = try ledger.unpublishedFiles().filter { $0.root == root }
        let names = try names(in: root)
        let isThere = open.isEmpty || open.contains { names.contains($0.staging) }
        return isThere ? .unmarked : .unavailable(.bytesMissing(uploads: open.count))
    }

    /// The staging files of a root, whoever's it is.
    private func names(in root: String) throws(UploadError) -> Set<String> {
        do throws(StagingError) {
            guard let area = try StagingArea.openIfThere(root: root) else { return [] }
            return Set(try area.names(unchangedSince: .max))
        } catch {
            throw RootProblem.notOpened(reason: "\(error)").error(of: root)
        }
    }
}

extension RootProblem {
    /// The same for an answer and for the log.
    func error(of root: String) -> UploadError {
        .stagingUnavailable(StorageFailure(operation: "open root \(root)", reason: "\(problem): \(remedy)"))
    }
}

// MARK: Adoption

/// What the adoption of a root means, or has meant.
public struct Adoption: Hashable, Sendable {
    /// Why the root was not used; `nil` when there is nothing to do.
    public let problem: RootProblem?
    /// How many open uploads lose all that came of them, as their bytes are not there.
    public let lostUploads: Int
    /// How many staging files are there that the ledger does not know; they are swept.
    public let foreignFiles: Int
    /// Whether it has been adopted.
    public let isDone: Bool
}

extension Engine {
    /// Has a root belong to this ledger from now on, whoever's it was: it gets a new mark.
    ///
    /// - Parameter isForced: whether it is done even if bytes are lost by it.
    public func adopt(_ root: String, isForced: Bool) throws(UploadError) -> Adoption {
        let found: RootProblem
        switch try standing(of: root) {
        case .own, .unnoted, .unmarked:
            _ = try area(root)
            return Adoption(problem: nil, lostUploads: 0, foreignFiles: 0, isDone: true)
        case .unavailable(let problem): found = problem
        }
        switch found {
        case .notThere, .notOpened, .recovering: throw found.error(of: root)
        case .markMissing, .otherLedger, .otherRoot, .bytesMissing, .foreignFiles: break
        }
        let names = try names(in: root)
        let open = try ledger.unpublishedFiles().filter { $0.root == root }
        let lost = open.filter { !names.contains($0.staging) }.count
        let foreign = names.subtracting(try ledger.stagingNames()[root] ?? []).count
        let isAllowed = isForced || lost == 0 && foreign == 0
        if isAllowed {
            let identity = ledger.identity
            let mark = RootMark(ledger: identity.id, root: StagingArea.makeName(), state: identity.state)
            do throws(StagingError) { try StagingArea.open(root: root).replaceMark(with: mark) } catch {
                throw RootProblem.notOpened(reason: "\(error)").error(of: root)
            }
            try ledger.adopt(mark.root, of: root)
        }
        return Adoption(problem: found, lostUploads: lost, foreignFiles: foreign, isDone: isAllowed)
    }
}
