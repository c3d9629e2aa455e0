import GRDB
public import Uploads

// What is done to sessions from outside of an upload: removal, expiry, recovery after a crash.

extension SQLiteLedger {
    public func remove(_ key: SessionKey) throws(UploadError) -> [Leftover] {
        _ = try adoptFormer(key)
        return try write("remove session") { db in try db.removeSession(key) }
    }

    public func remove(_ file: StoredFile) throws(UploadError) -> [Leftover] {
        try write("remove file") { db in
            guard let current = try db.current(file) else { return [] }
            if case .publishing = current.phase { throw UploadError.finished }
            return try db.remove(current)
        }
    }

    public func forget(_ file: StoredFile) throws(UploadError) -> [Leftover]? {
        try write("forget file") { db in
            try db.currentUnfinished(file).map { try db.remove($0) }
        }
    }

    public func expiredSessions(
        now: Int64,
        after last: ExpiredSession?,
        countMax: Int
    ) throws(UploadError) -> [ExpiredSession] {
        try read("list expired sessions") { db in
            let sessions: [(id: Int64, expiresAt: Int64)] = try db.rows(
                """
                SELECT id, expiresAt FROM session WHERE expiresAt <= ? AND (expiresAt, id) > (?, ?)
                ORDER BY expiresAt, id LIMIT ?
                """,
                [now, last?.expiresAt ?? .min, last?.id ?? 0, countMax]
            ) { ($0[0], $0[1]) }
            return try sessions.map { session in
                let files = try db.rows(
                    "SELECT \(fileColumns) FROM file WHERE session = ? AND phase < ?",
                    [session.id, PhaseCode.publishing.rawValue],
                    StoredFile.init(row:)
                )
                return ExpiredSession(id: session.id, expiresAt: session.expiresAt, files: files)
            }
        }
    }

    public func removeExpired(_ sessions: [ExpiredSession], now: Int64) throws(UploadError) -> [Leftover] {
        try write("remove expired sessions") { db in
            var leftovers: [Leftover] = []
            for session in sessions {
                let files: [(id: Int64, phase: Int64)] = try db.rows(
                    "SELECT file.id, phase FROM file JOIN session ON session.id = file.session WHERE session.id = ?",
                    [session.id]
                ) { ($0[0], $0[1]) }
                if files.contains(where: { $0.phase == PhaseCode.publishing.rawValue }) { continue }
                let own = try files.flatMap { try db.leftovers(of: $0.id) }
                try db.run("DELETE FROM session WHERE id = ? AND expiresAt <= ?", [session.id, now])
                if db.changesCount == 1 { leftovers += own }
            }
            return leftovers
        }
    }

    public func removeTombstones(now: Int64, countMax: Int) throws(UploadError) -> Int {
        try write("remove tombstones") { db in
            try db.run(
                "DELETE FROM file WHERE id IN (SELECT id FROM file WHERE tombstoneUntil <= ? LIMIT ?)",
                [now, countMax]
            )
            return db.changesCount
        }
    }

    public func parts(of file: StoredFile) throws(UploadError) -> [StoredPart] {
        try read("list parts") { db in try db.current(file).map(db.parts) ?? [] }
    }

    public func filesBeingPublished() throws(UploadError) -> [StoredFile] {
        try read("find files being published") { db in
            try db.rows(
                "SELECT \(fileColumns) FROM file WHERE phase = ? ORDER BY id",
                [PhaseCode.publishing.rawValue],
                StoredFile.init(row:)
            )
        }
    }

    public func unpublishedWholeFiles(now: Int64) throws(UploadError) -> [StoredFile] {
        try read("find unpublished files") { db in
            try db.rows(
                """
                SELECT \(fileColumns) FROM file JOIN session ON session.id = file.session
                WHERE phase = ? OR (phase = ? AND kind = 0 AND expiresAt > ? AND total = \(prefixColumn))
                """,
                [PhaseCode.publishing.rawValue, PhaseCode.open.rawValue, now],
                StoredFile.init(row:)
            )
        }
    }

    public func unpublishedFiles() throws(UploadError) -> [StoredFile] {
        try read("list unpublished files") { db in
            try db.rows(
                "SELECT \(fileColumns) FROM file WHERE phase < ?",
                [PhaseCode.publishing.rawValue],
                StoredFile.init(row:)
            )
        }
    }

    public func drop(_ lost: [CommittedSegment], of file: StoredFile) throws(UploadError) {
        try write("drop lost segments", durable: true) { db in
            guard try db.currentUnfinished(file) != nil else { return }
            for segment in lost {
                try db.run(
                    "DELETE FROM segment WHERE file = ? AND start = ? AND \"end\" = ? AND checksum = ?",
                    [file.id, segment.range.offset, segment.range.end, Int64(bitPattern: segment.checksum)]
                )
            }
            var synced = try db.coverage(.synced, of: file.id)
            for segment in lost { synced.remove(segment.range) }
            try db.replace(.synced, of: file.id, with: synced)
            let coverage = Coverage(synced.ranges + (try db.segments(of: file.id)).map(\.range))
            try db.replace(.range, of: file.id, with: coverage)
            try db.run("UPDATE file SET rangeCount = ? WHERE id = ?", [coverage.ranges.count, file.id])
            try db.recountSegments(of: file.id)
        }
    }

    public func drop(_ lost: [StoredPart], of file: StoredFile) throws(UploadError) -> [Leftover] {
        try write("drop lost parts", durable: true) { db in
            guard let current = try db.currentUnfinished(file) else { return [] }
            // A part that was sent again meanwhile is not the one that is lost.
            let known = Set(try db.parts(of: current))
            return try lost.filter(known.contains).compactMap { part in
                try db.removePart(part.part.number, of: file.id)
                return part.leftover(of: file)
            }
        }
    }

    public func dropParts(of file: StoredFile) throws(UploadError) -> [Leftover] {
        try write("drop parts", durable: true) { db in
            guard let current = try db.currentUnfinished(file) else { return [] }
            let parts = try db.parts(of: current)
            try db.run("DELETE FROM part WHERE file = ?", [file.id])
            try db.run("UPDATE file SET partBytes = 0 WHERE id = ?", [file.id])
            return parts.compactMap { $0.leftover(of: file) }
        }
    }

    public func stagingNames() throws(UploadError) -> [String: Set<String>] {
        try read("list staging files") { db in
            var names: [String: Set<String>] = [:]
            for root: String in try db.rows("SELECT path FROM root", [], { $0[0] }) { names[root, default: []] = [] }
            let rows: [(root: String, name: String)] = try db.rows(
                """
                SELECT root, staging FROM file WHERE phase < ?
                UNION ALL SELECT root, scratch FROM part JOIN file ON file.id = part.file WHERE scratch IS NOT NULL
                UNION ALL SELECT root, staging FROM event WHERE state = 0 AND staging IS NOT NULL
                UNION ALL SELECT root, key FROM reservation WHERE root IS NOT NULL
                """,
                [PhaseCode.published.rawValue]
            ) { ($0[0], $0[1]) }
            for (root, name) in rows { names[root, default: []].insert(name) }
            return names
        }
    }

    public func verifiedBoot() throws(UploadError) -> String? {
        try read("read boot") { db in try db.row("SELECT boot FROM verified") { $0[0] } }
    }

    public func setVerifiedBoot(_ boot: String) throws(UploadError) {
        try write("note boot", durable: true) { db in
            try db.run("INSERT OR REPLACE INTO verified (onlyRow, boot) VALUES (1, ?)", [boot])
        }
    }
}

extension Database {
    /// Removes a file, which is not about to be published; returns the staging files that only it needed.
    fileprivate func remove(_ file: StoredFile) throws -> [Leftover] {
        let leftovers = try leftovers(of: file.id)
        try run("DELETE FROM file WHERE id = ? AND staging = ?", [file.id, file.staging])
        return leftovers
    }

    /// The file of a number, as long as it has the same staging file and takes bytes.
    fileprivate func currentUnfinished(_ file: StoredFile) throws -> StoredFile? {
        guard let current = try current(file) else { return nil }
        switch current.phase {
        case .reserved, .open: return current
        case .publishing, .published, .cancelled: return nil
        }
    }

    /// Removes a session, expired or not; returns the staging files that only it needed.
    ///
    /// - Throws: `finished` when a file of it is about to get its name, or has it already and nobody has noted that yet.
    func removeSession(_ key: SessionKey) throws -> [Leftover] {
        let files: [(id: Int64, phase: Int64)] = try rows(
            """
            SELECT file.id, phase FROM file JOIN session ON session.id = file.session
            WHERE \(sessionOfKey)
            """,
            key.arguments
        ) { ($0[0], $0[1]) }
        if files.contains(where: { $0.phase == PhaseCode.publishing.rawValue }) { throw UploadError.finished }
        let leftovers = try files.flatMap { try self.leftovers(of: $0.id) }
        try run("DELETE FROM session WHERE \(sessionOfKey)", key.arguments)
        return leftovers
    }
}
