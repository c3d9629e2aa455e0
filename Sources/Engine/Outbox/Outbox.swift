public import Ledger
import Programs
import Staging
public import Uploads

// What is done for finished files outside of requests, at least once each.

extension Engine {
    /// What became of an attempt at an event.
    public struct Delivery: Sendable {
        /// The event, as it was taken.
        public let event: Event
        /// Why it is to be tried again; `nil` when it is done.
        public let failure: String?
        /// What the program said.
        public let output: String
    }

    /// The longest time between two attempts, in seconds.
    private static let retrySecondsMax: Int64 = 900
    /// For how long events that were delivered are kept, in seconds.
    private static let deliveredSeconds: Int64 = 7 * 86_400

    /// Does what has been due for longest; `nil` when nothing is due.
    ///
    /// Attempts follow after 1, 2, 4 and so on up to 900 s, as long as it takes, or until the event is dropped.
    public func deliverNext() throws(UploadError) -> Delivery? {
        let lease = Int64(Self.programSecondsMax + 60)
        guard let event = try ledger.takeDueEvent(now: now(), leaseSeconds: lease) else { return nil }
        let (failure, output) = attempt(event)
        if let failure {
            let delay = min(Self.retrySecondsMax, 1 << Int64(min(max(event.attempts, 1) - 1, 20)))
            try ledger.settle(event, as: .due(at: now() + delay), failure: failure)
        } else {
            try ledger.settle(event, as: .delivered(at: now()), failure: nil)
        }
        return Delivery(event: event, failure: failure, output: output)
    }

    private func attempt(_ event: Event) -> (failure: String?, output: String) {
        switch event.task {
        case .tell(let program): return tell(program, event.document)
        case .writeManifest(let file):
            do throws(UploadError) {
                guard let obstacle = try writeManifestLater(event.document, of: file) else { return (nil, "") }
                postpone("write manifest", of: file.path, in: file.root, obstacle, fate: .givenUp)
                return (nil, "given up: " + obstacle)
            } catch {
                return (error.reason, "")
            }
        case .syncFolder(let file):
            // What leads nowhere has nothing to sync.
            guard let path = RelativePath(parsing: file.path) else { return (nil, "") }
            do throws(UploadError) {
                let area = try area(file.root)
                try staged { () throws(StagingError) in try area.syncFolder(of: path) }
                return (nil, "")
            } catch {
                return (error.reason, "")
            }
        }
    }

    private func tell(_ program: String, _ document: String) -> (failure: String?, output: String) {
        do throws(Program.Failure) {
            try requireAllowed(program)
            let ending = try Program.run(program, input: Array(document.utf8), seconds: Self.programSecondsMax)
            if ending.status == 0 { return (nil, ending.output) }
            return (ending.status.map { "exit status \($0)" } ?? "ended by a signal", ending.output)
        } catch {
            return (error.description, "")
        }
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

    // MARK: What was begun

    /// Finishes what requests have begun and could not finish, or died over. What can not be finished now waits for the
    /// next time.
    func finishBegun(tombstoneSeconds: Int64) throws(UploadError) {
        try settleAnnouncedFiles()
        try settleReservations()
        for file in try ledger.filesBeingPublished() {
            do throws(UploadError) {
                _ = try publish(file, tombstoneSeconds: tombstoneSeconds)
            } catch .stagingUnavailable {
                // The sweep tells of roots that are not there.
                continue
            } catch {
                postpone("publish file", of: file.spec.target.path.text, in: file.root, error.reason)
            }
        }
    }

    /// Finds out whether files that were announced have got their names. One that another request is about to give its
    /// name to is left to that one.
    ///
    /// A file that has its staging name no more has got the other one, even if it is not there: then it has been fetched.
    ///
    /// - Parameter root: of which root alone; `nil` for all.
    func settleAnnouncedFiles(of root: String? = nil) throws(UploadError) {
        for announced in try ledger.announcedFiles() where root == nil || announced.file.root == root {
            guard let path = RelativePath(parsing: announced.file.path) else { continue }
            do throws(UploadError) {
                let area = try area(announced.file.root)
                if try isInUse(announced.staging, in: area) { continue }
                let isPublished = try staged { () throws(StagingError) in
                    if try area.holds(announced.staging) { return false }
                    try area.syncFolder(of: path)
                    return true
                }
                try ledger.settleAnnounced(announced, isPublished: isPublished, without: [], now: now())
            } catch .stagingUnavailable {
                continue
            } catch {
                postpone("settle events", of: announced.file.path, in: announced.file.root, error.reason)
            }
        }
    }
}
