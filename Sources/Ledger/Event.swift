/// What is to be done for a file outside of its upload, at least once: a program to be told, or what could not be done at
/// once.
public struct Event: Hashable, Sendable {
    /// The ledger's own number of the event.
    public let id: Int64
    /// What is the same however often it is done: a program's idempotency key, 32 hexadecimal digits; that of another task
    /// has its name behind them.
    public let key: String
    /// What is to be done.
    public let task: Task
    /// What a program reads on standard input, or a manifest is made of: JSON.
    public let document: String
    /// Where it is on its way.
    public let state: State
    /// How often it has been tried.
    public let attempts: Int
    /// When it came to be, in seconds since 1970.
    public let createdAt: Int64
    /// Why the last attempt failed; `nil` when none has.
    public let failure: String?

    /// The program that is told, an absolute path; else the name of the task.
    public var program: String { task.name }

    /// What is to be done.
    public enum Task: Hashable, Sendable {
        /// Tell a program, an absolute path.
        case tell(program: String)
        /// Put a manifest beside a file that has its name.
        case writeManifest(NamedFile)
        /// Make the name of a file durable.
        case syncFolder(NamedFile)

        var name: String {
            switch self {
            case .tell(let program): program
            case .writeManifest: "manifest"
            case .syncFolder: "folder"
            }
        }

        var file: NamedFile? {
            switch self {
            case .tell: nil
            case .writeManifest(let file), .syncFolder(let file): file
            }
        }
    }

    /// Where an event is on its way.
    public enum State: Hashable, Sendable {
        /// Its file is about to get its name.
        case waiting
        /// It is to be done, not before `at`, in seconds since 1970.
        case due(at: Int64)
        /// It was done at `at`, in seconds since 1970.
        case delivered(at: Int64)
    }
}

/// An event that is to be kept.
public struct NewEvent: Hashable, Sendable {
    /// The idempotency key.
    public let key: String
    let task: Event.Task
    let document: String
    let now: Int64

    /// - Parameters:
    ///   - key: the idempotency key.
    ///   - task: what is to be done.
    ///   - document: what a program is told or a manifest is made of, as JSON.
    ///   - now: the time, in seconds since 1970.
    public init(key: String, task: Event.Task, document: String, now: Int64) {
        self.key = key
        self.task = task
        self.document = document
        self.now = now
    }
}

/// A file that has its final name, or is about to get it.
public struct NamedFile: Hashable, Sendable {
    /// The root that it appears in.
    public let root: String
    /// Its path below the root.
    public let path: String
    /// Its inode number.
    public let inode: UInt64

    /// A file at a path.
    public init(root: String, path: String, inode: UInt64) {
        self.root = root
        self.path = path
        self.inode = inode
    }
}

/// A file that is about to get its name although no session knows it, and the events of which wait for that.
public struct AnnouncedFile: Hashable, Sendable {
    /// The name of its staging file, which it bears until it has the other one.
    public let staging: String
    /// What it is about to become.
    public let file: NamedFile

    /// A file that is about to get a name.
    public init(staging: String, file: NamedFile) {
        self.staging = staging
        self.file = file
    }
}
