import GRDB
public import Uploads

// The end of a file's way: its final name, and what it is made of.

extension SQLiteLedger {
    public func beginPublishing(
        _ file: StoredFile,
        as name: String,
        inode: UInt64,
        assembly: Assembly?
    ) throws(UploadError) -> (file: StoredFile, leftovers: [Leftover]) {
        try write("begin publishing", durable: true) { db in
            // Called again after its first call was carried out, it finds what that has made of the file.
            let isDone = try assembly.map { try db.holds(file.id, $0.staging) } ?? false
            try db.run(
                """
                UPDATE file SET phase = ?, name = ?, inode = ? WHERE id = ? AND staging = ? AND phase < ?
                AND (kind <> 0 OR total = \(prefixColumn))
                """,
                [
                    PhaseCode.publishing.rawValue, name, Int64(bitPattern: inode), file.id,
                    isDone ? assembly?.staging : file.staging, PhaseCode.published.rawValue,
                ]
            )
            guard db.changesCount == 1 else { throw UploadError.superseded }
            // A part that was committed since the assembly was begun is acknowledged: it must not go without a word.
            if let assembly {
                let parts = try db.parts(of: file)
                guard parts == assembly.known || parts == assembly.parts else { throw UploadError.superseded }
            }
            let leftovers = try assembly.map { try db.settle($0, of: file) } ?? []
            let sql = "SELECT \(fileColumns) FROM file WHERE id = ?"
            guard let file = try db.row(sql, [file.id], StoredFile.init(row:)) else { throw UploadError.superseded }
            return (file, leftovers)
        }
    }

    public func finishPublishing(
        _ file: StoredFile,
        as name: String,
        tombstoneUntil: Int64,
        events: [NewEvent]
    ) throws(UploadError) {
        try write("finish publishing", durable: true) { db in
            // Who comes late finds that another has done all of this, and perhaps a new upload in the row.
            try db.run(
                """
                UPDATE file SET phase = ?, name = ?, tombstoneUntil = ?, rangeCount = 0
                WHERE id = ? AND staging = ? AND phase = ?
                """,
                [
                    PhaseCode.published.rawValue, name, tombstoneUntil, file.id, file.staging,
                    PhaseCode.publishing.rawValue,
                ]
            )
            guard db.changesCount == 1 else { return }
            for event in events { try db.insertDue(event) }
            try db.countUsage(of: file)
            for table in ["range", "segment", "synced"] { try db.run("DELETE FROM \(table) WHERE file = ?", [file.id]) }
        }
    }
}

extension Database {
    /// Whether the row of a file names a staging file.
    fileprivate func holds(_ file: Int64, _ staging: String) throws -> Bool {
        try row("SELECT 1 FROM file WHERE id = ? AND staging = ?", [file, staging]) { _ in true } ?? false
    }

    /// Makes a file consist of the parts of an assembly and no other; returns the staging files that it leaves behind.
    fileprivate func settle(_ assembly: Assembly, of file: StoredFile) throws -> [Leftover] {
        let known = try parts(of: file)
        var leftovers = known.compactMap { $0.leftover(of: file) }
        if assembly.staging != file.staging { leftovers.append(Leftover(root: file.root, staging: file.staging)) }
        try run(
            "UPDATE file SET total = ?, staging = ?, partBytes = ? WHERE id = ?",
            [assembly.total, assembly.staging, assembly.total, file.id]
        )
        // Parts that are where they belong cost nothing.
        if known != assembly.parts {
            try run("DELETE FROM part WHERE file = ?", [file.id])
            for part in assembly.parts { try insert(part, of: file.id) }
        }
        return leftovers
    }
}
