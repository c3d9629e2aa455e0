import Ledger
import Staging
import Uploads

// Giving whole files their final names.

/// How often a name lost to another request is chosen anew.
private let namesTriedMax = 100

extension Engine {
    /// Publishes a session's file, or tells that it has been published already.
    func publish(_ file: StoredFile, tombstoneSeconds: Int64) throws(UploadError) -> PublishedFile {
        let area = try area(file.root)
        guard var staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else { return try settle(file, in: area, tombstoneSeconds) }
        try staged { () throws(StagingError) in try staging.lockExclusively() }
        // Between the look-up and the lock another request may have published, restarted or cancelled the file.
        guard let (file, commit) = try ledger.current(file) else { throw .superseded }
        switch file.phase {
        case .published: return try settle(file, in: area, tombstoneSeconds)
        case .publishing(let name, let inode):
            let path = try path(name)
            if try staged({ () throws(StagingError) in try area.inode(ofPublished: path) }) == inode {
                return try settle(file, in: area, tombstoneSeconds)
            }
        case .reserved, .open: guard commit.isWhole else { throw .superseded }
        case .cancelled: throw .cancelled
        }
        return try publish(file, staging, assembly: nil, in: area, tombstoneSeconds)
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
        // Behind the end of a file that comes in ranges lies nothing that was ever committed.
        if file.kind == .ranges { _ = try staged { () throws(StagingError) in try staging.trim(to: file.spec.total) } }
        if let account = try ledger.account(of: file), let veto = account.handOff.veto, file.isUndecided {
            let name = assembly?.staging ?? file.staging
            do throws(UploadError) {
                try ask(veto, of: file.spec, account, root: file.root, staging: name)
            } catch .refused(let message) {
                if let leftovers = try ledger.forget(file) {
                    discard(leftovers + [Leftover(root: file.root, staging: name)])
                }
                throw .refused(message: message)
            }
        }
        let inode = try staged { () throws(StagingError) in
            try staging.seal()
            return try staging.inode()
        }
        do { try sync(staging) } catch {
            try dropUnsynced(of: file)
            try staged { () throws(StagingError) in try staging.unseal() }
            throw error.uploadError
        }
        var (file, assembly) = (file, assembly)
        var hasBegun = false
        do throws(UploadError) {
            let path = try path(for: file.spec.target, in: area) { (path) throws(UploadError) in
                let begun = try ledger.beginPublishing(file, as: path.text, inode: inode, assembly: assembly)
                hasBegun = true
                discard(begun.leftovers)
                (file, assembly) = (begun.file, nil)
                return try staged { () throws(StagingError) in
                    // What lies behind the end of an assembled file was committed until just now.
                    if try staging.trim(to: file.spec.total) { try sync(staging) }
                    return try staging.publish(
                        file.staging,
                        as: path,
                        replacing: file.spec.target.ifTaken == .replace,
                        in: area
                    )
                }
            }
            return try finish(file, as: path, in: area, tombstoneSeconds)
        } catch {
            // The file takes bytes again, unless the ledger has begun what the next call or start will finish.
            if !hasBegun { try staged { () throws(StagingError) in try staging.unseal() } }
            throw error
        }
    }

    /// Publishes bytes that only this request has, asking and telling whom the account says.
    func publish(
        _ held: HeldContent,
        _ spec: FileSpec,
        _ account: FileAccount,
        root: String
    ) throws(UploadError) -> PublishedFile {
        let handOff = account.handOff
        if handOff.isNothing { return try publish(held, spec, root: root) }
        let area = try area(root)
        // A name that only programs see, and the key of the event.
        let key = StagingArea.makeName()
        let inode = try staged { () throws(StagingError) in
            try held.file.link(as: key, in: area)
            try held.file.markInUse()
            return try held.file.inode()
        }
        do throws(UploadError) {
            if let veto = handOff.veto { try ask(veto, of: spec, account, root: root, staging: key) }
            try staged { () throws(StagingError) in
                try held.file.seal()
                try sync(held.file)
            }
            var document: [UInt8] = []
            let path = try path(for: spec.target, in: area) { (path) throws(UploadError) in
                document = try self.document(of: spec, account, key: key, root: root, name: path.text)
                if let hook = handOff.hook {
                    let event = event(for: hook, document, key: key)
                    try ledger.announce(event, of: AnnouncedFile(key: key, root: root, path: path.text, inode: inode))
                }
                let hasName = try staged { () throws(StagingError) in
                    try held.file.publish(key, as: path, replacing: spec.target.ifTaken == .replace, in: area)
                }
                if !hasName, handOff.hook != nil {
                    try ledger.settleAnnounced(key, isPublished: false, now: now())
                }
                return hasName
            }
            try staged { () throws(StagingError) in try area.syncFolder(of: path) }
            if handOff.hasManifest { try publishManifest(document, root: root, name: path.text) }
            if handOff.hook != nil { try ledger.settleAnnounced(key, isPublished: true, now: now()) }
            return PublishedFile(spec: spec, path: path.text)
        } catch {
            try? area.remove(key)
            throw error
        }
    }

    /// Publishes bytes that only this request has.
    private func publish(_ held: HeldContent, _ spec: FileSpec, root: String) throws(UploadError) -> PublishedFile {
        let area = try area(root)
        do {
            try held.file.seal()
            try sync(held.file)
        } catch {
            throw error.uploadError
        }
        let path = try path(for: spec.target, in: area) { (path) throws(UploadError) in
            switch spec.target.ifTaken {
            case .addNumber:
                return try staged { () throws(StagingError) in try held.file.publishAnonymous(as: path, in: area) }
            case .replace:
                let name = StagingArea.makeName()
                return try staged { () throws(StagingError) in
                    try held.file.link(as: name, in: area)
                    return try held.file.publish(name, as: path, replacing: true, in: area)
                }
            }
        }
        try staged { () throws(StagingError) in try area.syncFolder(of: path) }
        return PublishedFile(spec: spec, path: path.text)
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
        return try publish(content, spec, root: root)
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
        case .publishing(let name, _): return try finish(file, as: path(name), in: area, tombstoneSeconds)
        case .reserved, .open:
            // Unless another has told the ledger of a name meanwhile.
            guard let leftovers = try ledger.forget(file) else { return try settle(file, in: area, tombstoneSeconds) }
            discard(leftovers)
            throw .superseded
        case .cancelled: throw .cancelled
        }
    }

    private func finish(
        _ file: StoredFile,
        as path: RelativePath,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        try staged { () throws(StagingError) in try area.syncFolder(of: path) }
        var event: NewEvent?
        if let account = try ledger.account(of: file), !account.handOff.isNothing {
            let (key, root) = (file.staging, file.root)
            let document = try document(of: file.spec, account, key: key, root: root, name: path.text)
            if account.handOff.hasManifest { try publishManifest(document, root: root, name: path.text) }
            event = account.handOff.hook.map { self.event(for: $0, document, key: key) }
        }
        try ledger.finishPublishing(
            file,
            as: path.text,
            tombstoneUntil: now() + tombstoneSeconds,
            event: event
        )
        return PublishedFile(spec: file.spec, path: path.text)
    }

    /// Offers paths until one is taken up.
    private func path(
        for target: Target,
        in area: borrowing StagingArea,
        _ takeUp: (RelativePath) throws(UploadError) -> Bool
    ) throws(UploadError) -> RelativePath {
        try staged { () throws(StagingError) in
            try area.makeFolder(at: target.path.parent)
            if target.ifTaken == .replace, try area.entry(at: target.path) == .folder { throw .blocked }
        }
        switch target.ifTaken {
        case .replace:
            guard try takeUp(target.path) else { throw .pathBlocked }
            return target.path
        case .addNumber:
            for _ in 0..<namesTriedMax {
                let path = try staged { () throws(StagingError) in try area.freePath(like: target.path) }
                if try takeUp(path) { return path }
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
