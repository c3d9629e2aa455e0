public import Ledger
import Staging
public import Uploads

// For operators: what there is, and what may be removed.

/// The state of a service.
public struct Survey: Sendable {
    /// How many uploads take bytes.
    public let openUploads: Int
    /// How many bytes these are to have, as far as it is known.
    public let declaredBytes: Int64
    /// How many events are to be delivered.
    public let dueEvents: Int
    /// The roots, and the directories that they may lie in, by their paths.
    public let roots: [SurveyedRoot]
}

/// An upload in all detail.
public struct UploadDetails: Sendable {
    /// What is listed of it.
    public let summary: UploadSummary
    /// What is committed of it, when it comes in ranges.
    public let coverage: [ByteRange]
    /// Its committed parts, when it comes in parts.
    public let parts: [StoredPart]
    /// Its session's data fields, and what is to be done with it.
    public let account: FileAccount?
}

/// An upload as a page shows it.
public struct UploadOverview: Sendable {
    /// Its number in the list.
    public let id: Int64
    /// The client's own file name.
    public let name: String
    /// The protocol that it is uploaded in.
    public let dialect: String
    /// Who is uploading.
    public let principal: String
    /// Whether it has its final name.
    public let isFinished: Bool
    /// Its size in bytes; 0 as long as nobody knows it.
    public let size: Int64
    /// How many bytes are committed.
    public let committedBytes: Int64
    /// When it began, in seconds since 1970.
    public let createdAt: Int64
    /// When its last byte was written, in seconds since 1970; `nil` when its file is not there.
    public let lastWrite: Int64?
    /// Which bytes are committed, ascending; none of a finished file.
    public let ranges: [ByteRange]
}

extension Engine {
    /// The uploads that a page shows: the youngest, open or finished.
    public func overview(max countMax: Int) throws(UploadError) -> [UploadOverview] {
        var all: [UploadOverview] = []
        for summary in try ledger.youngestUploads(countMax) {
            let file = summary.file
            let isFinished: Bool
            switch file.phase {
            case .reserved, .open, .publishing: isFinished = false
            case .published: isFinished = true
            case .cancelled: continue
            }
            var coverage = Coverage()
            if !isFinished {
                for range in try ledger.coverage(of: file) { _ = coverage.insert(range) }
                let layout: PartLayout? = if case .parts(let layout) = file.kind { layout } else { nil }
                for part in try ledger.parts(of: file) {
                    // What lies in a file of its own is shown where it belongs.
                    guard let start = layout?.slot(of: part.part.number)?.offset,
                        let range = ByteRange(offset: start, count: part.part.size)
                    else { continue }
                    _ = coverage.insert(range)
                }
            }
            all.append(
                UploadOverview(
                    id: file.id,
                    name: file.spec.fileName,
                    dialect: summary.dialect,
                    principal: summary.session.principal,
                    isFinished: isFinished,
                    size: file.spec.total,
                    committedBytes: summary.committedBytes,
                    createdAt: summary.createdAt,
                    lastWrite: isFinished ? nil : try lastWrite(to: file),
                    ranges: coverage.ranges
                )
            )
        }
        return all
    }

    /// All uploads, the oldest first, with those that are finished as long as they answer.
    public func uploads() throws(UploadError) -> [UploadSummary] { try ledger.uploads() }

    /// When the last byte of an upload was written, in seconds since 1970; `nil` when its file is not there.
    public func lastWrite(to file: StoredFile) throws(UploadError) -> Int64? {
        do throws(UploadError) {
            let area = try area(file.root)
            return try staged { () throws(StagingError) in try area.lastWrite(to: file.staging) }
        } catch .stagingUnavailable {
            return nil
        }
    }

    /// An upload by its number in the list; `nil` when there is none.
    public func details(of id: Int64) throws(UploadError) -> UploadDetails? {
        guard let summary = try ledger.upload(numbered: id) else { return nil }
        return UploadDetails(
            summary: summary,
            coverage: try ledger.coverage(of: summary.file),
            parts: try ledger.parts(of: summary.file),
            account: try ledger.account(of: summary.file)
        )
    }

    /// Removes an upload with its bytes, by its number in the list; a finished file stays where it is. False when there is
    /// none of this number.
    public func remove(_ id: Int64) throws(UploadError) -> Bool {
        for _ in 0..<Intake.lookUpsMax {
            guard let summary = try ledger.upload(numbered: id) else { return false }
            do throws(UploadError) {
                discard(try ledger.remove(summary.file))
                return true
            } catch .finished {
                // It gets its name first, so that whoever is to be told of it is told.
                _ = try publish(summary.file, tombstoneSeconds: 0)
            }
        }
        throw .superseded
    }

    /// The roots that files were ever staged in.
    public func roots() throws(UploadError) -> [String] { try ledger.roots() }

    /// What is counted of the finished files of all principals.
    public func usage() throws(UploadError) -> [Usage] { try ledger.usage() }

    /// Sets what is counted of a principal's finished files, as when the site has removed some.
    public func setUsage(_ bytes: Int64, of principal: String, on mount: String) throws(UploadError) {
        try ledger.setUsage(bytes, of: principal, on: mount)
    }

    /// The state of the service.
    ///
    /// - Parameters:
    ///   - defaultRoot: a root to look at besides those in which files were ever staged.
    ///   - allowedRoots: directories that roots may lie in.
    public func survey(_ defaultRoot: String, and allowedRoots: [String]) throws(UploadError) -> Survey {
        let totals = try ledger.totals()
        return Survey(
            openUploads: totals.openUploads,
            declaredBytes: totals.declaredBytes,
            dueEvents: totals.dueEvents,
            roots: try surveyRoots(defaultRoot, and: allowedRoots)
        )
    }
}
