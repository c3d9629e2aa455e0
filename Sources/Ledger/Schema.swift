import GRDB

/// The ledger's tables; each migration is final once released.
enum Schema {
    static var migrator: DatabaseMigrator {
        var migrator = DatabaseMigrator()
        migrator.registerMigration("1 sessions") { db in
            try db.execute(
                sql: """
                    CREATE TABLE session (
                        id INTEGER PRIMARY KEY,
                        mount TEXT NOT NULL,
                        principal TEXT NOT NULL,
                        key TEXT NOT NULL,
                        expiresAt INTEGER NOT NULL,
                        UNIQUE (mount, principal, key)
                    ) STRICT;
                    CREATE INDEX sessionByExpiry ON session (expiresAt);

                    -- phase: 0 reserved, 1 open, 2 publishing, 3 published (FilePhase)
                    -- name and inode belong to phases 2 and 3, tombstoneUntil to 3
                    CREATE TABLE file (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
                        field TEXT NOT NULL,
                        fileName TEXT NOT NULL,
                        mediaType TEXT NOT NULL,
                        target TEXT NOT NULL,
                        total INTEGER NOT NULL,
                        root TEXT NOT NULL,
                        staging TEXT NOT NULL,
                        phase INTEGER NOT NULL,
                        name TEXT,
                        inode INTEGER,
                        tombstoneUntil INTEGER,
                        rangeCount INTEGER NOT NULL DEFAULT 0,
                        UNIQUE (session, field)
                    ) STRICT;
                    CREATE INDEX fileByTombstone ON file (tombstoneUntil) WHERE tombstoneUntil IS NOT NULL;

                    -- the coverage: disjoint ranges that do not touch
                    CREATE TABLE range (
                        file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
                        start INTEGER NOT NULL,
                        end INTEGER NOT NULL,
                        PRIMARY KEY (file, start)
                    ) STRICT, WITHOUT ROWID;

                    -- what the coverage was put together from, to check it after a power cut
                    CREATE TABLE segment (
                        file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
                        start INTEGER NOT NULL,
                        end INTEGER NOT NULL,
                        checksum INTEGER NOT NULL,
                        PRIMARY KEY (file, start, end)
                    ) STRICT, WITHOUT ROWID;

                    CREATE TABLE field (
                        id INTEGER PRIMARY KEY,
                        session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
                        name TEXT NOT NULL,
                        value TEXT NOT NULL,
                        UNIQUE (session, name)
                    ) STRICT;

                    CREATE TABLE root (path TEXT PRIMARY KEY) STRICT, WITHOUT ROWID;

                    CREATE TABLE verified (
                        onlyRow INTEGER PRIMARY KEY CHECK (onlyRow = 1),
                        boot TEXT NOT NULL
                    ) STRICT;
                    """
            )
        }
        migrator.registerMigration("2 parts") { db in
            try db.execute(
                sql: """
                    -- replaces: whether a file at the target makes way
                    ALTER TABLE file ADD COLUMN replaces INTEGER NOT NULL DEFAULT 0;
                    -- kind: 0 in ranges, 1 in numbered parts, 2 in numbered parts of a file of a declared size
                    -- stride and base belong to kinds 1 and 2 (PartLayout), partBytes is the size of all their parts
                    ALTER TABLE file ADD COLUMN kind INTEGER NOT NULL DEFAULT 0;
                    ALTER TABLE file ADD COLUMN stride INTEGER;
                    ALTER TABLE file ADD COLUMN base INTEGER NOT NULL DEFAULT 1;
                    ALTER TABLE file ADD COLUMN partBytes INTEGER NOT NULL DEFAULT 0;

                    -- a part is in the staging file at offset, or in a scratch file of its own
                    CREATE TABLE part (
                        file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
                        number INTEGER NOT NULL,
                        size INTEGER NOT NULL,
                        md5 BLOB NOT NULL,
                        checksum INTEGER NOT NULL,
                        offset INTEGER NOT NULL,
                        scratch TEXT,
                        PRIMARY KEY (file, number)
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX partByScratch ON part (file) WHERE scratch IS NOT NULL;

                    -- the last number that was issued
                    CREATE TABLE issued (
                        onlyRow INTEGER PRIMARY KEY CHECK (onlyRow = 1),
                        number INTEGER NOT NULL
                    ) STRICT;
                    INSERT INTO issued (onlyRow, number) VALUES (1, 0);
                    """
            )
        }
        migrator.registerMigration("3 synced ranges") { db in
            try db.execute(
                sql: """
                    -- what is known to be on disk, and needs no segments to prove it: disjoint ranges that do not touch
                    CREATE TABLE synced (
                        file INTEGER NOT NULL REFERENCES file ON DELETE CASCADE,
                        start INTEGER NOT NULL,
                        end INTEGER NOT NULL,
                        PRIMARY KEY (file, start)
                    ) STRICT, WITHOUT ROWID;
                    -- how many segments have come since the last sync
                    ALTER TABLE file ADD COLUMN segmentCount INTEGER NOT NULL DEFAULT 0;
                    """
            )
        }
        migrator.registerMigration("4 segments of ranges") { db in
            try db.execute(
                sql: """
                    -- how many segments begin in the range: a commit writes its row anyway
                    ALTER TABLE range ADD COLUMN segments INTEGER NOT NULL DEFAULT 0;
                    UPDATE range SET segments = (
                        SELECT count(*) FROM segment WHERE segment.file = range.file
                            AND segment.start >= range.start AND segment.start < range."end"
                    );
                    ALTER TABLE file DROP COLUMN segmentCount;
                    """
            )
        }
        migrator.registerMigration("5 events") { db in
            try db.execute(
                sql: """
                    -- what is to be done with the file once it is whole (HandOff)
                    ALTER TABLE file ADD COLUMN hook TEXT;
                    ALTER TABLE file ADD COLUMN veto TEXT;
                    ALTER TABLE file ADD COLUMN manifest INTEGER NOT NULL DEFAULT 0;
                    -- for those who look at uploads: what protocol they speak, and when they began
                    ALTER TABLE file ADD COLUMN dialect TEXT NOT NULL DEFAULT '';
                    ALTER TABLE file ADD COLUMN createdAt INTEGER NOT NULL DEFAULT 0;

                    -- what programs are to be told: the outbox
                    -- state: 0 waiting for the file at path to have its name, 1 due at a time, 2 delivered at a time
                    CREATE TABLE event (
                        id INTEGER PRIMARY KEY AUTOINCREMENT,
                        key TEXT NOT NULL UNIQUE,
                        program TEXT NOT NULL,
                        document TEXT NOT NULL,
                        state INTEGER NOT NULL,
                        at INTEGER NOT NULL,
                        attempts INTEGER NOT NULL DEFAULT 0,
                        createdAt INTEGER NOT NULL,
                        failure TEXT,
                        root TEXT,
                        path TEXT,
                        inode INTEGER
                    ) STRICT;
                    CREATE INDEX eventByTime ON event (state, at);

                    -- how many bytes the finished files of a principal have had
                    CREATE TABLE usage (
                        mount TEXT NOT NULL,
                        principal TEXT NOT NULL,
                        bytes INTEGER NOT NULL,
                        PRIMARY KEY (mount, principal)
                    ) STRICT, WITHOUT ROWID;
                    """
            )
        }
        migrator.registerMigration("6 identity") { db in
            try db.execute(
                sql: """
                    -- which ledger this is, as the marks of its roots say
                    CREATE TABLE identity (
                        onlyRow INTEGER PRIMARY KEY CHECK (onlyRow = 1),
                        ledger TEXT NOT NULL
                    ) STRICT;
                    INSERT INTO identity (onlyRow, ledger) VALUES (1, lower(hex(randomblob(16))));

                    -- mark: the number in the root's own mark; none of a root that only versions without marks have used
                    -- isRecovered: 0 when a recovery could not reach it
                    ALTER TABLE root ADD COLUMN mark TEXT;
                    ALTER TABLE root ADD COLUMN isRecovered INTEGER NOT NULL DEFAULT 1;
                    INSERT OR IGNORE INTO root (path) SELECT DISTINCT root FROM event WHERE root IS NOT NULL;
                    CREATE UNIQUE INDEX rootByMark ON root (mark) WHERE mark IS NOT NULL;

                    -- a mount is its name and its root, and the server belongs to a name that the path makes by default
                    -- isFormer: 1 of a session whose mount may have such a name without the server
                    CREATE TABLE newSession (
                        id INTEGER PRIMARY KEY,
                        mount TEXT NOT NULL,
                        principal TEXT NOT NULL,
                        key TEXT NOT NULL,
                        mountRoot TEXT NOT NULL DEFAULT '',
                        expiresAt INTEGER NOT NULL,
                        isFormer INTEGER NOT NULL DEFAULT 0,
                        UNIQUE (mount, principal, key, mountRoot)
                    ) STRICT;
                    INSERT INTO newSession (id, mount, principal, key, mountRoot, expiresAt, isFormer)
                    SELECT id, mount, principal, key, ifnull(
                        (SELECT root FROM file WHERE file.session = session.id ORDER BY file.id DESC LIMIT 1), ''
                    ), expiresAt, 1 FROM session;
                    DROP TABLE session;
                    ALTER TABLE newSession RENAME TO session;
                    CREATE INDEX sessionByExpiry ON session (expiresAt);
                    CREATE INDEX formerSession ON session (id) WHERE isFormer = 1;

                    ALTER TABLE usage ADD COLUMN isFormer INTEGER NOT NULL DEFAULT 0;
                    UPDATE usage SET isFormer = 1;
                    """
            )
        }
        migrator.registerMigration("7 ownership") { db in
            try db.execute(
                sql: """
                    -- what requests have set aside of a principal's quota, for files that are about to get their names
                    -- until: when it counts no longer, should its process have died
                    CREATE TABLE reservation (
                        key TEXT PRIMARY KEY,
                        mount TEXT NOT NULL,
                        principal TEXT NOT NULL,
                        bytes INTEGER NOT NULL,
                        until INTEGER NOT NULL
                    ) STRICT, WITHOUT ROWID;
                    CREATE INDEX reservationByPrincipal ON reservation (mount, principal);
                    """
            )
        }
        migrator.registerMigration("8 field values") { db in
            try db.execute(
                sql: """
                    -- a data field may have several values, numbered from 0 in their order
                    CREATE TABLE fieldValue (
                        id INTEGER PRIMARY KEY,
                        session INTEGER NOT NULL REFERENCES session ON DELETE CASCADE,
                        name TEXT NOT NULL,
                        number INTEGER NOT NULL,
                        value TEXT NOT NULL,
                        UNIQUE (session, name, number)
                    ) STRICT;
                    INSERT INTO fieldValue (id, session, name, number, value)
                        SELECT id, session, name, 0, value FROM field;
                    DROP TABLE field;
                    ALTER TABLE fieldValue RENAME TO field;
                    """
            )
        }
        migrator.registerMigration("9 hand-off") { db in
            try db.execute(
                sql: """
                    -- task: 0 tell the program, 1 put a manifest beside the file at path, 2 sync the folder of path
                    ALTER TABLE event ADD COLUMN task INTEGER NOT NULL DEFAULT 0;
                    -- the staging name of the file that an event waits for: it has its name once it has this no more
                    ALTER TABLE event ADD COLUMN staging TEXT;
                    UPDATE event SET staging = key WHERE state = 0;
                    """
            )
        }
        migrator.registerMigration("10 reserved files") { db in
            try db.execute(
                sql: """
                    -- the root of the file that a reservation is for, whose staging name is the key: once the file bears
                    -- that no more it has its own name, and counts
                    ALTER TABLE reservation ADD COLUMN root TEXT;
                    """
            )
        }
        return migrator
    }
}
