import GRDB
public import Uploads

// What each principal has, and may have.

extension SQLiteLedger {
    public func bytesLeft(
        _ bytesMax: Int64,
        of principal: String,
        on mount: String,
        now: Int64
    ) throws(UploadError) -> Int64 {
        try read("look up quota") { db in
            max(0, bytesMax - (try db.usedBytes(mount, principal, now: now, besides: nil)))
        }
    }

    public func addUsage(_ bytes: Int64, of principal: String, on mount: String) throws(UploadError) {
        try write("note usage") { db in
            try db.run(
                """
                INSERT INTO usage (mount, principal, bytes) VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes
                """,
                [mount, principal, bytes]
            )
        }
    }

    public func setUsage(_ bytes: Int64, of principal: String, on mount: String) throws(UploadError) {
        try write("set usage", durable: true) { db in
            try db.run(
                """
                INSERT INTO usage (mount, principal, bytes) VALUES (?, ?, ?)
                ON CONFLICT DO UPDATE SET bytes = excluded.bytes
                """,
                [mount, principal, bytes]
            )
        }
    }

    public func usage() throws(UploadError) -> [Usage] {
        try read("list usage") { db in
            try db.rows("SELECT mount, principal, bytes FROM usage ORDER BY mount, principal", []) {
                Usage(mount: $0[0], principal: $0[1], bytes: $0[2])
            }
        }
    }
}

extension Database {
    /// How many bytes a principal's finished files have had, and its open uploads are to have or have.
    ///
    /// - Parameter file: an upload that does not count.
    func usedBytes(_ mount: String, _ principal: String, now: Int64, besides file: Int64?) throws -> Int64 {
        let open: Int64? = try row(
            """
            SELECT sum(max(total, partBytes)) FROM session JOIN file ON file.session = session.id
            WHERE mount = ? AND principal = ? AND expiresAt > ? AND phase < ? AND file.id IS NOT ?
            """,
            [mount, principal, now, PhaseCode.published.rawValue, file]
        ) { $0[0] }
        // What was counted before the server belonged to the name of a mount counts for every server of that path.
        let finished: Int64? = try row(
            "SELECT sum(bytes) FROM usage WHERE principal = ? AND (mount = ? OR mount = ? AND isFormer = 1)",
            [principal, mount, Mount.formerName(of: mount)]
        ) { $0[0] }
        return (open ?? 0) + (finished ?? 0)
    }

    /// Refuses a file for which its principal has no room; a row that it would take the place of does not count.
    func requireRoom(for new: NewFile, in session: Int64) throws {
        if new.limits.areNone { return }
        let (mount, principal) = (new.key.mount, new.key.principal)
        let old: Int64? = try row(
            "SELECT id FROM file WHERE session = ? AND field = ?",
            [session, new.spec.field]
        ) { $0[0] }
        if let countMax = new.limits.openUploadsMax {
            // No more are looked at than matter.
            let count: Int? = try row(
                """
                SELECT count(*) FROM (
                    SELECT 1 FROM session JOIN file ON file.session = session.id
                    WHERE mount = ? AND principal = ? AND expiresAt > ? AND phase < ? AND file.id IS NOT ? LIMIT ?
                )
                """,
                [mount, principal, new.now, PhaseCode.publishing.rawValue, old, countMax]
            ) { $0[0] }
            guard count ?? 0 < countMax else { throw UploadError.tooManyUploads(max: countMax) }
        }
        if let bytesMax = new.limits.bytesMax {
            let used = try usedBytes(mount, principal, now: new.now, besides: old)
            guard new.spec.total <= bytesMax - used else { throw UploadError.quotaExceeded(maxBytes: bytesMax) }
        }
    }

    /// Refuses a part that takes its principal beyond a number of bytes; it is in the ledger already.
    func requireRoom(_ bytesMax: Int64, afterPartOf file: Int64, now: Int64) throws {
        let key: (mount: String, principal: String)? = try row(
            "SELECT mount, principal FROM session JOIN file ON file.session = session.id WHERE file.id = ?",
            [file]
        ) { ($0[0], $0[1]) }
        guard let key else { return }
        let used = try usedBytes(key.mount, key.principal, now: now, besides: nil)
        guard used <= bytesMax else { throw UploadError.quotaExceeded(maxBytes: bytesMax) }
    }

    /// Counts a file that has just been noted as published.
    func countUsage(of file: StoredFile) throws {
        try run(
            """
            INSERT INTO usage (mount, principal, bytes)
            SELECT mount, principal, total FROM file JOIN session ON session.id = file.session
            WHERE file.id = ?
            ON CONFLICT DO UPDATE SET bytes = bytes + excluded.bytes
            """,
            [file.id]
        )
    }
}
