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
    private var held: [HeldContent] = []

    /// A part whose bytes are coming in.
    private enum Part: ~Copyable {
        case whole(Reception)
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
        case .whole(let bytesMax):
            let area = try engine.area(mount.root)
            let file = try staged { () throws(StagingError) in try StagingFile.anonymous(in: area) }
            part = .whole(Reception(.whole, into: file, base: 0, countMax: bytesMax))
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
        case .whole(var reception):
            try reception.write(bytes)
            part = .whole(reception)
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
        case .whole(let reception):
            if reception.hasExcess { throw .tooLarge(maxBytes: reception.countMax) }
            let (count, checksum) = (reception.count, reception.checksumValue)
            held.append(HeldContent(file: reception.release(), count: count, checksum: checksum))
            return .held(HeldFile(index: held.count - 1), count: count)
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

    // MARK: Commands

    /// Does what a dialect decided when it had seen the whole request.
    public func perform(_ command: Command) throws(UploadError) -> Outcome {
        let (ledger, now) = (engine.ledger, engine.now())
        switch command {
        case .describe(let key):
            return .described(try ledger.progress(of: key, now: now))
        case .cancel(let key):
            engine.discard(try ledger.remove(key))
            return .done
        case .store(let fields, let key):
            try ledger.store(fields, in: key, expiresAt: now + mount.idleSeconds, now: now)
            return .done
        case .publish(let key, let field):
            guard let (found, _) = try ledger.file(field, of: key, overlapping: .empty, now: now),
                let (file, commit) = try ledger.current(found)
            else { throw .superseded }
            switch file.phase {
            case .reserved, .open: if !commit.isWhole { return .done }
            case .publishing, .published: break
            }
            return .published(try engine.publish(file, tombstoneSeconds: mount.tombstoneSeconds))
        case .adopt(let number, let key, let spec):
            return .received(try adopt(held[number.index], spec, in: key))
        case .publishHeld(let number, let spec):
            return .published(try engine.publish(held[number.index].file, spec, root: mount.root))
        }
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
}

extension StoredFile {
    /// The progress of a file all of whose bytes are committed.
    var finishedProgress: FileProgress {
        if case .published = phase { return FileProgress(spec: spec, prefix: spec.total, isPublished: true) }
        return FileProgress(spec: spec, prefix: spec.total, isPublished: false)
    }
}
