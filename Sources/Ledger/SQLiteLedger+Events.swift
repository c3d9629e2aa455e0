import GRDB
public import Uploads

// The outbox: what programs of the site are to be told.

/// How `Event.State` is stored.
private enum StateCode: Int64 {
    case waiting = 0
    case due = 1
    case delivered = 2
}

/// How `Event.Task` is stored.
private enum TaskCode: Int64 {
    case tell = 0
    case writeManifest = 1
    case syncFolder = 2
}

private let eventColumns =
    "id, key, program, document, state, at, attempts, createdAt, failure, task, root, path, inode"

extension Event {
    fileprivate init(row: Columns) throws {
        let id: Int64 = row[0]
        self.id = id
        key = row[1]
        document = row[3]
        switch StateCode(rawValue: row[4]) {
        case .waiting: state = .waiting
        case .due: state = .due(at: row[5])
        case .delivered: state = .delivered(at: row[5])
        case nil: throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "event \(id) is in no known state")
        }
        attempts = row[6]
        createdAt = row[7]
        failure = row[8]
        let file = { NamedFile(root: row[10] ?? "", path: row[11] ?? "", inode: UInt64(bitPattern: row[12] ?? 0)) }
        switch TaskCode(rawValue: row[9]) {
        case .tell: task = .tell(program: row[2])
        case .writeManifest: task = .writeManifest(file())
        case .syncFolder: task = .syncFolder(file())
        case nil: throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "event \(id) has no known task")
        }
    }
}

extension Event.Task {
    fileprivate var code: TaskCode {
        switch self {
        case .tell: .tell
        case .writeManifest: .writeManifest
        case .syncFolder: .syncFolder
        }
    }
}

extension SQLiteLedger {
    public func account(of file: StoredFile) throws(UploadError) -> FileAccount? {
        try read("read account") { db in
            let found: (session: Int64, key: SessionKey, handOff: HandOff)? = try db.row(
                """
                SELECT session.id, mount, mountRoot, principal, key, hook, veto, manifest
                FROM file JOIN session ON session.id = file.session WHERE file.id = ? AND staging = ?
                """,
                [file.id, file.staging]
            ) { row in
                let handOff = HandOff(hook: row[5], veto: row[6], hasManifest: row[7])
                return (row[0], SessionKey(mount: row[1], root: row[2], principal: row[3], id: row[4]), handOff)
            }
            guard let found else { return nil }
            return FileAccount(session: found.key, fields: try db.fields(of: found.session), handOff: found.handOff)
        }
    }

    public func announce(_ events: [NewEvent], of announced: AnnouncedFile) throws(UploadError) {
        try write("announce events", durable: true) { db in
            for event in events { try db.insert(event, .waiting, announced) }
        }
    }

    public func announcedFiles() throws(UploadError) -> [AnnouncedFile] {
        try read("list announced files") { db in
            try db.rows(
                "SELECT DISTINCT staging, root, path, inode FROM event WHERE state = ? AND staging IS NOT NULL",
                [StateCode.waiting.rawValue]
            ) {
                let file = NamedFile(root: $0[1], path: $0[2], inode: UInt64(bitPattern: $0[3] as Int64))
                return AnnouncedFile(staging: $0[0], file: file)
            }
        }
    }

    public func settleAnnounced(
        _ announced: AnnouncedFile,
        isPublished: Bool,
        without done: Set<String>,
        now: Int64
    ) throws(UploadError) {
        try write("settle events", durable: true) { db in
            // What another request has announced anew since, under another path, is not meant.
            let own = "staging = ? AND path = ? AND state = ?"
            let arguments: [any ColumnValue] = [announced.staging, announced.file.path, StateCode.waiting.rawValue]
            if !isPublished {
                try db.run("DELETE FROM event WHERE \(own)", arguments)
                return
            }
            for key in done.sorted() { try db.run("DELETE FROM event WHERE key = ? AND \(own)", [key] + arguments) }
            try db.run("UPDATE event SET state = ?, at = ? WHERE \(own)", [StateCode.due.rawValue, now] + arguments)
        }
    }

    public func keep(_ event: NewEvent) throws(UploadError) {
        try write("keep event", durable: true) { db in try db.insertDue(event) }
    }

    public func takeDueEvent(now: Int64, leaseSeconds: Int64) throws(UploadError) -> Event? {
        // Most of the time there is none, which a read can tell.
        let due: Int64? = try read("look for event") { db in
            try db.row(
                "SELECT id FROM event WHERE state = ? AND at <= ? ORDER BY at, id LIMIT 1",
                [StateCode.due.rawValue, now]
            ) { $0[0] }
        }
        guard due != nil else { return nil }
        return try write("take event", durable: true) { db in
            // Until the lease ends no other takes it; should this process die, another does then.
            try db.row(
                """
                UPDATE event SET attempts = attempts + 1, at = ?1 WHERE id = (
                    SELECT id FROM event WHERE state = ?2 AND at <= ?3 ORDER BY at, id LIMIT 1
                ) RETURNING \(eventColumns)
                """,
                [now + leaseSeconds, StateCode.due.rawValue, now],
                Event.init(row:)
            )
        }
    }

    public func settle(_ event: Event, as state: Event.State, failure: String?) throws(UploadError) {
        try write("settle event", durable: true) { db in
            let (code, at): (StateCode, Int64) =
                switch state {
                case .waiting: (.waiting, 0)
                case .due(let at): (.due, at)
                case .delivered(let at): (.delivered, at)
                }
            // Another may have taken the event when the lease had run out, or it was made due: that goes on.
            guard case .due(let leaseEnd) = event.state else { return }
            try db.run(
                """
                UPDATE event SET state = ?, at = ?, failure = ?
                WHERE id = ? AND attempts = ? AND state = ? AND at = ?
                """,
                [code.rawValue, at, failure, event.id, event.attempts, StateCode.due.rawValue, leaseEnd]
            )
        }
    }

    public func events() throws(UploadError) -> [Event] {
        try read("list events") { db in
            try db.rows("SELECT \(eventColumns) FROM event ORDER BY id", [], Event.init(row:))
        }
    }

    public func makeEventDue(_ id: Int64, at time: Int64) throws(UploadError) -> Bool {
        try write("make event due", durable: true) { db in
            try db.run(
                "UPDATE event SET state = ?, at = ? WHERE id = ? AND state <> ?",
                [StateCode.due.rawValue, time, id, StateCode.waiting.rawValue]
            )
            return db.changesCount == 1
        }
    }

    public func removeEvent(_ id: Int64) throws(UploadError) -> Bool {
        try write("remove event", durable: true) { db in
            try db.run("DELETE FROM event WHERE id = ?", [id])
            return db.changesCount == 1
        }
    }

    public func removeDeliveredEvents(before time: Int64) throws(UploadError) {
        try write("remove delivered events") { db in
            try db.run("DELETE FROM event WHERE state = ? AND at < ?", [StateCode.delivered.rawValue, time])
        }
    }
}

extension Database {
    /// Keeps an event that is to be delivered; one of its key that is there already stays as it is.
    func insertDue(_ event: NewEvent) throws { try insert(event, .due, nil) }

    fileprivate func insert(_ event: NewEvent, _ state: StateCode, _ announced: AnnouncedFile?) throws {
        let file = announced?.file ?? event.task.file
        try run(
            """
            INSERT OR IGNORE INTO event (key, program, document, state, at, createdAt, task, staging, root, path, inode)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                event.key, event.task.name, event.document, state.rawValue, event.now, event.now,
                event.task.code.rawValue, announced?.staging, file?.root, file?.path,
                file.map { Int64(bitPattern: $0.inode) },
            ]
        )
    }

    /// How many events are to be delivered.
    func dueEvents() throws -> Int {
        try row("SELECT count(*) FROM event WHERE state = ?", [StateCode.due.rawValue]) { $0[0] } ?? 0
    }
}
