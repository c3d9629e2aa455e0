import Ledger
import Staging
import Uploads

/// The bytes of one part on their way to their place.
///
/// For a range, exactly the declared bytes are written as they come; one byte more is kept in memory, as it makes the
/// range an inclusive one (dialects.md 1.4.2), and a second one makes the part too long.
struct Reception: ~Copyable {
    /// What is to be done with the bytes when they are complete.
    enum Purpose {
        /// They are in their place, in the file's staging file: commit them.
        case inPlace(StoredFile)
        /// They are in a scratch file, from 0: copy them over committed bytes and commit them.
        case aside(StoredFile)
        /// They are at their offset in a new file: put it in the place of the one before.
        case replacement(NewFile)
        /// They are a file: hold it.
        case whole
    }

    let purpose: Purpose
    let file: StagingFile
    /// Where in `file` the first byte goes.
    let base: Int64
    /// How many bytes are expected for a range, or allowed for a whole file.
    let countMax: Int64
    private(set) var count: Int64 = 0
    private(set) var extra: UInt8?
    private(set) var isTooLong = false
    /// The file was published or restarted by another request while these bytes came in.
    private(set) var isSealed = false
    private let checksum = Checksum()

    init(_ purpose: Purpose, into file: consuming StagingFile, base: Int64, countMax: Int64) {
        self.purpose = purpose
        self.file = file
        self.base = base
        self.countMax = countMax
    }

    /// The XXH3-64 of the bytes that were written.
    var checksumValue: UInt64 { checksum.value }

    /// Writes the next bytes; those for which there is no room are counted and let pass.
    mutating func write(_ bytes: Span<UInt8>) throws(UploadError) {
        if isTooLong || isSealed { return }
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
        guard let byte = extra else { preconditionFailure("there is no extra byte") }
        extra = nil
        try append([byte].span)
    }

    /// Takes all bytes of a held file.
    mutating func copy(from source: borrowing HeldContent) throws(UploadError) {
        precondition(count == 0 && source.count <= countMax)
        do {
            try file.copy(from: source.file, count: source.count, to: base)
        } catch {
            throw error.uploadError
        }
        count = source.count
    }

    /// The file without the rest.
    consuming func release() -> StagingFile { file }

    private mutating func append(_ bytes: Span<UInt8>) throws(UploadError) {
        do {
            try file.write(bytes, at: base + count)
        } catch .sealed {
            isSealed = true
            return
        } catch {
            throw error.uploadError
        }
        checksum.update(bytes)
        count += Int64(bytes.count)
    }
}

/// A whole file that a request holds.
final class HeldContent {
    let file: StagingFile
    let count: Int64
    let checksum: UInt64

    init(file: consuming StagingFile, count: Int64, checksum: UInt64) {
        self.file = file
        self.count = count
        self.checksum = checksum
    }
}
