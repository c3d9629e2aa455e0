import Ledger
import Staging
public import Uploads

// What a dialect decides when it has seen the whole request.

extension Intake {
    /// Does what a dialect decided when it had seen the whole request.
    public func perform(_ command: Command) throws(UploadError) -> Outcome {
        try requireRoot()
        let (ledger, now) = (engine.ledger, engine.now())
        switch command {
        case .describe(let key):
            return .described(try describe(key))
        case .outline(let key):
            return .outlined(try outline(key))
        case .issueNumber:
            return .number(try ledger.issueNumber())
        case .open(let upload):
            return .described(try open(upload))
        case .store(let fields, let key):
            try ledger.store(fields, in: key, limits: fieldLimits, expiresAt: mount.expiry(at: now), now: now)
            return .done
        case .claim(let field, let others, let key):
            let expiresAt = mount.expiry(at: now)
            return .claimed(
                value: try ledger.claim(
                    field,
                    with: others,
                    in: key,
                    limits: fieldLimits,
                    expiresAt: expiresAt,
                    now: now
                )
            )
        case .remove(let key):
            engine.discard(try ledger.remove(key))
            return .done
        case .cancel(let key):
            guard let file = try engine.file(key) else { return .done }
            engine.discard(try ledger.cancel(file, tombstoneUntil: now + mount.tombstoneSeconds))
            return .done
        case .adopt(let number, let key, let spec):
            return .received(try adopt(take(number), spec, in: key))
        case .commitPart(let content, let key, let number, let expected):
            return .received(try commitPart(take(content), key, number: number, expected: expected))
        case .append(let content, let key, let offset):
            return .received(try append(take(content), key, at: offset))
        case .publishForm(let files):
            return try publish(files)
        case .publish(let key):
            return try publish(key)
        case .assemble(let key, let claims, let rules):
            return .published(
                try engine.assemble(key, claims, rules, tombstoneSeconds: mount.tombstoneSeconds)
            )
        case .publishContent(let bytes, let target):
            return .published(try engine.publish(bytes, as: target, root: mount.root))
        case .lookUp(let path):
            let area = try engine.area(mount.root)
            return .found(try staged { () throws(StagingError) in try area.entry(at: path) })
        case .makeFolder(let path):
            try engine.makeFolder(path, root: mount.root)
            return .done
        }
    }

    /// The state of a session.
    private func describe(_ key: SessionKey) throws(UploadError) -> SessionProgress? {
        guard let progress = try engine.ledger.progress(of: key, now: engine.now()) else { return nil }
        return SessionProgress(files: try settled(progress.files, of: key), fields: progress.fields)
    }

    /// The state of a session without the values of its fields.
    private func outline(_ key: SessionKey) throws(UploadError) -> SessionOutline? {
        guard let outline = try engine.ledger.outline(of: key, now: engine.now()) else { return nil }
        return SessionOutline(files: try settled(outline.files, of: key), fieldNames: outline.fieldNames)
    }

    /// The files of a session. One that has its name, though the ledger has not noted it yet, is published.
    private func settled(_ files: [FileProgress], of key: SessionKey) throws(UploadError) -> [FileProgress] {
        guard files.contains(where: \.isBeingPublished) else { return files }
        var settledFiles: [FileProgress] = []
        for file in files {
            settledFiles.append(file.isBeingPublished ? try settled(file, of: key) : file)
        }
        return settledFiles
    }

    /// A file that is about to have its name, or has it.
    private func settled(_ progress: FileProgress, of key: SessionKey) throws(UploadError) -> FileProgress {
        do throws(UploadError) {
            guard let file = try wholeFile(FileKey(key, field: progress.spec.field)) else { return progress }
            let area = try engine.area(file.root)
            // Who only asks gives it no name.
            if try staged({ () throws(StagingError) in try area.holds(file.staging) }) { return progress }
            return progress.published(as: try engine.settle(file, in: area, mount.tombstoneSeconds))
        } catch .superseded {
            return progress
        }
    }

    private func publish(_ key: FileKey) throws(UploadError) -> Outcome {
        guard let file = try wholeFile(key) else { return .done }
        return .published(try engine.publish(file, tombstoneSeconds: mount.tombstoneSeconds))
    }

    /// Makes an upload, with the staging file that its bytes will go to.
    private func open(_ upload: NewUpload) throws(UploadError) -> SessionProgress {
        if mount.handOff.hasManifest, upload.spec.target.ifTaken == .replace,
            ComponentName.stem(of: upload.spec.target.path.name ?? "", before: Engine.manifestSuffix) != nil
        {
            throw .isManifestName
        }
        let (key, now) = (upload.key, engine.now())
        let expiresAt = mount.expiry(at: now)
        if try goesOn(upload) {
            try engine.ledger.store(
                upload.fields,
                in: key.session,
                limits: fieldLimits,
                expiresAt: expiresAt,
                now: now
            )
        } else {
            let area = try engine.area(mount.root)
            var staging = try reservedFile(upload.spec.total, in: area)
            let new = newFile(key.session, upload.spec)
            do { try staging.link(as: new.staging, in: area) } catch { throw error.uploadError }
            do {
                let (file, leftovers) = try engine.ledger.open(new, upload)
                engine.discard(leftovers)
                if file.staging != new.staging {
                    try staged { () throws(StagingError) in try area.remove(new.staging) }
                }
            } catch {
                // What can not be removed now is an orphan for the sweep; the ledger's error is the one that matters.
                try? area.remove(new.staging)
                throw error
            }
        }
        guard let progress = try engine.ledger.progress(of: key.session, now: now) else { throw .superseded }
        return progress
    }

    /// Whether the upload is there already; one of another size that is about to be published is helped to its end.
    private func goesOn(_ upload: NewUpload) throws(UploadError) -> Bool {
        guard upload.kind == .ranges, let known = try engine.ledger.upload(upload.key, now: engine.now()) else {
            return false
        }
        let isSame = known.file.spec.total == upload.spec.total
        switch known.file.phase {
        case .open: return isSame
        case .publishing:
            if !isSame { _ = try engine.publish(known.file, tombstoneSeconds: mount.tombstoneSeconds) }
            return isSame
        case .reserved, .published, .cancelled: return false
        }
    }

    /// Commits a held file's bytes as the first segment of a session's file.
    private func adopt(_ content: HeldContent, _ spec: FileSpec, in key: SessionKey) throws(UploadError) -> Receipt {
        let segment = Segment(key: key, spec: spec, range: .first(content.count))
        switch try admit(segment) {
        case .acknowledge(let file): return Receipt.committed(file.finishedProgress, isWhole: true)
        case .receive(var reception):
            try keepPlace(of: &reception)
            try reception.copy(from: content)
            return try commit(reception, of: segment, checksum: content.checksum)
        }
    }

    // MARK: Terms

    /// How much the fields of a session may come to.
    private var fieldLimits: FieldLimits {
        FieldLimits(bytesMax: mount.allFieldBytesMax, valuesMax: mount.formPartsMax)
    }

    /// The terms of a commit on this mount.
    var limits: CommitLimits {
        CommitLimits(
            disjointRangesMax: mount.disjointRangesMax,
            fileBytesMax: mount.fileBytesMax,
            expiresAt: mount.expiry(at: engine.now()),
            isDurable: mount.durability == .segment,
            quotaBytesMax: mount.principalLimits.bytesMax,
            now: engine.now()
        )
    }

    /// A file that is to be made in the mount's root.
    func newFile(_ key: SessionKey, _ spec: FileSpec) -> NewFile {
        let now = engine.now()
        return NewFile(
            key: key,
            spec: spec,
            root: mount.root,
            staging: StagingArea.makeName(),
            expiresAt: mount.expiry(at: now),
            now: now,
            dialect: mount.dialect,
            handOff: mount.handOff,
            limits: mount.principalLimits
        )
    }

    /// A file without a name that has its size already.
    func reservedFile(_ total: Int64, in area: borrowing StagingArea) throws(UploadError) -> StagingFile {
        do {
            let file = try StagingFile.anonymous(in: area)
            try file.reserve(total: total)
            return file
        } catch {
            throw error.uploadError
        }
    }

    /// Makes bytes durable before they are acknowledged, where the mount wants that.
    func syncIfDurable(_ file: borrowing StagingFile) throws(UploadError) {
        guard mount.durability == .segment else { return }
        do { try engine.sync(file) } catch { throw error.uploadError }
    }
}
