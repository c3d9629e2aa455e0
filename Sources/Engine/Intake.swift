import Ledger
import Staging
public import Uploads

/// One request's way into the engine: its parts one after the other, then its commands.
///
/// Files that are held have no name, and are gone with the intake unless a command published them.
public final class Intake {
    /// How often a file that others publish, restart or remove at the same moment is looked up anew.
    static let lookUpsMax = 8

    let engine: Engine
    let mount: Mount
    private var part: Part?
    private(set) var held: [HeldContent] = []

    /// A part whose bytes are coming in.
    private enum Part: ~Copyable {
        case held(Reception)
        case segment(Segment, Reception)
        /// The file is published and has these bytes.
        case acknowledged(StoredFile)
    }

    /// The intake of one request on a mount.
    public init(_ engine: Engine, for mount: Mount) {
        self.engine = engine
        self.mount = mount
    }

    // MARK: The bytes of a part

    /// Makes ready for the bytes of a part.
    public func begin(_ destination: Destination) throws(UploadError) {
        part = nil
        switch destination {
        case .whole(let bytesMax, let isHashed):
            let file = try scratchFile()
            part = .held(
                Reception(.held(.own), into: file, base: 0, countMax: bytesMax, isHashed: isHashed)
            )
        case .part(let destination):
            part = .held(try receive(destination))
        case .append(let destination):
            part = .held(try receive(destination))
        case .segment(let key, let spec, let range):
            let segment = Segment(key: key, spec: spec, range: range)
            switch try admit(segment) {
            case .receive(let reception): part = .segment(segment, reception)
            case .acknowledge(let file): part = .acknowledged(file)
            }
        }
    }

    /// Takes the next bytes of the part.
    public func write(_ bytes: Span<UInt8>) throws(UploadError) {
        switch part.take() {
        case .held(var reception):
            if reception.outgrowsSlot(by: bytes.count) { try reception.moveAside(to: scratchFile()) }
            try reception.write(bytes)
            part = .held(reception)
        case .segment(let segment, var reception):
            try reception.write(bytes)
            part = .segment(segment, reception)
        case .acknowledged(let file): part = .acknowledged(file)
        case nil: preconditionFailure("bytes before a part was begun")
        }
    }

    /// Ends the part.
    ///
    /// - Parameter isCutOff: the client broke off; what came of a range is committed all the same.
    public func end(isCutOff: Bool) throws(UploadError) -> Receipt {
        switch part.take() {
        case .held(let reception):
            return try hold(reception, isCutOff: isCutOff)
        case .segment(let segment, var reception):
            // Without a byte there is nothing to keep, and nothing that another file should make way for.
            let keepsPrefix = isCutOff && reception.count > 0
            if !keepsPrefix, !reception.isSealed { try reception.fit(segment) }
            let checksum = reception.checksumValue
            return try commit(reception, of: segment, checksum: checksum)
        case .acknowledged(let file):
            return Receipt.committed(file.finishedProgress, isWhole: true)
        case nil: preconditionFailure("the end of a part that was not begun")
        }
    }

    private func hold(_ reception: consuming Reception, isCutOff: Bool) throws(UploadError) -> Receipt {
        guard case .held(let place) = reception.purpose else { preconditionFailure("these bytes are not to be held") }
        let count = reception.count
        if let exact = place.countExact {
            if reception.hasExcess { throw .longerThanDeclared(declared: exact) }
            if count < exact, !isCutOff, !reception.isSealed {
                throw .lengthMismatch(declared: exact, received: count)
            }
        }
        if reception.hasExcess { throw .tooLarge(maxBytes: reception.countMax) }
        if reception.isSealed { throw try whySealed(place) }
        let content = reception.hold(place)
        let digest = content.digest
        held.append(content)
        return .held(HeldFile(index: held.count - 1), count: count, digest: digest)
    }

    /// Why bytes could not be written any more to where they were to be held.
    private func whySealed(_ place: HeldPlace) throws(UploadError) -> UploadError {
        switch place {
        case .slot(let file, _, _, _), .end(let file, _):
            switch try engine.ledger.current(file)?.file.phase {
            case .publishing, .published: return .finished
            case .cancelled: return .cancelled
            case .reserved, .open, nil: return .superseded
            }
        case .own, .aside: preconditionFailure("nobody else knows a file without a name")
        }
    }

    /// A file that has no name and is this request's alone.
    func scratchFile() throws(UploadError) -> StagingFile {
        let area = try engine.area(mount.root)
        return try staged { () throws(StagingError) in try StagingFile.anonymous(in: area) }
    }

    // MARK: Commands

    /// Does what a dialect decided when it had seen the whole request.
    public func perform(_ command: Command) throws(UploadError) -> Outcome {
        let (ledger, now) = (engine.ledger, engine.now())
        switch command {
        case .describe(let key):
            return .described(try ledger.progress(of: key, now: now))
        case .issueNumber:
            return .number(try ledger.issueNumber())
        case .open(let upload):
            return .described(try open(upload))
        case .store(let fields, let key):
            try ledger.store(fields, in: key, expiresAt: now + mount.idleSeconds, now: now)
            return .done
        case .remove(let key):
            engine.discard(try ledger.remove(key))
            return .done
        case .cancel(let key):
            guard let (file, _) = try ledger.file(key.field, of: key.session, overlapping: .empty, now: now) else {
                return .done
            }
            engine.discard(try ledger.cancel(file, tombstoneUntil: now + mount.tombstoneSeconds))
            return .done
        case .adopt(let number, let key, let spec):
            return .received(try adopt(held[number.index], spec, in: key))
        case .commitPart(let content, let key, let number, let expected):
            return .received(try commitPart(held[content.index], key, number: number, expected: expected))
        case .append(let content, let key, let offset):
            return .received(try append(held[content.index], key, at: offset))
        case .publishHeld(let number, let spec):
            return .published(try engine.publish(held[number.index], spec, root: mount.root))
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

    private func publish(_ key: FileKey) throws(UploadError) -> Outcome {
        let ledger = engine.ledger
        guard let (found, _) = try ledger.file(key.field, of: key.session, overlapping: .empty, now: engine.now()),
            let (file, commit) = try ledger.current(found)
        else { throw .superseded }
        switch file.phase {
        case .reserved, .open: if !commit.isWhole { return .done }
        case .publishing, .published: break
        case .cancelled: throw .cancelled
        }
        return .published(try engine.publish(file, tombstoneSeconds: mount.tombstoneSeconds))
    }

    /// Makes an upload, with the staging file that its bytes will go to.
    private func open(_ upload: NewUpload) throws(UploadError) -> SessionProgress {
        let (key, now) = (upload.key, engine.now())
        let expiresAt = now + mount.idleSeconds
        if upload.kind == .ranges, let known = try engine.ledger.upload(key, now: now), known.file.phase == .open,
            known.file.spec.total == upload.spec.total
        {
            try engine.ledger.store(upload.fields, in: key.session, expiresAt: expiresAt, now: now)
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

    /// Commits a held file's bytes as the first segment of a session's file.
    private func adopt(_ content: HeldContent, _ spec: FileSpec, in key: SessionKey) throws(UploadError) -> Receipt {
        guard let range = ByteRange(offset: 0, count: content.count) else {
            preconditionFailure("a count is not negative")
        }
        let segment = Segment(key: key, spec: spec, range: range)
        switch try admit(segment) {
        case .acknowledge(let file): return Receipt.committed(file.finishedProgress, isWhole: true)
        case .receive(var reception):
            try reception.copy(from: content)
            return try commit(reception, of: segment, checksum: content.checksum)
        }
    }

    // MARK: Terms

    /// The terms of a commit on this mount.
    var limits: CommitLimits {
        CommitLimits(
            disjointRangesMax: mount.disjointRangesMax,
            fileBytesMax: mount.fileBytesMax,
            expiresAt: engine.now() + mount.idleSeconds,
            isDurable: mount.durability == .segment
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
            expiresAt: now + mount.idleSeconds,
            now: now
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
        do { try file.sync() } catch { throw error.uploadError }
    }
}

extension HeldPlace {
    /// The size that the bytes must have, when it was declared.
    var countExact: Int64? {
        switch self {
        case .slot(_, _, let slot, isExact: true): slot.count
        case .aside(let countExact): countExact
        case .own, .slot, .end: nil
        }
    }
}

extension StoredFile {
    /// The progress of a file all of whose bytes are committed.
    var finishedProgress: FileProgress {
        switch phase {
        case .published(let path): FileProgress(spec: spec, prefix: spec.total, state: .published(path: path))
        case .reserved, .open, .publishing, .cancelled: FileProgress(spec: spec, prefix: spec.total)
        }
    }

    /// Refuses bytes for a file that takes none.
    func requireOpen() throws(UploadError) {
        switch phase {
        case .reserved, .open: break
        case .publishing, .published: throw .finished
        case .cancelled: throw .cancelled
        }
    }
}
