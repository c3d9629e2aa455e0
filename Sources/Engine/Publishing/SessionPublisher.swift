import Ledger
import Staging
import Uploads

// Giving whole files of sessions their final names.

/// How often a name lost to another request is chosen anew.
private let namesTriedMax = 100

/// A session's file that is whole, allowed, sealed and synced, with its exclusive lock held: all that it lacks is its name.
struct ReadyFile {
    let file: StoredFile
    /// What it is made of, for an upload in parts.
    let assembly: Assembly?
    let account: FileAccount
    let inode: UInt64
}

/// How far a session's file is on its way to its name.
enum Readiness: ~Copyable {
    /// It has its name.
    case published(PublishedFile)
    /// It lacks its name only.
    case ready(ReadyFile, StagingFile)
}

extension Engine {
    /// Publishes a session's file, or tells that it has been published already.
    func publish(_ file: StoredFile, tombstoneSeconds: Int64) throws(UploadError) -> PublishedFile {
        let area = try area(file.root)
        switch try prepare(file, in: area, tombstoneSeconds) {
        case .published(let file): return file
        case .ready(let ready, let staging): return try giveName(to: ready, staging, in: area, tombstoneSeconds)
        }
    }

    /// Does all that can fail before a session's file gets its name.
    func prepare(
        _ file: StoredFile,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> Readiness {
        guard var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else { return .published(try settle(file, in: area, tombstoneSeconds)) }
        try staged { () throws(StagingError) in try staging.lockExclusively() }
        // Between the look-up and the lock another request may have published, restarted or cancelled the file.
        guard let (file, commit) = try ledger.current(file) else { throw .superseded }
        switch file.phase {
        case .published: return .published(try settle(file, in: area, tombstoneSeconds))
        case .publishing(let name, let inode):
            let path = try path(name)
            if try staged({ () throws(StagingError) in try area.inode(ofPublished: path) }) == inode {
                return .published(try settle(file, in: area, tombstoneSeconds))
            }
        // Parts are made a file by their completion only.
        case .reserved, .open: guard commit.isWhole, file.kind == .ranges else { throw .superseded }
        case .cancelled: throw .cancelled
        }
        let ready = try makeReady(file, staging, assembly: nil)
        return .ready(ready, staging)
    }

    /// Publishes a staging file that is whole, with its exclusive lock held.
    ///
    /// - Parameter assembly: what the file is made of, for an upload in parts.
    func publish(
        _ file: StoredFile,
        _ staging: borrowing StagingFile,
        assembly: Assembly?,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        let ready = try makeReady(file, staging, assembly: assembly)
        return try giveName(to: ready, staging, in: area, tombstoneSeconds)
    }

    /// Asks whether a whole file may have its name, and makes it unchangeable and durable.
    private func makeReady(
        _ file: StoredFile,
        _ staging: borrowing StagingFile,
        assembly: Assembly?
    ) throws(UploadError) -> ReadyFile {
        guard let account = try ledger.account(of: file) else { throw .superseded }
        let spec = assembly.map { file.spec.with(total: $0.total) } ?? file.spec
        // Behind the end lies nothing that is committed, neither of ranges nor of an assembly (`AssemblyPlan`).
        _ = try staged { () throws(StagingError) in try staging.trim(to: spec.total) }
        if let veto = account.handOff.veto, file.isUndecided {
            let name = assembly?.staging ?? file.staging
            do throws(UploadError) {
                try ask(veto, of: spec, account, root: file.root, staging: name)
            } catch .refused(let message) {
                if let leftovers = try ledger.forget(file) {
                    discard(leftovers + [Leftover(root: file.root, staging: name)])
                }
                throw .refused(message: message)
            } catch {
                try makeWritable(staging, of: file)
                throw error
            }
        }
        let inode = try staged { () throws(StagingError) in
            try staging.seal()
            return try staging.inode()
        }
        do { try sync(staging) } catch {
            try dropUnsynced(of: file)
            try makeWritable(staging, of: file)
            throw error.uploadError
        }
        return ReadyFile(file: file, assembly: assembly, account: account, inode: inode)
    }

    /// Gives a file its name that was made ready, and closed, before; once more made ready if anything has happened to it.
    func publish(
        _ ready: ReadyFile,
        unchangedSince stamp: StagingFile.Stamp,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        let area = try area(ready.file.root)
        if var staging = try staged({ () throws(StagingError) in try StagingFile.open(ready.file.staging, in: area) }) {
            try staged { () throws(StagingError) in try staging.lockExclusively() }
            let isUnchanged = try staged { () throws(StagingError) in try staging.stamp() == stamp }
            if isUnchanged { return try giveName(to: ready, staging, in: area, tombstoneSeconds) }
        }
        return try publish(ready.file, tombstoneSeconds: tombstoneSeconds)
    }

    /// Makes a file writable again that may be trimmed and sealed, with its exclusive lock held.
    func makeWritable(_ staging: borrowing StagingFile, of file: StoredFile) throws(UploadError) {
        try staged { () throws(StagingError) in
            switch file.kind {
            case .ranges: try staging.lengthen()
            // Parts have slots, which nobody else writes to.
            case .parts: break
            }
            try staging.unseal()
        }
    }

    /// Lets a file take bytes again that is not to get its name now.
    func abandon(_ ready: ReadyFile, _ staging: borrowing StagingFile) {
        switch ready.file.phase {
        // Should it stay sealed, whoever writes to it next opens it again.
        case .reserved, .open: try? makeWritable(staging, of: ready.file)
        case .publishing, .published, .cancelled: break
        }
    }

    /// Gives a file its name. An error says that it has not got one.
    func giveName(
        to ready: ReadyFile,
        _ staging: borrowing StagingFile,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        var (file, assembly) = (ready.file, ready.assembly)
        let hasManifest = ready.account.handOff.hasManifest
        var hasBegun = false
        do throws(UploadError) {
            if hasManifest { try staged { () throws(StagingError) in try area.lockNames() } }
            defer { if hasManifest { area.unlockNames() } }
            let target = file.spec.target
            let (path, unsynced) = try path(for: target, hasManifest, in: area) { (path) throws(UploadError) in
                let begun = try ledger.beginPublishing(file, as: path.text, inode: ready.inode, assembly: assembly)
                hasBegun = true
                discard(begun.leftovers)
                (file, assembly) = (begun.file, nil)
                return try staged { () throws(StagingError) in
                    try area.publish(file.staging, as: path, replacing: target.ifTaken == .replace)
                }
            }
            return finish(file, ready.account, ready.inode, as: path, unsynced, tombstoneSeconds)
        } catch {
            // The file takes bytes again, unless the ledger has begun what the next call or start will finish.
            if !hasBegun { try makeWritable(staging, of: file) }
            throw error
        }
    }

    /// Makes a folder with those above it.
    func makeFolder(_ path: RelativePath, root: String) throws(UploadError) {
        let area = try area(root)
        do { try area.makeFolder(at: path) } catch {
            switch error.uploadError {
            case .storage(let failure): throw .folderNotMade(failure)
            case let other: throw other
            }
        }
    }

    /// Tells the truth of a file without a staging name: it is published, about to be, or gone.
    func settle(
        _ file: StoredFile,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        guard let (file, _) = try ledger.current(file) else { throw .superseded }
        switch file.phase {
        case .published(let name): return PublishedFile(spec: file.spec, path: name)
        // The ledger knew the name first, so the file got it; if it is not there now, it has been fetched already.
        case .publishing(let name, let inode):
            let path = try path(name)
            var unsynced: StagingError?
            do throws(StagingError) { try area.syncFolder(of: path) } catch { unsynced = error }
            return finish(file, nil, inode, as: path, unsynced, tombstoneSeconds)
        case .reserved, .open:
            // Unless another has told the ledger of a name meanwhile.
            guard let leftovers = try ledger.forget(file) else { return try settle(file, in: area, tombstoneSeconds) }
            discard(leftovers)
            throw .superseded
        case .cancelled: throw .cancelled
        }
    }

    /// Does what follows once a file has its name. What fails here leaves the row as it is, `publishing`, for whoever looks
    /// at it next.
    private func finish(
        _ file: StoredFile,
        _ account: FileAccount?,
        _ inode: UInt64,
        as path: RelativePath,
        _ unsynced: StagingError?,
        _ tombstoneSeconds: Int64
    ) -> PublishedFile {
        let published = PublishedFile(spec: file.spec, path: path.text)
        let named = NamedFile(root: file.root, path: path.text, inode: inode)
        if let unsynced {
            postpone("sync folder", of: path.text, in: file.root, unsynced.uploadError.reason)
            return published
        }
        do throws(UploadError) {
            var events: [NewEvent] = []
            let known = account == nil ? try ledger.account(of: file) : account
            if let account = known, !account.handOff.isNothing {
                let document = document(of: file.spec, account, key: file.staging, root: file.root, name: path.text)
                if account.handOff.hasManifest, !publishManifest(document, of: named) {
                    events.append(manifestEvent(document, key: file.staging, of: named))
                }
                if let hook = account.handOff.hook { events.append(event(for: hook, document, key: file.staging)) }
            }
            let tombstoneUntil = now() + tombstoneSeconds
            try ledger.finishPublishing(file, as: path.text, tombstoneUntil: tombstoneUntil, events: events)
        } catch {
            postpone("note published file", of: path.text, in: file.root, error.reason)
        }
        return published
    }

    /// Offers paths until one is taken up.
    ///
    /// - Parameter hasManifest: whether the path of the manifest must be free too, and no manifest may have the path.
    /// - Returns: the path, and why its folder could not be synced.
    func path(
        for target: Target,
        _ hasManifest: Bool,
        in area: borrowing StagingArea,
        _ takeUp: (RelativePath) throws(UploadError) -> Naming
    ) throws(UploadError) -> (RelativePath, unsynced: StagingError?) {
        try staged { () throws(StagingError) in
            try area.makeFolder(at: target.path.parent)
            if target.ifTaken == .replace, try area.entry(at: target.path) == .folder { throw .blocked }
        }
        switch target.ifTaken {
        case .replace:
            if hasManifest { try requireNoManifest(at: target.path, in: area) }
            switch try takeUp(target.path) {
            case .taken: throw .pathBlocked
            case .named(let unsynced): return (target.path, unsynced)
            }
        case .addNumber:
            for _ in 0..<namesTriedMax {
                let path = try staged { () throws(StagingError) in
                    try area.freePath(like: target.path, besides: hasManifest ? Self.manifestSuffix : nil)
                }
                switch try takeUp(path) {
                case .taken: continue
                case .named(let unsynced): return (path, unsynced)
                }
            }
            throw .namesExhausted(max: namesTriedMax)
        }
    }

    /// A path that the ledger has kept.
    private func path(_ text: String) throws(UploadError) -> RelativePath {
        guard let path = RelativePath(parsing: text) else {
            throw .storage(StorageFailure(operation: "read ledger", reason: "a published path is unsafe"))
        }
        return path
    }
}
