import Digests
import Ledger
import Staging
import Uploads

/// Where bytes lie that wait for a command.
enum HeldPlace {
    /// In a file of their own that has no name.
    case own
    /// In the slot of a part, whose size they must have when the file's size was declared.
    case slot(StoredFile, number: Int, slot: ByteRange, isExact: Bool)
    /// In a file of their own, as their slot was taken or is not known yet; their size is given where it is declared.
    case aside(countExact: Int64?)
    /// Behind the committed bytes of a file, which end at `offset`.
    case end(StoredFile, offset: Int64)
}

/// The bytes of one part on their way to their place.
///
/// For a range, exactly the declared bytes are written as they come; one byte more is kept in memory, as it makes the
/// range an inclusive one (docs/dialects/dcloud.md 1.4.2), and a second one makes the part too long.
struct Reception: ~Copyable {
    /// What is to be done with the bytes when they are complete.
    indirect enum Purpose {
        /// They are in their place, in the file's staging file: commit them.
        case inPlace(StoredFile)
        /// They are in a scratch file, from 0: copy them over committed bytes and commit them.
        case aside(StoredFile)
        /// They are at their offset in a new file: put it in the place of the one before.
        case replacement(NewFile, of: StoredFile)
        /// They wait for a command.
        case held(HeldPlace)
    }

    private(set) var purpose: Purpose
    private(set) var file: StagingFile
    /// Where in `file` the first byte goes.
    private(set) var base: Int64
    /// How many bytes are expected for a range, or allowed otherwise.
    let countMax: Int64
    private(set) var count: Int64 = 0
    private(set) var extra: UInt8?
    private(set) var isTooLong = false
    /// The file was published or restarted by another request while these bytes came in, or those have been written over.
    private(set) var isSealed = false
    private let checksum = Checksum()
    private var md5: SharedMD5?
    /// The staging file of an upload whose bytes go aside, kept open because that marks it as in use.
    private var marked: StagingFile?

    init(
        _ purpose: Purpose,
        into file: consuming StagingFile,
        base: Int64,
        countMax: Int64,
        isHashed: Bool = false,
        marking marked: consuming StagingFile? = nil
    ) {
        self.purpose = purpose
        self.file = file
        self.base = base
        self.countMax = countMax
        md5 = isHashed ? SharedMD5() : nil
        self.marked = marked
    }

    /// The XXH3-64 of the bytes that were written.
    var checksumValue: UInt64 { checksum.value }

    /// Whether further bytes come for nothing.
    var isSated: Bool { isTooLong || isSealed }

    /// Writes the next bytes; those for which there is no room are counted and let pass.
    mutating func write(_ bytes: Span<UInt8>) throws(UploadError) {
        if isSated { return }
        let fitting = Int(min(Int64(bytes.count), countMax - count))
        if fitting > 0 {
            try append(bytes.extracting(0..<fitting))
        }
        switch bytes.count - fitting {
        case 0: break
        case 1 where extra == nil: extra = bytes[fitting]
        default: isTooLong = true
        }
    }

    /// Takes the byte that was kept in memory as the last of the range.
    mutating func writeExtra() throws(UploadError) {
        guard let byte = extra.take() else { return }
        try append([byte].span)
    }

    /// Takes all bytes of a held file.
    mutating func copy(from source: borrowing HeldContent) throws(UploadError) {
        guard count == 0, source.count <= countMax else { throw .longerThanDeclared(declared: countMax) }
        do {
            try file.copy(source.range, of: source.file, to: base)
        } catch {
            throw error.uploadError
        }
        count = source.count
    }

    /// Whether the next bytes would not fit into the place that they are written to; those that come for nothing go
    /// nowhere.
    func outgrowsSlot(by bytes: Int) -> Bool {
        if isSated { return false }
        let room: Int64
        switch purpose {
        case .held(.slot(_, _, let slot, isExact: false)): room = slot.count
        // Bytes that are too many at the end may be right from the start of a file.
        case .held(.end(let file, let offset)): room = file.spec.total - offset
        case .held, .inPlace, .aside, .replacement: return false
        }
        return count + Int64(bytes) > room
    }

    /// Moves what has come so far to a file of its own, where the rest will go too.
    mutating func moveAside(to other: consuming StagingFile) throws(UploadError) {
        let range = try writtenRange()
        do {
            try other.copy(range, of: file, to: 0)
            // Whoever has taken the end over since may have put other bytes where these were.
            if case .held(.end) = purpose { try file.requireUnsealed() }
        } catch .sealed {
            isSealed = true
            return
        } catch {
            throw error.uploadError
        }
        file = other
        base = 0
        purpose = .held(.aside(countExact: nil))
    }

    /// Whether another request has written over the place of these bytes, or has sealed the file; if not, nobody does until
    /// the next pause.
    mutating func isOvertaken() throws(UploadError) -> Bool {
        // It is asked for each block: the purpose is looked at, not copied.
        guard case .inPlace = purpose, !isSealed else { return false }
        do { try file.hold() } catch .sealed { return true } catch { throw error.uploadError }
        return false
    }

    /// Looks whether the bytes that have come are still there, and keeps others from writing over them until the next pause.
    mutating func regain() throws(UploadError) -> Bool {
        let range = try writtenRange()
        file.endWatch()
        do {
            try file.hold()
            isSealed = try file.checksum(of: range) != checksum.value
        } catch .sealed {
            isSealed = true
        } catch {
            throw error.uploadError
        }
        return !isSealed
    }

    /// Claims further bytes of the file; false when another request has claimed any of them.
    func claim(_ range: ByteRange) throws(UploadError) -> Bool {
        do { return try file.claim(range) } catch { throw error.uploadError }
    }

    /// Moves what has come of a segment to a scratch file, where the rest will go too.
    mutating func goOn(aside other: consuming StagingFile, of segmentFile: StoredFile) throws(UploadError) {
        let range = try writtenRange()
        do { try other.copy(range, of: file, to: 0) } catch { throw error.uploadError }
        file.yield()
        do { try file.giveUpClaims() } catch { throw error.uploadError }
        swap(&file, &other)
        marked = consume other
        base = 0
        purpose = .aside(segmentFile)
    }

    /// Lets others publish or take over the file while no bytes come.
    mutating func pause() {
        file.yield()
        md5?.pause()
    }

    /// The file without the rest.
    consuming func release() -> StagingFile {
        pause()
        return file
    }

    /// The staging file of the upload whose bytes went aside.
    mutating func takeMarked() -> StagingFile? { marked.take() }

    /// What is held, now that no more bytes come.
    consuming func hold(_ place: HeldPlace) throws(UploadError) -> HeldContent {
        pause()
        let (range, checksum) = (try writtenRange(), checksum.value)
        var digest: MD5Digest?
        if let md5 { digest = md5.finish() }
        return HeldContent(
            file: file,
            range: range,
            checksum: checksum,
            digest: digest,
            place: place
        )
    }

    /// Where the bytes are that have been written.
    private func writtenRange() throws(UploadError) -> ByteRange {
        guard let range = ByteRange(offset: base, count: count) else {
            throw .outOfTurn("look for written bytes", "they end beyond the largest file")
        }
        return range
    }

    private mutating func append(_ bytes: Span<UInt8>) throws(UploadError) {
        do {
            try file.hold()
            try file.write(bytes, at: base + count)
        } catch .sealed {
            isSealed = true
            return
        } catch {
            throw error.uploadError
        }
        checksum.update(bytes)
        md5?.update(bytes)
        count += Int64(bytes.count)
    }
}

/// Bytes that a request holds.
final class HeldContent {
    var file: StagingFile
    /// The staging name of the file, if it has rested; else it has none of its own.
    private(set) var name: String?
    /// Where the bytes are in `file`.
    let range: ByteRange
    let checksum: UInt64
    let digest: MD5Digest?
    let place: HeldPlace

    init(
        file: consuming StagingFile,
        range: ByteRange,
        checksum: UInt64,
        digest: MD5Digest?,
        place: HeldPlace
    ) {
        self.file = file
        self.range = range
        self.checksum = checksum
        self.digest = digest
        self.place = place
    }

    /// The same bytes of a file that rests.
    convenience init(_ resting: RestingContent, in file: consuming StagingFile, name: String?) {
        self.init(
            file: file,
            range: resting.range,
            checksum: resting.checksum,
            digest: resting.digest,
            place: resting.place
        )
        self.name = name
    }

    /// Whether the file may be closed: it is this request's alone, or of no use without bytes.
    var canRest: Bool {
        switch place {
        case .own, .aside: true
        case .slot, .end: count == 0
        }
    }

    /// Has the file rest, with a name of its own, as long as nobody needs it.
    func rest(among files: RestingFiles) throws(UploadError) -> RestingContent {
        switch place {
        case .own, .aside:
            if name == nil { name = try files.add(&file) }
            return RestingContent(name: name, range: range, checksum: checksum, digest: digest, place: place)
        case .slot, .end:
            // Without bytes they need no file.
            return RestingContent(name: nil, range: .first(0), checksum: checksum, digest: digest, place: .own)
        }
    }

    /// Gives the file a staging name in the place of the one that it has.
    func link(as name: String, in area: borrowing StagingArea) throws(StagingError) {
        if let own = self.name {
            try area.move(own, to: name)
        } else {
            try file.link(as: name, in: area)
        }
        self.name = name
    }

    /// Where the first byte is in `file`.
    var base: Int64 { range.offset }
    /// How many they are.
    var count: Int64 { range.count }
}

/// Bytes that a request holds without having their file open.
struct RestingContent {
    /// The staging name of the file; `nil` when there are no bytes, and no file.
    let name: String?
    let range: ByteRange
    let checksum: UInt64
    let digest: MD5Digest?
    let place: HeldPlace
}
