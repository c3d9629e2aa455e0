import GRDB
public import Uploads

// What each principal has, and may have.

/// Adds to what is counted already; a sum that can not be counted stays the largest.
private let addingUsage = """
    ON CONFLICT DO UPDATE SET bytes = CASE WHEN bytes > \(Int64.max) - excluded.bytes THEN \(Int64.max)
        ELSE bytes + excluded.bytes END
    """

extension SQLiteLedger {
    public func bytesLeft(
        _ bytesMax: Int64,
        of principal: String,
        on mount: String,
        now: Int64
    ) throws(UploadError) -> Int64 {
        try read("look up quota") { db in
            let used = try db.usedBytes(mount, principal, now: now, besides: nil)
            return used < bytesMax ? bytesMax - used : 0
        }
    }

    public func requireRoom(for new: NewFile) throws(UploadError) {
        try read("look up quota") { db in
            guard let session = try db.session(new.key, now: new.now) else { return }
            try db.requireRoom(for: new, in: session)
        }
    }

    public func reserve(
        _ reservations: [Reservation],
        _ bytesMax: Int64,
        of principal: String,
        on mount: String,
        now: Int64
    ) throws(UploadError) {
        try write("reserve quota", durable: true) { db in
            for reservation in reservations {
                try db.run(
                    """
                    INSERT OR REPLACE INTO reservation (key, root, mount, principal, bytes, until)
                    VALUES (?, ?, ?, ?, ?, \(Int64.max))
                    """,
                    [reservation.staging, reservation.root, mount, principal, reservation.bytes]
                )
            }
            let used = try db.usedBytes(mount, principal, now: now, besides: nil)
            guard used <= bytesMax else { throw UploadError.quotaExceeded(maxBytes: bytesMax) }
        }
    }

    public func settle(_ reservation: Reservation, isPublished: Bool) throws(UploadError) {
        try write("settle quota", durable: isPublished) { db in
            let account: (mount: String, principal: String, bytes: Int64)? = try db.row(
                "DELETE FROM reservation WHERE key = ? RETURNING mount, principal, bytes",
                [reservation.staging]
            ) { ($0[0], $0[1], $0[2]) }
            guard let account, isPublished else { return }
            try db.run(
                "INSERT INTO usage (mount, principal, bytes) VALUES (?, ?, ?) \(addingUsage)",
                [account.mount, account.principal, account.bytes]
            )
        }
    }

    public func reservations() throws(UploadError) -> [Reservation] {
        try read("list reservations") { db in
            try db.rows("SELECT root, key, bytes FROM reservation WHERE root IS NOT NULL", []) {
                Reservation(root: $0[0], staging: $0[1], bytes: $0[2])
            }
        }
    }

    public func removeReservations(before time: Int64) throws(UploadError) {
        try write("remove reservations") { db in try db.run("DELETE FROM reservation WHERE until < ?", [time]) }
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
    /// How many bytes a principal's finished files have had, its open uploads are to have or have, and its requests have
    /// set aside. What has expired counts no more, unless it is about to get its name.
    ///
    /// - Parameter file: an upload that does not count.
    func usedBytes(_ mount: String, _ principal: String, now: Int64, besides file: Int64?) throws -> Int64 {
        let open: Int64? = try row(
            """
            SELECT \(boundedSum("max(total, partBytes)")) FROM session JOIN file ON file.session = session.id
            WHERE mount = ?1 AND principal = ?2 AND file.id IS NOT ?4
            AND (phase = \(PhaseCode.publishing.rawValue) OR phase < \(PhaseCode.publishing.rawValue) AND expiresAt > ?3)
            """,
            [mount, principal, now, file]
        ) { $0[0] }
        // What was counted before the server belonged to the name of a mount counts for every server of that path.
        let others: (finished: Int64, reserved: Int64)? = try row(
            """
            SELECT (SELECT \(boundedSum("bytes")) FROM usage
                    WHERE principal = ?2 AND (mount = ?1 OR mount = ?4 AND isFormer = 1)),
                (SELECT \(boundedSum("bytes")) FROM reservation WHERE mount = ?1 AND principal = ?2 AND until > ?3)
            """,
            [mount, principal, now, Mount.formerName(of: mount)]
        ) { ($0[0], $0[1]) }
        return (open ?? 0).clampedAdding(others?.finished ?? 0).clampedAdding(others?.reserved ?? 0)
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
            guard used.clampedAdding(new.spec.total) <= bytesMax else {
                throw UploadError.quotaExceeded(maxBytes: bytesMax)
            }
        }
    }

    /// Refuses what takes a principal beyond a number of bytes; a file of its has it in the ledger already.
    func requireRoom(_ bytesMax: Int64, forFile file: Int64, now: Int64) throws {
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
            \(addingUsage)
            """,
            [file.id]
        )
    }
}

/// The sum of a column, which stays below the largest integer: exact up to 2^53, and sizes are what clients declare.
func boundedSum(_ column: String) -> String { "CAST(min(total(\(column)), 9.2e18) AS INTEGER)" }

extension Int64 {
    /// The sum, or the largest integer where that is too large.
    func clampedAdding(_ other: Int64) -> Int64 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}
