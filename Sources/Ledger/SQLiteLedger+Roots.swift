import GRDB
public import Uploads

// Which ledger this is, which roots are its own, and what an older one knew.

extension SQLiteLedger {
    public func roots() throws(UploadError) -> [String] {
        try read("list roots") { db in try db.rows("SELECT path FROM root ORDER BY path", [], { $0[0] }) }
    }

    public func root(_ path: String) throws(UploadError) -> KnownRoot? {
        try read("look up root") { db in
            try db.row("SELECT mark, isRecovered FROM root WHERE path = ?", [path]) {
                KnownRoot(mark: $0[0], isRecovered: $0[1])
            }
        }
    }

    public func root(marked mark: String) throws(UploadError) -> String? {
        try read("look up root") { db in try db.row("SELECT path FROM root WHERE mark = ?", [mark]) { $0[0] } }
    }

    public func note(_ mark: String, of root: String) throws(UploadError) -> String? {
        try write("note mark of root", durable: true) { db in
            try db.run(
                """
                INSERT INTO root (path, mark) VALUES (?, ?)
                ON CONFLICT (path) DO UPDATE SET mark = excluded.mark WHERE mark IS NULL
                """,
                [root, mark]
            )
            return try db.row("SELECT mark FROM root WHERE path = ?", [root]) { $0[0] } ?? nil
        }
    }

    public func adopt(_ mark: String, of root: String) throws(UploadError) {
        try write("adopt root", durable: true) { db in
            try db.run(
                "INSERT INTO root (path, mark) VALUES (?, ?) ON CONFLICT (path) DO UPDATE SET mark = excluded.mark",
                [root, mark]
            )
        }
    }

    public func setRecovered(_ isRecovered: Bool, root: String) throws(UploadError) {
        try write("note recovery", durable: true) { db in
            try db.run("UPDATE root SET isRecovered = ? WHERE path = ?", [isRecovered, root])
        }
    }

    /// Gives a session that was made before the server belonged to the default name of a mount to the mount that asks for
    /// it; false when there is none.
    func adoptFormer(_ key: SessionKey) throws(UploadError) -> Bool {
        guard hasFormerSessions, let former = Mount.formerName(of: key.mount) else { return false }
        return try write("adopt session", durable: true) { db in
            try db.run(
                "UPDATE OR IGNORE session SET mount = ?, isFormer = 0 WHERE isFormer = 1 AND \(sessionOfKey)",
                [key.mount, former, key.principal, key.id, key.root]
            )
            return db.changesCount > 0
        }
    }
}
