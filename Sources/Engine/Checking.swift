import Ledger
import Staging
public import Uploads

// Whether the ledger is true of the disk.

/// Something in which ledger and disk differ.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in words.
    public let description: String
    /// What a repair does about it; `nil` when it can do nothing.
    public let remedy: String?
}

extension Engine {
    /// Compares the ledger with the disk: every committed byte against its checksum, every name against its file.
    ///
    /// A repair never removes a committed byte: it takes back from the ledger what is not true, finishes what was begun,
    /// and removes staging files that no session knows.
    ///
    /// - Parameter isRepairing: whether remedies are applied.
    public func check(isRepairing: Bool, tombstoneSeconds: Int64) throws(UploadError) -> [Finding] {
        var findings: [Finding] = []
        let unavailable = Dictionary(try unavailableRoots().map { ($0.root, $0.problem) }) { $1 }
        for (root, problem) in unavailable.sorted(by: { $0.key < $1.key }) {
            findings.append(Finding(description: "\(root): \(problem.problem): \(problem.remedy)", remedy: nil))
        }
        for file in try ledger.unpublishedFiles() where unavailable[file.root] == nil {
            // One that has gone just now is told by the next check.
            do { findings += try check(file, isRepairing) } catch .stagingUnavailable { continue }
        }
        for file in try ledger.unpublishedWholeFiles(now: now()) where unavailable[file.root] == nil {
            findings.append(
                Finding(
                    description: "\(name(of: file)) is whole but has no final name",
                    remedy: "publish it as \(file.spec.target.path.text)"
                )
            )
            if isRepairing { _ = try publish(file, tombstoneSeconds: tombstoneSeconds) }
        }
        for root in try ledger.stagingNames().keys.sorted() where unavailable[root] == nil {
            do {
                let orphans = try orphans(in: root)
                findings += orphans.map {
                    Finding(description: "\(root): staging file \($0.staging) is of no upload", remedy: "remove it")
                }
                if isRepairing { discard(orphans) }
            } catch .stagingUnavailable { continue }
        }
        return findings
    }

    private func check(_ file: StoredFile, _ isRepairing: Bool) throws(UploadError) -> [Finding] {
        let area = try area(file.root)
        guard var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            if isRepairing { try forgetIfLost(file, in: area) }
            return [Finding(description: "\(name(of: file)): its bytes are gone", remedy: "forget the upload")]
        }
        // Nobody writes while the bytes are compared with what the ledger says now.
        try staged { () throws(StagingError) in try staging.lockExclusively() }
        guard let (file, _) = try ledger.current(file) else { return [] }
        switch file.phase {
        case .reserved, .open: break
        case .publishing, .published, .cancelled: return []
        }
        let (segments, parts) = try damage(of: file, staging, in: area)
        var findings: [Finding] = []
        if !segments.isEmpty {
            let ranges = Coverage(segments.map(\.range)).ranges.map(\.description).joined(separator: ", ")
            findings.append(
                Finding(
                    description: "\(name(of: file)): bytes \(ranges) are not those that were committed",
                    remedy: "ask its client for them again"
                )
            )
            if isRepairing { try ledger.drop(segments, of: file) }
        }
        if !parts.isEmpty {
            let numbers = parts.map { String($0.part.number) }.joined(separator: ", ")
            findings.append(
                Finding(
                    description: "\(name(of: file)): parts \(numbers) are not those that were committed",
                    remedy: "ask its client for them again"
                )
            )
            if isRepairing { discard(try ledger.drop(parts, of: file)) }
        }
        return findings
    }

    /// How a file is called in findings: by what an administrator can look for.
    private func name(of file: StoredFile) -> String {
        "\(file.root): upload of \(file.spec.target.path.text) (staging file \(file.staging))"
    }
}
