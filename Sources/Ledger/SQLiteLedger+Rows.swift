import GRDB
import Uploads

/// The columns of a file, in the order that `StoredFile.init(row:)` reads them.
let fileColumns = """
    file.id, file.field, file.fileName, file.mediaType, file.target, file.total, file.root, file.staging, \
    file.phase, file.name, file.inode, file.replaces, file.kind, file.stride, file.base
    """

/// How many they are.
let fileColumnsCount = 15

/// The contiguous prefix of a file in bytes.
let prefixColumn = #"ifnull((SELECT "end" FROM range WHERE range.file = file.id AND start = 0), 0)"#

/// The session of a key: its mount, principal, identifier and root (`SessionKey.arguments`).
let sessionOfKey = "mount = ? AND principal = ? AND key = ? AND mountRoot = ?"

/// Where the file of a key is: those of `sessionOfKey`, the time, its field and the time once more.
let fileOfKey = """
    session JOIN file ON file.session = session.id WHERE \(sessionOfKey) AND expiresAt > ? \
    AND field = ? AND (tombstoneUntil IS NULL OR tombstoneUntil > ?)
    """

extension SessionKey {
    /// What `sessionOfKey` asks for.
    var arguments: [any ColumnValue] { [mount, principal, id, root] }
}

/// How `FilePhase` is stored.
enum PhaseCode: Int64 {
    case reserved = 0
    case open = 1
    case publishing = 2
    case published = 3
    case cancelled = 4
}

/// The tables that hold disjoint ranges of files.
enum CoverageTable: String {
    /// What is committed.
    case range
    /// What is known to be on disk.
    case synced
}

/// How `NewUpload.Kind` is stored.
enum KindCode: Int64 {
    case ranges = 0
    case parts = 1
    case partsOfDeclaredSize = 2
}

extension NewUpload.Kind {
    var code: KindCode {
        switch self {
        case .ranges: .ranges
        case .parts(let layout): layout.total == nil ? .parts : .partsOfDeclaredSize
        }
    }

    /// The layout of an upload in parts.
    var layout: PartLayout? {
        switch self {
        case .ranges: nil
        case .parts(let layout): layout
        }
    }
}

extension StoredFile {
    init(row: Columns) throws {
        id = row[0]
        let total: Int64 = row[5]
        guard let path = RelativePath(parsing: row[4]), path.name != nil else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "file \(id) has no target")
        }
        let target = Target(path, ifTaken: row[11] ? .replace : .addNumber)
        let stride: Int64? = row[13]
        let base: Int = row[14]
        guard total >= 0, stride ?? 1 > 0, (0...1).contains(base) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "file \(id) has an impossible size")
        }
        spec = FileSpec(field: row[1], fileName: row[2], mediaType: row[3], target: target, total: total)
        switch KindCode(rawValue: row[12]) {
        case .ranges: kind = .ranges
        case .parts: kind = .parts(PartLayout(stride: stride, base: base))
        case .partsOfDeclaredSize: kind = .parts(PartLayout(stride: stride, base: base, total: total))
        case nil: throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "file \(id) is of no known kind")
        }
        root = row[6]
        staging = row[7]
        let name: String? = row[9]
        let inode: Int64? = row[10]
        switch (PhaseCode(rawValue: row[8]), name, inode) {
        case (.reserved, _, _): phase = .reserved
        case (.open, _, _): phase = .open
        case (.publishing, let name?, let inode?): phase = .publishing(name: name, inode: UInt64(bitPattern: inode))
        case (.published, let name?, _): phase = .published(name: name)
        case (.cancelled, _, _): phase = .cancelled
        case (.publishing, _, _), (.published, _, _), (nil, _, _):
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "file \(id) is in no known phase")
        }
    }

    /// A file and how far it is, from its columns and that of its prefix.
    static func withProgress(row: Columns) throws -> (file: StoredFile, commit: Commit) {
        let file = try StoredFile(row: row)
        let prefix: Int64 = row[fileColumnsCount]
        return (file, Commit(prefix: prefix, isWhole: file.phase != .reserved && prefix == file.spec.total))
    }
}

extension ByteRange {
    /// A range from the first two columns.
    init(row: Columns) throws {
        guard let range = ByteRange(offset: row[0], end: row[1]) else {
            throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a range ends before it begins")
        }
        self = range
    }
}

extension Database {
    /// The session of a key that has not expired.
    func session(_ key: SessionKey, now: Int64) throws -> Int64? {
        try row(
            "SELECT id FROM session WHERE \(sessionOfKey) AND expiresAt > ?",
            key.arguments + [now]
        ) { $0[0] }
    }

    /// The file of a session under a field name, unless its tombstone has run out.
    func file(_ field: String, in session: Int64, now: Int64) throws -> StoredFile? {
        try row(
            """
            SELECT \(fileColumns) FROM file
            WHERE session = ? AND field = ? AND (tombstoneUntil IS NULL OR tombstoneUntil > ?)
            """,
            [session, field, now],
            StoredFile.init(row:)
        )
    }

    /// The file of a number, as long as it has the same staging file.
    func current(_ file: StoredFile) throws -> StoredFile? {
        try row(
            "SELECT \(fileColumns) FROM file WHERE id = ? AND staging = ?",
            [file.id, file.staging],
            StoredFile.init(row:)
        )
    }

    /// The committed parts of a file, ascending.
    func parts(of file: StoredFile) throws -> [StoredPart] {
        guard file.kind != .ranges else { return [] }
        return try rows(
            "SELECT number, size, md5, checksum, offset, scratch FROM part WHERE file = ? ORDER BY number",
            [file.id]
        ) { row in
            let (number, size, offset): (Int, Int64, Int64) = (row[0], row[1], row[4])
            guard let digest = MD5Digest(bytes: row[2]), number >= 0, ByteRange(offset: offset, count: size) != nil
            else {
                throw DatabaseError(resultCode: .SQLITE_CORRUPT, message: "a part of file \(file.id) is impossible")
            }
            let scratch: String? = row[5]
            return StoredPart(
                Part(number: number, size: size, digest: digest),
                checksum: UInt64(bitPattern: row[3] as Int64),
                place: scratch.map { .scratch($0) } ?? .staging(offset: offset)
            )
        }
    }

    /// The staging files that only this unfinished file needs.
    func leftovers(of file: Int64) throws -> [Leftover] {
        try rows(
            """
            SELECT root, staging FROM file WHERE id = ?1 AND phase < \(PhaseCode.published.rawValue)
            UNION ALL SELECT file.root, scratch FROM part JOIN file ON file.id = part.file
            WHERE part.file = ?1 AND scratch IS NOT NULL
            """,
            [file]
        ) { Leftover(root: $0[0], staging: $0[1]) }
    }

    /// The ranges of a table that overlap or touch `range`.
    func coverage(_ table: CoverageTable, of file: Int64, near range: ByteRange) throws -> Coverage {
        let rows = try rows(
            """
            SELECT start, "end" FROM \(table.rawValue) WHERE file = ?1 AND start <= ?3
            AND start >= ifnull((SELECT max(start) FROM \(table.rawValue) WHERE file = ?1 AND start < ?2), 0)
            """,
            [file, range.offset, range.end],
            ByteRange.init(row:)
        )
        return Coverage(rows.filter(range.touches))
    }

    /// Adds a range to a table; `nil` when it held all of it before.
    func insert(_ range: ByteRange, into table: CoverageTable, of file: Int64) throws -> Coverage.Merge? {
        var coverage = try coverage(table, of: file, near: range)
        guard let merge = coverage.insert(range) else { return nil }
        for range in merge.removed {
            try run("DELETE FROM \(table.rawValue) WHERE file = ? AND start = ?", [file, range.offset])
        }
        try run(
            "INSERT INTO \(table.rawValue) (file, start, \"end\") VALUES (?, ?, ?)",
            [file, merge.inserted.offset, merge.inserted.end]
        )
        return merge
    }

    /// All ranges of a table.
    func coverage(_ table: CoverageTable, of file: Int64) throws -> Coverage {
        Coverage(
            try rows(
                "SELECT start, \"end\" FROM \(table.rawValue) WHERE file = ? ORDER BY start",
                [file],
                ByteRange.init(row:)
            )
        )
    }

    /// Makes a table hold just these ranges.
    func replace(_ table: CoverageTable, of file: Int64, with coverage: Coverage) throws {
        try run("DELETE FROM \(table.rawValue) WHERE file = ?", [file])
        for range in coverage.ranges {
            try run(
                "INSERT INTO \(table.rawValue) (file, start, \"end\") VALUES (?, ?, ?)",
                [file, range.offset, range.end]
            )
        }
    }

    /// The segments of a file that are not known to be on disk.
    func segments(of file: Int64) throws -> [CommittedSegment] {
        try rows("SELECT start, \"end\", checksum FROM segment WHERE file = ? ORDER BY start", [file]) { row in
            CommittedSegment(range: try ByteRange(row: row), checksum: UInt64(bitPattern: row[2] as Int64))
        }
    }

    /// Forgets what is known of the bytes of a file.
    func removeBytes(of file: Int64) throws {
        for table in ["range", "segment", "synced", "part"] { try run("DELETE FROM \(table) WHERE file = ?", [file]) }
        try run("UPDATE file SET rangeCount = 0, partBytes = 0 WHERE id = ?", [file])
    }
}
