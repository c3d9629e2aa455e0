import GRDB
public import Uploads

// What those see who look after the service.

extension SQLiteLedger {
    public func uploads() throws(UploadError) -> [UploadSummary] {
        try uploads("ORDER BY file.id", [])
    }

    public func youngestUploads(_ countMax: Int) throws(UploadError) -> [UploadSummary] {
        try uploads("ORDER BY file.id DESC LIMIT ?", [countMax]).reversed()
    }

    public func upload(numbered id: Int64) throws(UploadError) -> UploadSummary? {
        try uploads("WHERE file.id = ?", [id]).first
    }

    private func uploads(_ clause: String, _ arguments: [any ColumnValue]) throws(UploadError) -> [UploadSummary] {
        try read("list uploads") { db in
            // Of an upload in parts the ledger keeps the sum; of one in ranges only these.
            try db.rows(
                """
                SELECT \(fileColumns), mount, mountRoot, principal, key, dialect, createdAt, expiresAt,
                    partBytes + ifnull((SELECT sum("end" - start) FROM range WHERE range.file = file.id), 0)
                FROM file JOIN session ON session.id = file.session \(clause)
                """,
                arguments
            ) { row in
                let file = try StoredFile(row: row)
                let isFinished = if case .published = file.phase { true } else { false }
                return UploadSummary(
                    file: file,
                    session: SessionKey(mount: row[15], root: row[16], principal: row[17], id: row[18]),
                    dialect: row[19],
                    createdAt: row[20],
                    expiresAt: row[21],
                    committedBytes: isFinished ? file.spec.total : row[22]
                )
            }
        }
    }

    public func coverage(of file: StoredFile) throws(UploadError) -> [ByteRange] {
        try read("read coverage") { db in try db.coverage(.range, of: file.id).ranges }
    }

    public func totals() throws(UploadError) -> UploadTotals {
        try read("sum uploads") { db in
            let open: (count: Int, bytes: Int64)? = try db.row(
                "SELECT count(*), \(boundedSum("total")) FROM file WHERE phase < ?",
                [PhaseCode.publishing.rawValue]
            ) { ($0[0], $0[1]) }
            return UploadTotals(
                openUploads: open?.count ?? 0,
                declaredBytes: open?.bytes ?? 0,
                dueEvents: try db.dueEvents()
            )
        }
    }
}
