import GRDB
public import Uploads

// The way of a file through the ledger: look up, reserve, commit, replace.

extension SQLiteLedger {
    public func progress(of key: SessionKey, now: Int64) throws(UploadError) -> SessionProgress? {
        if let progress = try knownProgress(of: key, now: now) { return progress }
        return try adoptFormer(key) ? knownProgress(of: key, now: now) : nil
    }

    private func knownProgress(of key: SessionKey, now: Int64) throws(UploadError) -> SessionProgress? {
        try read("read session") { db in
            guard let session = try db.session(key, now: now) else { return nil }
            return SessionProgress(
                files: try db.progress(of: session, now: now),
                fields: try db.fields(of: session)
            )
        }
    }

    public func outline(of key: SessionKey, now: Int64) throws(UploadError) -> SessionOutline? {
        if let outline = try knownOutline(of: key, now: now) { return outline }
        return try adoptFormer(key) ? knownOutline(of: key, now: now) : nil
    }

    private func knownOutline(of key: SessionKey, now: Int64) throws(UploadError) -> SessionOutline? {
        try read("read session") { db in
            guard let session = try db.session(key, now: now) else { return nil }
            return SessionOutline(
                files: try db.progress(of: session, now: now),
                fieldNames: try db.fieldNames(of: session)
            )
        }
    }

    public func file(
        _ field: String,
        of key: SessionKey,
        overlapping range: ByteRange,
        now: Int64
    ) throws(UploadError) -> (file: StoredFile, overlaps: Bool)? {
        if let found = try knownFile(field, of: key, overlapping: range, now: now) { return found }
        return try adoptFormer(key) ? knownFile(field, of: key, overlapping: range, now: now) : nil
    }

    private func knownFile(
        _ field: String,
        of key: SessionKey,
        overlapping range: ByteRange,
        now: Int64
    ) throws(UploadError) -> (file: StoredFile, overlaps: Bool)? {
        try lookUp("look up file") { db in
            try db.row(
                """
                SELECT \(fileColumns), (
                    SELECT "end" FROM range WHERE range.file = file.id AND start < ? ORDER BY start DESC LIMIT 1
                ) FROM \(fileOfKey)
                """,
                [range.end, key.mount, key.principal, key.id, key.root, now, field, now]
            ) { row in
                let coveredEnd: Int64? = row[fileColumnsCount]
                return (try StoredFile(row: row), !range.isEmpty && coveredEnd ?? 0 > range.offset)
            }
        }
    }

    public func reserve(_ new: NewFile) throws(UploadError) -> (file: StoredFile, leftovers: [Leftover]) {
        try write("reserve file") { db in
            var leftovers: [Leftover] = []
            let session = try db.makeSession(new, &leftovers)
            if let file = try db.file(new.spec.field, in: session, now: new.now) {
                if file.phase != .reserved || file.spec.isSameFile(as: new.spec) { return (file, leftovers) }
                leftovers += try db.leftovers(of: file.id)
            }
            return (try db.place(new, in: session, phase: .reserved), leftovers)
        }
    }

    public func commit(
        _ segment: CommittedSegment,
        to file: StoredFile,
        limits: CommitLimits
    ) throws(UploadError) -> Commit {
        try write("commit segment", durable: limits.isDurable) { db in
            guard let current = try db.openFile(file) else { throw UploadError.superseded }
            switch current.phase {
            case .reserved, .open: break
            case .publishing, .published: return Commit(prefix: current.total, isWhole: true)
            case .cancelled: throw UploadError.cancelled
            }
            let commit = try db.add(segment, to: current, limits)
            try db.keep(current, until: limits.expiresAt)
            // What has expired does not count, and others may have had its room since.
            if let bytesMax = limits.quotaBytesMax, current.hasExpired(at: limits.now) {
                try db.requireRoom(bytesMax, forFile: current.id, now: limits.now)
            }
            return commit
        }
    }

    public func unsyncedSegments(of file: StoredFile) throws(UploadError) -> [CommittedSegment] {
        try read("list segments") { db in try db.current(file) == nil ? [] : db.segments(of: file.id) }
    }

    public func markSynced(_ segments: [CommittedSegment], of file: StoredFile) throws(UploadError) {
        try write("note sync") { db in
            guard let current = try db.current(file), current.phase == .open else { return }
            for segment in segments {
                try db.run(
                    "DELETE FROM segment WHERE file = ? AND start = ? AND \"end\" = ? AND checksum = ?",
                    [file.id, segment.range.offset, segment.range.end, Int64(bitPattern: segment.checksum)]
                )
            }
            for range in Coverage(segments.map(\.range)).ranges { _ = try db.insert(range, into: .synced, of: file.id) }
            try db.recountSegments(of: file.id)
        }
    }

    public func replace(
        _ known: StoredFile?,
        with new: NewFile,
        _ segment: CommittedSegment,
        limits: CommitLimits
    ) throws(UploadError) -> (file: StoredFile, commit: Commit, leftovers: [Leftover]) {
        try write("replace file", durable: limits.isDurable) { db in
            var leftovers: [Leftover] = []
            let session = try db.makeSession(new, &leftovers)
            if let old = try db.file(new.spec.field, in: session, now: new.now) {
                if case .publishing = old.phase { throw UploadError.superseded }
                // Called again after its first call was carried out.
                if old.staging == new.staging, let open = try db.openFile(old) {
                    return (old, try db.add(segment, to: open, limits), leftovers)
                }
                if let known, known.id != old.id || known.staging != old.staging { throw UploadError.superseded }
                leftovers += try db.leftovers(of: old.id)
            }
            let file = try db.place(new, in: session, phase: .open)
            let open = OpenFile(
                id: file.id,
                session: session,
                expiresAt: new.expiresAt,
                phase: .open,
                total: file.spec.total,
                prefix: 0
            )
            return (file, try db.add(segment, to: open, limits), leftovers)
        }
    }

    public func current(_ file: StoredFile) throws(UploadError) -> (file: StoredFile, commit: Commit)? {
        try lookUp("look up file") { db in
            try db.row(
                "SELECT \(fileColumns), \(prefixColumn) FROM file WHERE id = ? AND staging = ?",
                [file.id, file.staging]
            ) { try StoredFile.withProgress(row: $0) }
        }
    }

    public func store(
        _ fields: [FormField],
        in key: SessionKey,
        limits: FieldLimits,
        expiresAt: Int64,
        now: Int64
    ) throws(UploadError) {
        try write("store fields") { db in
            guard let session = try db.session(key, now: now) else { return }
            try db.store(fields, in: session, limits: limits)
            try db.keep(session, until: expiresAt)
        }
    }

    public func claim(
        _ field: FormField,
        with others: [FormField],
        in key: SessionKey,
        limits: FieldLimits,
        expiresAt: Int64,
        now: Int64
    ) throws(UploadError) -> String? {
        try write("claim field", durable: true) { db in
            guard let session = try db.session(key, now: now) else { return nil }
            if let known = try db.fields(of: session).last(where: { $0.name.isSame(as: field.name) }) {
                return known.value
            }
            try db.store([field] + others, in: session, limits: limits)
            try db.keep(session, until: expiresAt)
            return field.value
        }
    }
}

extension Database {
    /// How far the files of a session are, in order of first appearance.
    fileprivate func progress(of session: Int64, now: Int64) throws -> [FileProgress] {
        try rows(
            """
            SELECT \(fileColumns), \(prefixColumn) FROM file WHERE session = ? AND phase > 0
            AND (tombstoneUntil IS NULL OR tombstoneUntil > ?) ORDER BY id
            """,
            [session, now],
            StoredFile.withProgress(row:)
        ).map { file, commit in
            let parts = try parts(of: file).map(\.part)
            switch file.phase {
            case .published(let path):
                let total = file.spec.total
                return FileProgress(
                    spec: file.spec,
                    prefix: total,
                    state: .published(path: path),
                    parts: parts,
                    kind: file.kind
                )
            case .cancelled:
                return FileProgress(spec: file.spec, prefix: 0, state: .cancelled, kind: file.kind)
            case .reserved, .open:
                return FileProgress(spec: file.spec, prefix: commit.prefix, parts: parts, kind: file.kind)
            case .publishing:
                return FileProgress(
                    spec: file.spec,
                    prefix: commit.prefix,
                    parts: parts,
                    kind: file.kind,
                    isBeingPublished: true
                )
            }
        }
    }
}

/// What a commit needs to know of its file.
struct OpenFile {
    let id: Int64
    let session: Int64
    let expiresAt: Int64
    let phase: PhaseCode
    let total: Int64
    let prefix: Int64

    /// Whether its session has expired at a time; what is committed then has it live again.
    func hasExpired(at now: Int64) -> Bool { expiresAt <= now }
}

extension Database {
    /// The file of a number, as long as it has the same staging file.
    func openFile(_ file: StoredFile) throws -> OpenFile? {
        try row(
            """
            SELECT session, expiresAt, phase, total, \(prefixColumn)
            FROM file JOIN session ON session.id = file.session WHERE file.id = ? AND staging = ?
            """,
            [file.id, file.staging]
        ) { row in
            guard let phase = PhaseCode(rawValue: row[2]) else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "file \(file.id) is in no known phase")
            }
            return OpenFile(
                id: file.id,
                session: row[0],
                expiresAt: row[1],
                phase: phase,
                total: row[3],
                prefix: row[4]
            )
        }
    }

    /// Has the session of a file expire at a time. One that does already is not written.
    func keep(_ file: OpenFile, until expiresAt: Int64) throws {
        if file.expiresAt != expiresAt { try keep(file.session, until: expiresAt) }
    }

    /// Has a session expire at a time.
    fileprivate func keep(_ session: Int64, until expiresAt: Int64) throws {
        try run("UPDATE session SET expiresAt = ?1 WHERE id = ?2 AND expiresAt <> ?1", [expiresAt, session])
    }

    /// The session of a new file, made when there is none; one that has expired is removed first.
    func makeSession(_ new: NewFile, _ leftovers: inout [Leftover]) throws -> Int64 {
        let key = new.key
        if let session = try session(key, now: new.now) { return session }
        do { leftovers += try removeSession(key) } catch UploadError.finished {
            // Its file goes on to its name, and its session goes then.
            throw UploadError.superseded
        }
        try run(
            "INSERT INTO session (mount, principal, key, mountRoot, expiresAt) VALUES (?, ?, ?, ?, ?)",
            key.arguments + [new.expiresAt]
        )
        return lastInsertedRowID
    }

    /// Makes the row of a new file, or turns the row that has its field name into it.
    func place(
        _ new: NewFile,
        in session: Int64,
        phase: PhaseCode,
        kind: NewUpload.Kind = .ranges
    ) throws -> StoredFile {
        let spec = new.spec
        try requireRoom(for: new, in: session)
        try run("INSERT OR IGNORE INTO root (path) VALUES (?)", [new.root])
        let id: Int64? = try row(
            """
            INSERT INTO file (session, field, fileName, mediaType, target, replaces, total, root, staging, phase, kind,
                stride, base, hook, veto, manifest, dialect, createdAt)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (session, field) DO UPDATE SET fileName = excluded.fileName,
                mediaType = excluded.mediaType, target = excluded.target, replaces = excluded.replaces,
                total = excluded.total, kind = excluded.kind, stride = excluded.stride, base = excluded.base,
                partBytes = 0, hook = excluded.hook, veto = excluded.veto, manifest = excluded.manifest,
                dialect = excluded.dialect, createdAt = excluded.createdAt,
                root = excluded.root, staging = excluded.staging, phase = excluded.phase, name = NULL, inode = NULL,
                tombstoneUntil = NULL, rangeCount = 0
            RETURNING id
            """,
            [
                session, spec.field, spec.fileName, spec.mediaType, spec.target.path.text,
                spec.target.ifTaken == .replace, spec.total, new.root, new.staging, phase.rawValue, kind.code.rawValue,
                kind.layout?.stride, kind.layout?.base ?? 1, new.handOff.hook, new.handOff.veto,
                new.handOff.hasManifest, new.dialect, new.now,
            ]
        ) { $0[0] }
        guard let id else { throw DatabaseError(message: "INSERT … RETURNING returned no row") }
        try removeBytes(of: id)
        return StoredFile(
            id: id,
            spec: spec,
            root: new.root,
            staging: new.staging,
            phase: phase == .reserved ? .reserved : .open,
            kind: kind
        )
    }

    /// Merges a segment into a file's coverage, which makes the file open.
    fileprivate func add(_ segment: CommittedSegment, to file: OpenFile, _ limits: CommitLimits) throws -> Commit {
        let (id, range) = (file.id, segment.range)
        let touching = try coverageRows(of: id, near: range)
        var unsyncedCount = touching.map(\.segmentCount).reduce(0, +)
        var hasCutSegments = false
        if touching.contains(where: { $0.range.overlaps(range) }) {
            let forgotten = try forgetSegments(under: range, of: id)
            unsyncedCount -= forgotten.count
            hasCutSegments = forgotten.hasCut
        }
        if limits.isDurable {
            _ = try insert(range, into: .synced, of: id)
        } else if !range.isEmpty {
            try run(
                "INSERT INTO segment (file, start, \"end\", checksum) VALUES (?, ?, ?, ?)",
                [id, range.offset, range.end, Int64(bitPattern: segment.checksum)]
            )
            unsyncedCount += 1
        }
        let union = touching.reduce(range) { $0.union($1.range) }
        let rangeCount = try range.isEmpty ? nil : put(union, for: touching, of: id, segmentCount: unsyncedCount)
        if let rangeCount, rangeCount > limits.disjointRangesMax {
            throw UploadError.tooManyRanges(max: limits.disjointRangesMax)
        }
        if file.phase == .reserved {
            try run("UPDATE file SET phase = ? WHERE id = ?", [PhaseCode.open.rawValue, id])
        }
        // The sum is made now and then only: it may be one of many rows.
        let isDue = (rangeCount ?? unsyncedCount) % CommitLimits.unsyncedSegmentsStep == 0
        if isDue { unsyncedCount = try row("SELECT sum(segments) FROM range WHERE file = ?", [id]) { $0[0] } ?? 0 }
        let prefix = union.offset == 0 ? union.end : file.prefix
        return Commit(
            prefix: prefix,
            isWhole: prefix == file.total,
            needsSync: hasCutSegments || isDue && unsyncedCount >= CommitLimits.unsyncedSegmentsMax
        )
    }

    /// A row of the coverage.
    private struct CoverageRow {
        let range: ByteRange
        /// How many segments that are not known to be on disk begin in it.
        let segmentCount: Int
    }

    /// The rows of the coverage that overlap or touch `range`.
    private func coverageRows(of file: Int64, near range: ByteRange) throws -> [CoverageRow] {
        try rows(
            """
            SELECT start, "end", segments FROM range WHERE file = ?1 AND start <= ?3
            AND start >= ifnull((SELECT max(start) FROM range WHERE file = ?1 AND start < ?2), 0) ORDER BY start
            """,
            [file, range.offset, range.end]
        ) { CoverageRow(range: try ByteRange(row: $0), segmentCount: $0[2]) }.filter { range.touches($0.range) }
    }

    /// Puts one row in the place of those that it unites; the first stays where it can, as that writes least.
    ///
    /// - Returns: how many rows the file has now, if one has been added.
    private func put(
        _ union: ByteRange,
        for touching: [CoverageRow],
        of file: Int64,
        segmentCount: Int
    ) throws -> Int? {
        let stays = touching.first?.range.offset == union.offset
        for row in stays ? touching.dropFirst() : touching[...] {
            try run("DELETE FROM range WHERE file = ? AND start = ?", [file, row.range.offset])
        }
        if stays {
            try run(
                "UPDATE range SET \"end\" = ?, segments = ? WHERE file = ? AND start = ?",
                [union.end, segmentCount, file, union.offset]
            )
        } else {
            try run(
                "INSERT INTO range (file, start, \"end\", segments) VALUES (?, ?, ?, ?)",
                [file, union.offset, union.end, segmentCount]
            )
        }
        switch touching.count {
        case 1: return nil
        case 0:
            return try row("UPDATE file SET rangeCount = rangeCount + 1 WHERE id = ? RETURNING rangeCount", [file]) {
                $0[0]
            }
        default:
            try run("UPDATE file SET rangeCount = rangeCount - ? WHERE id = ?", [touching.count - 1, file])
            return nil
        }
    }

    /// Forgets the checksums of segments that lie in a range which was written anew.
    ///
    /// - Returns: how many, and whether segments lie partly in it. Theirs are not true any more either, but all there is
    ///   to say which of the bytes beside the range a power cut has taken, until those are synced.
    private func forgetSegments(under range: ByteRange, of file: Int64) throws -> (count: Int, hasCut: Bool) {
        let overlapping = try rows(
            "SELECT start, \"end\" FROM segment WHERE file = ? AND start < ? AND \"end\" > ?",
            [file, range.end, range.offset],
            ByteRange.init(row:)
        )
        let covered = overlapping.filter { range.offset <= $0.offset && $0.end <= range.end }
        for segment in covered {
            try run(
                "DELETE FROM segment WHERE file = ? AND start = ? AND \"end\" = ?",
                [file, segment.offset, segment.end]
            )
        }
        return (covered.count, covered.count < overlapping.count)
    }

    /// Counts anew how many segments begin in each row of the coverage.
    func recountSegments(of file: Int64) throws {
        try run(
            """
            UPDATE range SET segments = (
                SELECT count(*) FROM segment
                WHERE segment.file = ?1 AND segment.start >= range.start AND segment.start < range."end"
            ) WHERE file = ?1
            """,
            [file]
        )
    }
}
