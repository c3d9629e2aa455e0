import Ledger
import Staging
import Uploads

// Giving files that only one request has their final names.

/// A file of a request that is whole, allowed, sealed and synced: all that it lacks is its name.
struct ReadyContent {
    let file: File
    let spec: FileSpec
    let account: FileAccount
    let inode: UInt64
    /// What is set aside for it; it has a staging name then.
    let reservation: Reservation?

    /// What gets the name.
    enum File {
        /// An open file that has none.
        case anonymous(HeldContent)
        /// A file with a staging name: programs are asked and told of it, or it rests. It is open where only that says that
        /// it is in use.
        case staged(String, HeldContent?)

        /// The staging name; `nil` when there is none.
        var staging: String? {
            switch self {
            case .anonymous: nil
            case .staged(let name, _): name
            }
        }
    }
}

extension Engine {
    /// Does all that can fail before a request's file gets its name.
    func prepare(
        _ held: HeldContent,
        _ spec: FileSpec,
        _ account: FileAccount,
        _ reservation: Reservation?,
        in area: borrowing StagingArea,
        root: String
    ) throws(UploadError) -> ReadyContent {
        let isResting = held.name != nil
        if account.handOff.isNothing, !isResting {
            try sealAndSync(held)
            return ReadyContent(file: .anonymous(held), spec: spec, account: account, inode: 0, reservation: nil)
        }
        let staging = held.name ?? StagingArea.makeName()
        if !isResting { try staged { () throws(StagingError) in try held.link(as: staging, in: area) } }
        do throws(UploadError) {
            let inode = try staged { () throws(StagingError) in
                try held.file.markInUse()
                return try held.file.inode()
            }
            if let veto = account.handOff.veto { try ask(veto, of: spec, account, root: root, staging: staging) }
            try sealAndSync(held)
            let file = ReadyContent.File.staged(staging, isResting ? nil : held)
            return ReadyContent(file: file, spec: spec, account: account, inode: inode, reservation: reservation)
        } catch {
            // What can not be removed now is an orphan for the sweep. With a reservation, that is to be given back first.
            if reservation == nil { try? area.remove(staging) }
            throw error
        }
    }

    private func sealAndSync(_ held: HeldContent) throws(UploadError) {
        try staged { () throws(StagingError) in
            try held.file.seal()
            try sync(held.file)
        }
    }

    /// Gives up a file that is not to get its name.
    func abandon(_ ready: ReadyContent, in area: borrowing StagingArea) {
        if let reservation = ready.reservation { return giveBack(reservation, in: area) }
        // As above.
        if let staging = ready.file.staging { try? area.remove(staging) }
    }

    /// Gives a request's file its name. An error says that it has not got one.
    func giveName(
        to ready: ReadyContent,
        in area: borrowing StagingArea,
        root: String
    ) throws(UploadError) -> PublishedFile {
        let (spec, account) = (ready.spec, ready.account)
        guard !account.handOff.isNothing, let staging = ready.file.staging else {
            do throws(UploadError) { return try giveFirstName(to: ready, in: area, root: root) } catch {
                abandon(ready, in: area)
                throw error
            }
        }
        let handOff = account.handOff
        var document: [UInt8] = []
        var announced: AnnouncedFile?
        do throws(UploadError) {
            if handOff.hasManifest { try staged { () throws(StagingError) in try area.lockNames() } }
            defer { if handOff.hasManifest { area.unlockNames() } }
            let (path, unsynced) = try path(for: spec.target, handOff.hasManifest, in: area) {
                (path) throws(UploadError) in
                document = self.document(of: spec, account, key: staging, root: root, name: path.text)
                let file = NamedFile(root: root, path: path.text, inode: ready.inode)
                var events: [NewEvent] = []
                if handOff.hasManifest { events.append(manifestEvent(document, key: staging, of: file)) }
                if let hook = handOff.hook { events.append(event(for: hook, document, key: staging)) }
                if !events.isEmpty {
                    let announcing = AnnouncedFile(staging: staging, file: file)
                    if let announced, announced != announcing { try forget(announced) }
                    announced = announcing
                    try ledger.announce(events, of: announcing)
                }
                return try staged { () throws(StagingError) in
                    try area.publish(staging, as: path, replacing: spec.target.ifTaken == .replace)
                }
            }
            finish(announced, handOff, document, path.text, root, unsynced)
            return PublishedFile(spec: spec, path: path.text)
        } catch {
            // As long as the ledger awaits the file it must bear its staging name, as it would seem to have the other one.
            do {
                if let announced { try forget(announced) }
                abandon(ready, in: area)
            } catch {
                postpone("forget events", of: spec.target.path.text, in: root, error.reason)
            }
            throw error
        }
    }

    private func forget(_ announced: AnnouncedFile) throws(UploadError) {
        try ledger.settleAnnounced(announced, isPublished: false, without: [], now: now())
    }

    /// Does what follows once a file has its name. What fails here leaves its events waiting, for a sweep.
    private func finish(
        _ announced: AnnouncedFile?,
        _ handOff: HandOff,
        _ document: [UInt8],
        _ path: String,
        _ root: String,
        _ unsynced: StagingError?
    ) {
        guard let announced else { return syncLater(path, root, unsynced) }
        if let unsynced { return postpone("sync folder", of: path, in: root, unsynced.uploadError.reason) }
        let isDone = handOff.hasManifest && publishManifest(document, of: announced.file)
        let done = isDone ? [manifestEvent(document, key: announced.staging, of: announced.file).key] : []
        do throws(UploadError) {
            try ledger.settleAnnounced(announced, isPublished: true, without: Set(done), now: now())
        } catch {
            postpone("note published file", of: path, in: root, error.reason)
        }
    }

    /// Gives a file its name of which nobody is asked or told.
    private func giveFirstName(
        to ready: ReadyContent,
        in area: borrowing StagingArea,
        root: String
    ) throws(UploadError) -> PublishedFile {
        let target = ready.spec.target
        let (path, unsynced) = try path(for: target, false, in: area) { (path) throws(UploadError) in
            try staged { () throws(StagingError) in
                switch (ready.file, target.ifTaken) {
                case (.staged(let name, _), let ifTaken):
                    return try area.publish(name, as: path, replacing: ifTaken == .replace)
                case (.anonymous(let content), .addNumber):
                    return try content.file.publishAnonymous(as: path, in: area)
                case (.anonymous(let content), .replace):
                    let name = StagingArea.makeName()
                    try content.link(as: name, in: area)
                    return try area.publish(name, as: path, replacing: true)
                }
            }
        }
        syncLater(path.text, root, unsynced)
        return PublishedFile(spec: ready.spec, path: path.text)
    }

    /// Has the outbox sync the folder of a file that no row of the ledger tells of.
    private func syncLater(_ path: String, _ root: String, _ unsynced: StagingError?) {
        guard let unsynced else { return }
        postpone("sync folder", of: path, in: root, unsynced.uploadError.reason)
        let task = Event.Task.syncFolder(NamedFile(root: root, path: path, inode: 0))
        do throws(UploadError) {
            try ledger.keep(NewEvent(key: StagingArea.makeName(), task: task, document: "", now: now()))
        } catch {
            postpone("keep event", of: path, in: root, error.reason, fate: .givenUp)
        }
    }

    /// Publishes a small file of these bytes.
    func publish(_ bytes: [UInt8], as target: Target, root: String) throws(UploadError) -> PublishedFile {
        let area = try area(root)
        let file = try staged { () throws(StagingError) in
            let file = try StagingFile.anonymous(in: area)
            try file.write(bytes.span, at: 0)
            return file
        }
        let count = Int64(bytes.count)
        let spec = FileSpec(field: "", fileName: "", mediaType: "", target: target, total: count)
        let content = HeldContent(file: file, range: .first(count), checksum: 0, digest: nil, place: .own)
        let account = FileAccount(
            session: SessionKey(mount: "", principal: "", id: ""),
            fields: [],
            handOff: HandOff()
        )
        let ready = try prepare(content, spec, account, nil, in: area, root: root)
        return try giveFirstName(to: ready, in: area, root: root)
    }
}
