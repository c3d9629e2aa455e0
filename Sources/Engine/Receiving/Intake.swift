import Digests
import Ledger
import Staging
public import Uploads

/// One request's way into the engine: its parts one after the other, then its commands.
///
/// Files that are held have no name, and are gone with the intake unless a command published them.
public final class Intake {
    /// How often a file that others publish, restart or remove at the same moment is looked up anew.
    static let lookUpsMax = 8
    /// How many files a request holds open beside the one that its bytes go to, or that it works on; the others rest.
    static let openFilesMax = 2

    let engine: Engine
    let mount: Mount
    private var part: Part?
    private var held: [Held] = []
    /// Which of these are open, or have been since files came to rest last.
    private var openIndices: [Int] = []
    private let restingFiles: RestingFiles
    /// The open file of the upload that this request has made whole last, and is about to publish.
    private var whole: AnyObject?
    /// How many bytes the principal had left when the part began; `nil` when any number.
    private var bytesLeft: Int64?
    /// How many bytes are to be had by the files that segments of this request belong to.
    private var segmentFiles: [FileKey: Int64] = [:]
    /// Whether the mount's root was found to be there in this request.
    var isRootKnown = false
    /// Whether further bytes of the part come for nothing: there are too many already, or others have finished the file.
    public private(set) var isSated = false

    /// A part whose bytes are coming in.
    private enum Part: ~Copyable {
        case held(Reception)
        case segment(Segment, Reception)
        /// The file is published and has bytes here, which these are compared with; so many are still to come.
        case acknowledged(StoredFile, ByteRange, Checksum, rest: Int64)
    }

    /// A file that the request holds.
    private enum Held {
        case open(HeldContent)
        case resting(RestingContent)
        /// A command has it.
        case taken
    }

    /// The intake of one request on a mount.
    public init(_ engine: Engine, for mount: Mount) {
        self.engine = engine
        self.mount = mount
        restingFiles = RestingFiles(engine, root: mount.root)
    }

    // MARK: The bytes of a part

    /// Makes ready for the bytes of a part.
    public func begin(_ destination: Destination) throws(UploadError) {
        part = nil
        isSated = false
        try makeFilesRest()
        switch destination {
        case .whole(let bytesMax, let isHashed):
            bytesLeft = try quotaLeft()
            let file = try scratchFile()
            let countMax = min(bytesMax, bytesLeft ?? .max)
            part = .held(
                Reception(.held(.own), into: file, base: 0, countMax: countMax, isHashed: isHashed)
            )
        case .part(let destination):
            part = .held(try receive(destination))
        case .append(let destination):
            part = .held(try receive(destination))
        case .segment(let key, let spec, let range):
            let segment = Segment(key: key, spec: spec, range: range)
            if mount.principalLimits.bytesMax != nil { segmentFiles[FileKey(key, field: spec.field)] = spec.total }
            switch try admit(segment) {
            case .receive(let reception): part = .segment(segment, reception)
            case .acknowledge(let file): part = .acknowledged(file, range, Checksum(), rest: range.count)
            }
        }
        isRootKnown = true
    }

    /// Refuses everything, questions and cancellations too, as long as the mount's root is not there: nothing of it is
    /// forgotten, and nobody is told that it is gone.
    func requireRoot() throws(UploadError) {
        if isRootKnown { return }
        _ = try engine.area(mount.root)
        isRootKnown = true
    }

    /// Takes the next bytes of the part.
    public func write(_ bytes: Span<UInt8>) throws(UploadError) {
        switch part.take() {
        case .held(var reception):
            if reception.outgrowsSlot(by: bytes.count) { try reception.moveAside(to: scratchFile()) }
            try reception.write(bytes)
            isSated = reception.isSated
            part = .held(reception)
        case .segment(let segment, var reception):
            try keepPlace(of: &reception)
            try reception.write(bytes)
            isSated = reception.isSated
            part = .segment(segment, reception)
        case .acknowledged(let file, let range, let checksum, let rest):
            checksum.update(bytes.extracting(first: Int(clamping: max(0, rest))))
            isSated = rest < bytes.count
            part = .acknowledged(file, range, checksum, rest: rest - Int64(bytes.count))
        case nil: throw .outOfTurn("write part", "it was not begun, or has failed")
        }
    }

    /// Lets other requests at the files, as no bytes come for a while.
    public func pause() {
        switch part.take() {
        case .held(var reception):
            reception.pause()
            part = .held(reception)
        case .segment(let segment, var reception):
            reception.pause()
            part = .segment(segment, reception)
        case .acknowledged(let file, let range, let checksum, let rest):
            part = .acknowledged(file, range, checksum, rest: rest)
        case nil: break
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
            try keepPlace(of: &reception)
            if !keepsPrefix, !reception.isSealed {
                try keepPlaceOfExtra(of: &reception, segment)
                try reception.fit(segment)
            }
            let checksum = reception.checksumValue
            return try commit(reception, of: segment, checksum: checksum)
        case .acknowledged(let file, let range, let checksum, let rest):
            // Of a part that is too short, too long or cut off, what came of its range is compared.
            let arrived = ByteRange(offset: range.offset, count: range.count - max(0, rest)) ?? range
            if let known = try publishedChecksum(of: arrived, file), known != checksum.value {
                // Another file of the same name and size: its bytes are not stored, so its client has to start again.
                engine.discard(try engine.ledger.remove(file))
                throw .superseded
            }
            return Receipt.committed(file.finishedProgress, isWhole: true)
        case nil: throw .outOfTurn("end part", "it was not begun, or has failed")
        }
    }

    private func hold(_ reception: consuming Reception, isCutOff: Bool) throws(UploadError) -> Receipt {
        guard case .held(let place) = reception.purpose else {
            throw .outOfTurn("hold part", "its bytes have a place already")
        }
        let count = reception.count
        if let exact = place.countExact {
            if reception.hasExcess { throw .longerThanDeclared(declared: exact) }
            if count < exact, !isCutOff, !reception.isSealed {
                throw .lengthMismatch(declared: exact, received: count)
            }
        }
        if reception.hasExcess {
            if let bytesMax = mount.principalLimits.bytesMax, reception.countMax == bytesLeft {
                throw .quotaExceeded(maxBytes: bytesMax)
            }
            throw .tooLarge(maxBytes: reception.countMax)
        }
        if reception.isSealed { throw try whySealed(place) }
        let content = try reception.hold(place)
        let digest = content.digest
        openIndices.append(held.count)
        held.append(.open(content))
        return .held(HeldFile(index: held.count - 1), count: count, digest: digest)
    }

    /// Has files rest when the request holds as many open as it may.
    private func makeFilesRest() throws(UploadError) {
        guard openIndices.count >= Self.openFilesMax else { return }
        for index in openIndices {
            if case .open(let content) = held[index], content.canRest {
                held[index] = .resting(try content.rest(among: restingFiles))
            }
        }
        openIndices = []
    }

    /// Gives up what is held to the one command that it is for; its locks and its claim end with that.
    ///
    /// A name that it has got meanwhile goes with the request, unless the file gets another.
    func take(_ file: HeldFile) throws(UploadError) -> HeldContent {
        guard held.indices.contains(file.index) else {
            throw .outOfTurn("take held file", "there is none of this number")
        }
        switch held[file.index] {
        case .open(let content):
            held[file.index] = .taken
            return content
        case .resting(let content):
            held[file.index] = .taken
            guard let name = content.name else { return HeldContent(content, in: try scratchFile(), name: nil) }
            return HeldContent(content, in: try restingFiles.open(name), name: name)
        case .taken: throw .outOfTurn("take held file", "it is for one command")
        }
    }

    /// The same, with the duty to remove what has a name; where there are many files it has one, and need not stay open.
    func takeForPublishing(_ file: HeldFile, isOneOfMany: Bool) throws(UploadError) -> HeldContent {
        let content = try take(file)
        if isOneOfMany, content.name == nil { _ = try content.rest(among: restingFiles) }
        if let name = content.name { restingFiles.handOver(name) }
        return content
    }

    /// The staging name of a held file, which gets one if it has none, with the duty to remove it.
    func stagingName(of file: HeldFile) throws(UploadError) -> String {
        var name: String?
        if held.indices.contains(file.index) {
            switch held[file.index] {
            case .open(let content):
                if content.name == nil { _ = try content.rest(among: restingFiles) }
                name = content.name
            case .resting(let content): name = content.name
            case .taken: break
            }
        }
        guard let name else { throw .outOfTurn("name held file", "it is for one command, or has no bytes of its own") }
        restingFiles.handOver(name)
        return name
    }

    /// Has a file that is whole count as in use until the request ends: it is about to get its name.
    func keep(_ file: consuming StagingFile) {
        // For whoever finds it without a mark, it only seems to be left behind.
        try? file.markInUse()
        whole = WholeFile(file)
    }

    /// As above; the bytes were held.
    func keep(_ content: HeldContent) { whole = content }

    /// Why bytes could not be written any more to where they were to be held.
    private func whySealed(_ place: HeldPlace) throws(UploadError) -> UploadError {
        switch place {
        case .slot(let file, _, _, _), .end(let file, _):
            let current = try engine.ledger.current(file)
            switch (current?.file.phase, place) {
            case (.publishing, _), (.published, _): return .finished
            case (.cancelled, _): return .cancelled
            case (.open, .end): return .offsetMismatch(committed: current?.commit.prefix ?? 0)
            case (.reserved, _), (.open, _), (nil, _): return .superseded
            }
        // Nobody else knows a file without a name.
        case .own, .aside: return .superseded
        }
    }

    /// How many bytes the principal has left; `nil` when any number.
    private func quotaLeft() throws(UploadError) -> Int64? {
        guard let bytesMax = mount.principalLimits.bytesMax else { return nil }
        let left = try engine.ledger.bytesLeft(bytesMax, of: mount.principal, on: mount.name, now: engine.now())
        // Bytes without a range may be the first ones of such a file (docs/dialects/dcloud.md 1.4.4), which is in the
        // account already.
        return segmentFiles.values.reduce(left) { $0.addingReportingOverflow($1).overflow ? .max : $0 + $1 }
    }

    /// A file that has no name and is this request's alone.
    func scratchFile() throws(UploadError) -> StagingFile {
        let area = try engine.area(mount.root)
        return try staged { () throws(StagingError) in try StagingFile.anonymous(in: area) }
    }
}

/// A file that is open as long as this exists.
private final class WholeFile {
    private let file: StagingFile

    init(_ file: consuming StagingFile) { self.file = file }
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

extension UploadError {
    /// What was asked for out of its turn. No request can bring it about as far as is known; should one, it fails alone.
    static func outOfTurn(_ operation: String, _ reason: String) -> UploadError {
        .storage(StorageFailure(operation: operation, reason: reason))
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

    /// Whether nothing has been decided yet on its final name.
    var isUndecided: Bool {
        switch phase {
        case .reserved, .open: true
        case .publishing, .published, .cancelled: false
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
