import Ledger
import Staging
import Uploads

// Where files can be put, and where not.

/// A root, or a directory that roots may lie in.
public struct SurveyedRoot: Sendable {
    /// Its path.
    public let path: String
    /// The space of its file system; `nil` when it can not be looked at.
    public let space: Space?
    /// What keeps files out of it, in words; `nil` when nothing does.
    public let problem: String?

    /// The space of a file system, in bytes.
    public struct Space: Sendable {
        /// What it has in all.
        public let total: Int64
        /// What may still be written.
        public let available: Int64
    }
}

extension Engine {
    /// Looks at all places for files, and tries those that are roots: a mark that is missing, a disk that is full and one that
    /// takes no writes are told.
    func surveyRoots(_ defaultRoot: String, and allowedRoots: [String]) throws(UploadError) -> [SurveyedRoot] {
        let used = try ledger.roots()
        var places = Set((used + allowedRoots).map { ByBytes($0) })
        places.insert(ByBytes(defaultRoot))
        var surveyed: [SurveyedRoot] = []
        for path in places.map(\.wrappedValue).sorted() {
            let space = DiskSpace(of: path).map { SurveyedRoot.Space(total: $0.total, available: $0.available) }
            let isRoot = path.isSame(as: defaultRoot) || used.holds(path)
            if isRoot, try isGivenUp(path), !allowedRoots.holds(path) { continue }
            let problem = isRoot ? problem(stagingIn: path) : Self.problem(of: space)
            surveyed.append(SurveyedRoot(path: path, space: space, problem: problem))
        }
        return surveyed
    }

    /// Whether nobody misses a root that is not there: no upload is open in it, and no request has asked for it of late.
    private func isGivenUp(_ root: String) throws(UploadError) -> Bool {
        if StagingArea.isRoot(root) || rootsInUse.isAsked(root) { return false }
        return try !ledger.unpublishedFiles().contains { $0.root.isSame(as: root) }
    }

    /// Why no file can be staged in a root.
    private func problem(stagingIn root: String) -> String? {
        do throws(UploadError) {
            // A look first, which does not count as a request for a root that is not there.
            if let problem = try problem(of: root) { return "\(problem.problem): \(problem.remedy)" }
            let area = try area(root)
            // A full disk gives names for files, but no room for a byte.
            try staged { () throws(StagingError) in
                try StagingFile.anonymous(in: area).write([UInt8](repeating: 0, count: Self.trialBytes).span, at: 0)
            }
            return nil
        } catch {
            return "\(error)"
        }
    }

    /// How much is written where it is tried whether there is room: a page.
    private static var trialBytes: Int { 4096 }

    /// Why no root in a directory can take files, as far as that can be seen without writing to it.
    private static func problem(of space: SurveyedRoot.Space?) -> String? {
        guard let space else { return "the directory is not there" }
        return space.available == 0 ? "no space is left" : nil
    }
}
