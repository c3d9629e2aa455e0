import GRDB
public import Uploads

// The way of an upload that is opened before its bytes come: in numbered parts, or behind each other.

extension SQLiteLedger {
    public func open(
        _ new: NewFile,
        _ upload: NewUpload
    ) throws(UploadError) -> (file: StoredFile, leftovers: [Leftover]) {
        try write("open upload") { db in
            var leftovers: [Leftover] = []
            let session = try db.makeSession(new, &leftovers)
            try db.store(upload.fields, in: session, limits: nil)
            try db.run("UPDATE session SET expiresAt = max(expiresAt, ?) WHERE id = ?", [new.expiresAt, session])
            if let old = try db.file(new.spec.field, in: session, now: new.now) {
                // Called again after its first call was carried out.
                if old.staging == new.staging { return (old, leftovers) }
                switch (old.phase, upload.kind) {
                case (.publishing, _): throw UploadError.superseded
                case (.open, .ranges) where old.spec.total == new.spec.total: return (old, leftovers)
                case (.open, _), (.reserved, _), (.published, _), (.cancelled, _):
                    leftovers += try db.leftovers(of: old.id)
                }
            }
            if try db.isTaken(new.spec, in: session, now: new.now) { throw UploadError.pathTaken }
            return (try db.place(new, in: session, phase: .open, kind: upload.kind), leftovers)
        }
    }

    public func upload(_ key: FileKey, now: Int64) throws(UploadError) -> StoredUpload? {
        if let upload = try knownUpload(key, now: now) { return upload }
        return try adoptFormer(key.session) ? knownUpload(key, now: now) : nil
    }

    private func knownUpload(_ key: FileKey, now: Int64) throws(UploadError) -> StoredUpload? {
        try readAtHand("look up upload") { db in
            let found = try db.row(
                "SELECT \(fileColumns), \(prefixColumn) FROM \(fileOfKey)",
                key.session.arguments + [now, key.field, now]
            ) { try StoredFile.withProgress(row: $0) }
            guard let (file, commit) = found else { return nil }
            return StoredUpload(file: file, commit: commit, parts: try db.parts(of: file))
        }
    }

    public func learn(_ layout: PartLayout, for file: StoredFile) throws(UploadError) -> PartLayout {
        try write("note layout of parts") { db in
            try db.run(
                "UPDATE file SET stride = ?, base = ? WHERE id = ? AND staging = ? AND stride IS NULL",
                [layout.stride, layout.base, file.id, file.staging]
            )
            guard let current = try db.current(file)?.kind.layout else { throw UploadError.superseded }
            return current
        }
    }

    public func hasPartInPlace(_ number: Int, of file: StoredFile) throws(UploadError) -> Bool {
        try lookUp("look up part") { db in
            try db.row(
                """
                SELECT 1 FROM part JOIN file ON file.id = part.file
                WHERE part.file = ? AND number = ? AND scratch IS NULL AND staging = ?
                """,
                [file.id, number, file.staging]
            ) { _ in true } ?? false
        }
    }

    public func commit(
        _ part: StoredPart,
        to file: StoredFile,
        limits: CommitLimits
    ) throws(UploadError) -> [Leftover] {
        try write("commit part", durable: limits.isDurable) { db in
            guard let current = try db.openFile(file) else { throw UploadError.superseded }
            switch current.phase {
            case .reserved, .open: break
            case .publishing, .published: throw UploadError.finished
            case .cancelled: throw UploadError.cancelled
            }
            let removed = try db.removePart(part.part.number, of: file.id)
            let old = removed?.scratch.map { Leftover(root: file.root, staging: $0) }
            // Called again after its first call was carried out, it finds the part itself.
            let leftovers = old == part.leftover(of: file) ? nil : old
            try db.insert(part, of: file.id)
            let size: Int64? = try db.row(
                "UPDATE file SET partBytes = partBytes + ? WHERE id = ? RETURNING partBytes",
                [part.part.size, file.id]
            ) { $0[0] }
            if let size, size > limits.fileBytesMax { throw UploadError.tooLarge(maxBytes: limits.fileBytesMax) }
            try db.keep(current, until: limits.expiresAt)
            // What is set aside for the file already needs no more room.
            let grows = size ?? 0 > current.total && part.part.size > removed?.size ?? 0
            if let bytesMax = limits.quotaBytesMax, grows || current.hasExpired(at: limits.now) {
                try db.requireRoom(bytesMax, forFile: file.id, now: limits.now)
            }
            return leftovers.map { [$0] } ?? []
        }
    }

    public func cancel(_ file: StoredFile, tombstoneUntil: Int64) throws(UploadError) -> [Leftover] {
        try write("cancel upload") { db in
            guard let current = try db.current(file) else { return [] }
            switch current.phase {
            case .reserved, .open: break
            case .publishing, .published: throw UploadError.finished
            case .cancelled: return []
            }
            let leftovers = try db.leftovers(of: file.id)
            try db.run(
                "UPDATE file SET phase = ?, tombstoneUntil = ? WHERE id = ?",
                [PhaseCode.cancelled.rawValue, tombstoneUntil, file.id]
            )
            try db.removeBytes(of: file.id)
            return leftovers
        }
    }

    public func issueNumber() throws(UploadError) -> Int64 {
        try write("issue number", durable: true) { db in
            let number: Int64? = try db.row("UPDATE issued SET number = number + 1 RETURNING number") { $0[0] }
            guard let number else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "the last issued number is missing")
            }
            return number
        }
    }
}

extension Database {
    /// Whether another file of a session, one that its client has not given up, would make way for a new one.
    fileprivate func isTaken(_ spec: FileSpec, in session: Int64, now: Int64) throws -> Bool {
        guard spec.target.ifTaken == .replace else { return false }
        return try row(
            """
            SELECT 1 FROM file WHERE session = ? AND field <> ? AND target = ? AND replaces = 1 AND phase <> ?
            AND (tombstoneUntil IS NULL OR tombstoneUntil > ?)
            """,
            [session, spec.field, spec.target.path.text, PhaseCode.cancelled.rawValue, now]
        ) { _ in true } ?? false
    }

    func insert(_ part: StoredPart, of file: Int64) throws {
        let (offset, scratch): (Int64, String?) =
            switch part.place {
            case .staging(let offset): (offset, nil)
            case .scratch(let name): (0, name)
            }
        try run(
            "INSERT INTO part (file, number, size, md5, checksum, offset, scratch) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                file, part.part.number, part.part.size, part.part.digest.bytes,
                Int64(bitPattern: part.checksum), offset, scratch,
            ]
        )
    }

    /// Removes a part; returns its size and the name of its scratch file.
    @discardableResult
    func removePart(_ number: Int, of file: Int64) throws -> (size: Int64, scratch: String?)? {
        let removed: (size: Int64, scratch: String?)? = try row(
            "DELETE FROM part WHERE file = ? AND number = ? RETURNING size, scratch",
            [file, number]
        ) { ($0[0], $0[1]) }
        guard let removed else { return nil }
        try run("UPDATE file SET partBytes = partBytes - ? WHERE id = ?", [removed.size, file])
        return removed
    }
}

extension StoredPart {
    /// The scratch file of the part.
    func leftover(of file: StoredFile) -> Leftover? {
        switch place {
        case .staging: nil
        case .scratch(let name): Leftover(root: file.root, staging: name)
        }
    }
}
