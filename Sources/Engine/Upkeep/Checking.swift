import Glibc
import Ledger
import Staging
public import Uploads

// Compares the ledger with the disk.

/// Something in which ledger and disk differ.
public struct Finding: Hashable, Sendable, CustomStringConvertible {
    /// What is wrong, in words.
    public let description: String
    /// What a repair does about it; `nil` when it can do nothing.
    public let remedy: String?
    /// Why the repair failed; `nil` when it did not, or none was wanted.
    public let failure: String?

    init(_ description: String, remedy: String?, failure: String? = nil) {
        self.description = description
        self.remedy = remedy
        self.failure = failure
    }
}

extension Engine {
    /// How long a rest is between two looks at a whole file that lacks its name, in microseconds.
    private static let lookMicroseconds: useconds_t = 50_000

    /// Compares the ledger with the disk: every committed byte against its checksum, every name against its file.
    ///
    /// A repair never removes a committed byte: it takes back from the ledger what is not true, finishes what was begun,
    /// and removes staging files that no session knows. What can not be looked at or repaired is a finding, too, and does
    /// not keep the rest waiting.
    ///
    /// - Parameters:
    ///   - isRepairing: whether remedies are applied.
    ///   - grace: for how long whole files are waited for that lack their names: beside a service, requests give them after
    ///     they have committed the last bytes, and hold no lock in between.
    public func check(
        isRepairing: Bool,
        tombstoneSeconds: Int64,
        grace: Duration = .zero
    ) throws(UploadError) -> [Finding] {
        var findings: [Finding] = []
        let unavailable = Dictionary(try unavailableRoots().map { ($0.root, $0.problem) }) { $1 }
        for (root, problem) in unavailable.sorted(by: { $0.key < $1.key }) {
            findings.append(Finding("\(root): \(problem.problem): \(problem.remedy)", remedy: nil))
        }
        for file in try ledger.unpublishedFiles() where unavailable[file.root] == nil {
            do { findings += try check(file, isRepairing) } catch .stagingUnavailable {
                // One that has gone just now is told by the next check.
                continue
            } catch .uploadBusy {
                // Its completion is under way; what it leaves is for the next check.
                continue
            } catch {
                findings.append(Finding("\(name(of: file)) can not be looked at: \(error)", remedy: nil))
            }
        }
        let end = ContinuousClock.now + grace
        for file in try ledger.unpublishedWholeFiles(now: now()) where unavailable[file.root] == nil {
            do { findings += try finish(file, until: end, isRepairing, tombstoneSeconds) } catch .stagingUnavailable {
                continue
            } catch .uploadBusy {
                continue
            } catch {
                findings.append(Finding("\(name(of: file)) can not be looked at: \(error)", remedy: nil))
            }
        }
        for root in try ledger.stagingNames().keys.sorted() where unavailable[root] == nil {
            do throws(UploadError) {
                for orphan in try orphans(in: root) {
                    findings.append(
                        repair(
                            "\(root): staging file \(orphan.staging) is of no upload",
                            by: "remove it",
                            isRepairing
                        ) { () throws(UploadError) in
                            let area = try area(root)
                            try staged { () throws(StagingError) in try area.remove(orphan.staging) }
                        }
                    )
                }
            } catch .stagingUnavailable {
                continue
            } catch {
                findings.append(Finding("\(root) can not be looked at: \(error)", remedy: nil))
            }
        }
        return findings
    }

    /// A finding with its remedy, which is applied where that is wanted.
    private func repair(
        _ description: String,
        by remedy: String,
        _ isRepairing: Bool,
        _ apply: () throws(UploadError) -> Void
    ) -> Finding {
        guard isRepairing else { return Finding(description, remedy: remedy) }
        do throws(UploadError) {
            try apply()
            return Finding(description, remedy: remedy)
        } catch {
            return Finding(description, remedy: remedy, failure: "\(error)")
        }
    }

    /// Looks at a file that was whole, without a final name, a moment ago, again and again until a time.
    private func finish(
        _ file: StoredFile,
        until end: ContinuousClock.Instant,
        _ isRepairing: Bool,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> [Finding] {
        guard var current = try unnamed(file) else { return [] }
        while ContinuousClock.now < end {
            usleep(Self.lookMicroseconds)
            guard let file = try unnamed(current) else { return [] }
            current = file
        }
        return [
            repair(
                "\(name(of: file)) is whole but has no final name",
                by: "publish it as \(file.spec.target.path.text)",
                isRepairing
            ) { () throws(UploadError) in
                do throws(UploadError) {
                    _ = try publish(current, tombstoneSeconds: tombstoneSeconds)
                } catch .superseded {
                    // Its client has begun it anew, or has given it up.
                }
            }
        ]
    }

    /// The file as it is now, if it still lacks its name; `nil` also when it is not the same any more.
    private func unnamed(_ file: StoredFile) throws(UploadError) -> StoredFile? {
        // A request that completes it holds the lock until the ledger knows that it has its name.
        let area = try area(file.root)
        if var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) }) {
            try staged { () throws(StagingError) in try staging.lockExclusively() }
        } else if let (named, _) = try ledger.current(file), case .publishing(let name, _) = named.phase,
            let path = RelativePath(parsing: name),
            var published = try staged({ () throws(StagingError) in try StagingFile.open(published: path, in: area) })
        {
            try staged { () throws(StagingError) in try published.lockExclusively() }
        }
        guard let (current, _) = try ledger.current(file) else { return nil }
        switch current.phase {
        case .reserved, .open, .publishing: return current
        case .published, .cancelled: return nil
        }
    }

    private func check(_ file: StoredFile, _ isRepairing: Bool) throws(UploadError) -> [Finding] {
        let area = try area(file.root)
        guard
            var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else {
            // Since it was listed it may have been published or restarted, of which the ledger knew before.
            guard let (current, _) = try ledger.current(file), current.isUndecided else { return [] }
            return [
                repair("\(name(of: file)): its bytes are gone", by: "forget the upload", isRepairing) {
                    () throws(UploadError) in discard(try ledger.forget(file) ?? [])
                }
            ]
        }
        // Nobody writes while the bytes are compared with what the ledger says now.
        try staged { () throws(StagingError) in try staging.lockExclusively() }
        guard let (file, _) = try ledger.current(file), file.isUndecided else { return [] }
        let (segments, parts) = try damage(of: file, staging, in: area)
        var findings: [Finding] = []
        if !segments.isEmpty {
            let ranges = Coverage(segments.map(\.range)).ranges.map(\.description).joined(separator: ", ")
            findings.append(
                repair(
                    "\(name(of: file)): bytes \(ranges) are not those that were committed",
                    by: "ask its client for them again",
                    isRepairing
                ) { () throws(UploadError) in try ledger.drop(segments, of: file) }
            )
        }
        if !parts.isEmpty {
            let numbers = parts.map { String($0.part.number) }.joined(separator: ", ")
            findings.append(
                repair(
                    "\(name(of: file)): parts \(numbers) are not those that were committed",
                    by: "ask its client for them again",
                    isRepairing
                ) { () throws(UploadError) in discard(try ledger.drop(parts, of: file)) }
            )
        }
        return findings
    }

    /// How a file is called in findings: by what an administrator can look for.
    private func name(of file: StoredFile) -> String {
        "\(file.root): upload of \(file.spec.target.path.text) (staging file \(file.staging))"
    }
}
