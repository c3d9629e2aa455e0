import Digests
import Ledger
import Staging
import Uploads

// Making one file of the parts that its client lists.
//
// 1. Parts that lie where they belong are not touched; only the others are copied.
// 2. No byte is overwritten or cut off that is committed, or that a request has written and may commit yet: where a part
//    belongs on top of such, all are copied to a new staging file.
// 3. A failure, at whatever point, leaves every committed part readable, and the call can be repeated.

extension Engine {
    /// Makes a file of the listed parts and publishes it, or tells that exactly that has been done already.
    func assemble(
        _ key: FileKey,
        _ claims: [PartClaim],
        _ rules: AssemblyRules,
        tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        for _ in 0..<Intake.lookUpsMax {
            guard let found = try ledger.upload(key, now: now()) else { throw .unknownUpload }
            let area = try area(found.file.root)
            guard
                var staging = try staged({ () throws(StagingError) in
                    try StagingFile.open(found.file.staging, in: area)
                })
            else {
                switch found.file.phase {
                case .reserved, .open: try forgetIfLost(found.file, in: area)
                case .publishing, .published, .cancelled:
                    try requireFinished(found, claims)
                    return try settle(found.file, in: area, tombstoneSeconds)
                }
                continue
            }
            try staged { () throws(StagingError) in try staging.lockExclusively() }
            // While this request waited for the lock, another may have done the same, or given the upload up.
            guard let upload = try ledger.upload(key, now: now()), upload.file.staging == found.file.staging else {
                continue
            }
            switch upload.file.phase {
            case .reserved, .open:
                let plan = try AssemblyPlan(claims, rules, upload.parts)
                // A completion that died may have sealed it.
                try staged { () throws(StagingError) in try staging.unseal() }
                do throws(UploadError) {
                    return try carryOut(plan, upload.file, staging, rules, in: area, tombstoneSeconds)
                } catch .superseded {
                    // A part has been committed meanwhile, or the upload was given up: the list is compared anew.
                    continue
                }
            case .publishing:
                try requireFinished(upload, claims)
                // The lock goes with this open file before the other is made to wait for it.
                _ = consume staging
                return try publish(upload.file, tombstoneSeconds: tombstoneSeconds)
            case .published, .cancelled:
                try requireFinished(upload, claims)
                return try settle(upload.file, in: area, tombstoneSeconds)
            }
        }
        throw .superseded
    }

    /// Checks that a finished file is made of exactly the listed parts.
    private func requireFinished(_ upload: StoredUpload, _ claims: [PartClaim]) throws(UploadError) {
        if case .cancelled = upload.file.phase { throw .cancelled }
        let made = upload.parts.map { PartClaim(number: $0.part.number, digest: $0.part.digest) }
        guard made == claims else { throw .finished }
    }

    private func carryOut(
        _ plan: AssemblyPlan,
        _ file: StoredFile,
        _ staging: borrowing StagingFile,
        _ rules: AssemblyRules,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        let needsNewFile = plan.needsNewFile ? true : try !isFree(staging, plan, file)
        guard needsNewFile else {
            for move in plan.misplaced { try copy(move, of: file, staging, to: staging, in: area) }
            try check(staging, plan, rules)
            let assembly = plan.assembly(in: file.staging)
            return try publish(file, staging, assembly: assembly, in: area, tombstoneSeconds)
        }
        let name = StagingArea.makeName()
        do throws(UploadError) {
            var new = try staged { () throws(StagingError) in
                let new = try StagingFile.anonymous(in: area)
                try new.reserve(total: plan.total)
                return new
            }
            for move in plan.all { try copy(move, of: file, staging, to: new, in: area) }
            try check(new, plan, rules)
            do {
                try new.link(as: name, in: area)
                try new.lockExclusively()
            } catch {
                throw error.uploadError
            }
            return try publish(file, new, assembly: plan.assembly(in: name), in: area, tombstoneSeconds)
        } catch {
            // Unless the ledger knows it, the new file is nobody's; the upload may be gone, too.
            if try ledger.current(file.with(staging: name)) == nil { try? area.remove(name) }
            throw error
        }
    }

    /// Whether no request has bytes in a staging file, with its exclusive lock held, that the plan would overwrite or cut
    /// off; until the file is closed none can have.
    private func isFree(
        _ staging: borrowing StagingFile,
        _ plan: AssemblyPlan,
        _ file: StoredFile
    ) throws(UploadError) -> Bool {
        let isChanged = try staged { () throws(StagingError) in
            if !plan.misplaced.isEmpty { return true }
            return try staging.isLonger(than: plan.total)
        }
        guard isChanged else { return true }
        guard try staged({ () throws(StagingError) in try staging.claimAllSlots() }) else { return false }
        // Who had a slot a moment ago may have committed a part there.
        guard try ledger.parts(of: file) == plan.known else { throw .superseded }
        return true
    }

    /// Copies a part to where it belongs.
    private func copy(
        _ move: AssemblyPlan.Move,
        of file: StoredFile,
        _ staging: borrowing StagingFile,
        to target: borrowing StagingFile,
        in area: borrowing StagingArea
    ) throws(UploadError) {
        let size = move.part.part.size
        switch move.part.place {
        case .staging(let offset):
            guard let range = ByteRange(offset: offset, count: size) else {
                throw .partMismatch(number: move.part.part.number)
            }
            do { try target.copy(range, of: staging, to: move.offset) } catch { throw error.uploadError }
        case .scratch(let name):
            guard let scratch = try staged({ () throws(StagingError) in try StagingFile.open(name, in: area) }) else {
                discard(try ledger.drop([move.part], of: file))
                throw .partMismatch(number: move.part.part.number)
            }
            do { try target.copy(.first(size), of: scratch, to: move.offset) } catch { throw error.uploadError }
        }
    }

    /// Checks the MD5 of the whole file where its client gave one: the only time that bytes are read again.
    private func check(
        _ file: borrowing StagingFile,
        _ plan: AssemblyPlan,
        _ rules: AssemblyRules
    ) throws(UploadError) {
        guard let expected = rules.digest else { return }
        if plan.listed.count == 1 {
            guard plan.listed[0].part.digest == expected else { throw .digestMismatch }
            return
        }
        let digest = try staged { () throws(StagingError) in try file.digest(of: .first(plan.total)) }
        guard digest == expected else { throw .digestMismatch }
    }
}

/// Where the listed parts belong in the file, and which of them must be copied there.
struct AssemblyPlan {
    /// The listed parts, ascending.
    let listed: [StoredPart]
    /// All committed parts, ascending.
    let known: [StoredPart]
    /// The size of the file in bytes.
    let total: Int64
    /// True when the file can not be made in its staging file without overwriting committed bytes.
    let needsNewFile: Bool
    /// Where each part belongs, ascending.
    let all: [Move]
    /// The parts of these that lie elsewhere.
    let misplaced: [Move]

    /// A part and its place.
    struct Move: Hashable {
        let part: StoredPart
        /// Where its first byte belongs.
        let offset: Int64
    }

    init(_ claims: [PartClaim], _ rules: AssemblyRules, _ parts: [StoredPart]) throws(UploadError) {
        let byNumber = Dictionary(parts.map { ($0.part.number, $0) }) { $1 }
        _ = try rules.check(claims, against: byNumber.mapValues(\.part))
        listed = claims.compactMap { byNumber[$0.number] }
        known = parts
        var end: Int64 = 0
        var all: [Move] = []
        for part in listed {
            all.append(Move(part: part, offset: end))
            end += part.part.size
        }
        let total = end
        self.total = total
        self.all = all
        misplaced = all.filter { $0.part.place != .staging(offset: $0.offset) && $0.part.part.size > 0 }
        let occupied = Coverage(parts.compactMap(\.bytesInStaging))
        needsNewFile =
            misplaced.contains { move in
                ByteRange(offset: move.offset, count: move.part.part.size).map(occupied.overlaps) ?? true
            }
            // What lies behind the end is cut off before anybody is asked about the file, so nothing may lie there that is
            // still needed when it is refused its name.
            || parts.contains { ($0.bytesInStaging?.end ?? 0) > total }
    }

    /// What the ledger is told of the finished file.
    func assembly(in staging: String) -> Assembly {
        var offset: Int64 = 0
        var parts: [StoredPart] = []
        for part in listed {
            parts.append(StoredPart(part.part, checksum: part.checksum, place: .staging(offset: offset)))
            offset += part.part.size
        }
        return Assembly(total: total, staging: staging, parts: parts, choosing: known)
    }
}

extension StoredPart {
    /// Which bytes of the staging file are its own.
    fileprivate var bytesInStaging: ByteRange? {
        switch place {
        case .staging(let offset): ByteRange(offset: offset, count: part.size)
        case .scratch: nil
        }
    }
}
