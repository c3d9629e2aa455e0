import Foundation
public import Ledger
import Programs
import Staging
public import Uploads

// What the site's own code is asked, and told, of whole files (docs/hand-off.md).
//
// 1. A veto is asked before the file gets its name. Whatever goes wrong with it, the file stays as it is, unpublished.
// 2. A manifest is there before the client hears that its file is.
// 3. An event is kept in the same transaction that says that the file is published, and is told until its program exits
//    with 0. A program may be told more than once, always with the same key.

/// What programs and manifests say of a file.
private struct FileDocument: Encodable {
    let event: String
    let key: String
    let mount: String
    let principal: String
    let upload: String
    let path: String
    let name: String
    let field: String
    let fileName: String
    let type: String
    let size: Int64
    let fields: [String: String]

    /// - Parameter path: where the file can be read now; absolute.
    init(event: String, key: String, _ spec: FileSpec, _ account: FileAccount, path: String, name: String) {
        self.event = event
        self.key = key
        mount = Mount.shortName(of: account.session.mount)
        principal = account.session.principal
        upload = account.session.id
        self.path = path
        self.name = name
        field = spec.field
        fileName = spec.fileName
        type = spec.mediaType
        size = spec.total
        fields = Dictionary(account.fields.map { ($0.name, $0.value) }) { $1 }
    }

    func encoded() throws(UploadError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do { return Array(try encoder.encode(self)) } catch {
            throw .storage(StorageFailure(operation: "describe file", reason: "\(error)"))
        }
    }
}

extension Engine {
    /// How long a program may take, in seconds.
    public static let programSecondsMax = 300
    /// The suffix of a manifest's name.
    private static let manifestSuffix = ".json"

    /// Asks the program of a veto whether a whole file may have its name.
    ///
    /// - Parameter staging: the name of its staging file.
    func ask(
        _ program: String,
        of spec: FileSpec,
        _ account: FileAccount,
        root: String,
        staging: String
    )
        throws(UploadError)
    {
        let path = "\(root)/\(RelativePath.stagingFolderName)/\(staging)"
        let document = FileDocument(
            event: "whole",
            key: staging,
            spec,
            account,
            path: path,
            name: spec.target.path.text
        )
        let ending: Program.Ending
        do {
            try requireAllowed(program)
            ending = try Program.run(program, input: try document.encoded(), seconds: Self.programSecondsMax)
        } catch let failure as Program.Failure {
            throw .storage(StorageFailure(operation: "ask veto", reason: "\(failure)"))
        } catch {
            throw .storage(StorageFailure(operation: "ask veto", reason: "\(error)"))
        }
        switch ending.status {
        case 0: return
        case 1:
            let message = ending.output.split(whereSeparator: \.isNewline).first.map(String.init)
            throw .refused(message: message ?? "the file was refused")
        case let status:
            throw .storage(
                StorageFailure(
                    operation: "ask veto",
                    reason: "\(program) ended with \(status.map { "status \($0)" } ?? "a signal"): \(ending.output)"
                )
            )
        }
    }

    /// What is told of a published file, by its event and by its manifest.
    ///
    /// - Parameter name: its path below the root.
    func document(
        of spec: FileSpec,
        _ account: FileAccount,
        key: String,
        root: String,
        name: String
    ) throws(UploadError) -> [UInt8] {
        try FileDocument(event: "published", key: key, spec, account, path: "\(root)/\(name)", name: name).encoded()
    }

    /// Publishes a document beside the file of a name, in the place of one that is there.
    func publishManifest(_ document: [UInt8], root: String, name: String) throws(UploadError) {
        guard let path = RelativePath(parsing: name + Self.manifestSuffix) else { throw .pathBlocked }
        _ = try publish(document, as: Target(path, ifTaken: .replace), root: root)
    }

    /// The event that tells a program of a document.
    func event(for program: String, _ document: [UInt8], key: String) -> NewEvent {
        NewEvent(key: key, program: program, document: String(decoding: document, as: UTF8.self), now: now())
    }

    /// Refuses a program that the administrator has not named: what a mount or an older ledger says is not enough.
    private func requireAllowed(_ program: String) throws(Program.Failure) {
        guard let programs, !programs.contains(program) else { return }
        throw .notStarted(path: program, reason: "it is not allowed: start fermata with --allow-program \(program)")
    }

    // MARK: Delivery

    /// What became of an attempt to tell a program of an event.
    public struct Delivery: Sendable {
        /// The event, as it was taken.
        public let event: Event
        /// Why it is to be told again; `nil` when it was told.
        public let failure: String?
        /// What the program said.
        public let output: String
    }

    /// The longest time between two attempts, in seconds.
    private static let retrySecondsMax: Int64 = 900
    /// For how long events that were delivered are kept, in seconds.
    private static let deliveredSeconds: Int64 = 7 * 86_400

    /// Tells a program of the event that has been due for longest; `nil` when none is due.
    ///
    /// Attempts follow after 1, 2, 4 and so on up to 900 s, as long as it takes, or until the event is dropped.
    public func deliverNext() throws(UploadError) -> Delivery? {
        let lease = Int64(Self.programSecondsMax + 60)
        guard let event = try ledger.takeDueEvent(now: now(), leaseSeconds: lease) else { return nil }
        var failure: String?
        var output = ""
        do throws(Program.Failure) {
            try requireAllowed(event.program)
            let ending = try Program.run(
                event.program,
                input: Array(event.document.utf8),
                seconds: Self.programSecondsMax
            )
            output = ending.output
            if ending.status != 0 { failure = ending.status.map { "exit status \($0)" } ?? "ended by a signal" }
        } catch {
            failure = error.description
        }
        if let failure {
            let delay = min(Self.retrySecondsMax, 1 << Int64(min(event.attempts - 1, 20)))
            try ledger.settle(event, as: .due(at: now() + delay), failure: failure)
        } else {
            try ledger.settle(event, as: .delivered(at: now()), failure: nil)
        }
        return Delivery(event: event, failure: failure, output: output)
    }

    /// All events that are kept, oldest first.
    public func events() throws(UploadError) -> [Event] { try ledger.events() }

    /// Has an event told again, at once; false when there is none of this number, or its file has no name yet.
    public func replay(_ id: Int64) throws(UploadError) -> Bool { try ledger.makeEventDue(id, at: now()) }

    /// Forgets an event; false when there is none of this number.
    public func drop(_ id: Int64) throws(UploadError) -> Bool { try ledger.removeEvent(id) }

    /// Forgets events that were delivered long ago.
    func removeOldEvents() throws(UploadError) {
        try ledger.removeDeliveredEvents(before: now() - Self.deliveredSeconds)
    }

    /// Finds out whether files that were announced before a crash have got their names. One that another process is
    /// about to give its name to is left to that one.
    func settleAnnouncedFiles(of root: String, in area: borrowing StagingArea) throws(UploadError) {
        for announced in try ledger.announcedFiles() where announced.root == root {
            guard let path = RelativePath(parsing: announced.path) else { continue }
            if try isInUse(announced.key, in: area) { continue }
            let inode = try staged { () throws(StagingError) in try area.inode(ofPublished: path) }
            try ledger.settleAnnounced(announced.key, isPublished: inode == announced.inode, now: now())
        }
    }
}
