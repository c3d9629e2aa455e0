/// What a program of the site is to be told, at least once.
public struct Event: Hashable, Sendable {
    /// The ledger's own number of the event.
    public let id: Int64
    /// What is the same however often the program is told: its idempotency key, 32 hexadecimal digits.
    public let key: String
    /// The program, an absolute path.
    public let program: String
    /// What it reads on standard input: JSON.
    public let document: String
    /// Where it is on its way.
    public let state: State
    /// How often the program has been started for it.
    public let attempts: Int
    /// When it came to be, in seconds since 1970.
    public let createdAt: Int64
    /// Why the last attempt failed; `nil` when none has.
    public let failure: String?

    /// Where an event is on its way.
    public enum State: Hashable, Sendable {
        /// Its file is about to get its name.
        case waiting
        /// It is to be delivered, not before `at`, in seconds since 1970.
        case due(at: Int64)
        /// It was delivered at `at`, in seconds since 1970.
        case delivered(at: Int64)
    }
}

/// An event that is to be kept.
public struct NewEvent: Hashable, Sendable {
    let key: String
    let program: String
    let document: String
    let now: Int64

    /// - Parameters:
    ///   - key: the idempotency key.
    ///   - program: who is told, an absolute path.
    ///   - document: what, as JSON.
    ///   - now: the time, in seconds since 1970.
    public init(key: String, program: String, document: String, now: Int64) {
        self.key = key
        self.program = program
        self.document = document
        self.now = now
    }
}

/// A file that is about to get its name although no session knows it, and the event that tells of it.
public struct AnnouncedFile: Hashable, Sendable {
    /// The idempotency key of the event.
    public let key: String
    /// The root that the file appears in.
    public let root: String
    /// Its path below the root.
    public let path: String
    /// Its inode number.
    public let inode: UInt64

    /// A file at a path.
    public init(key: String, root: String, path: String, inode: UInt64) {
        self.key = key
        self.root = root
        self.path = path
        self.inode = inode
    }
}
