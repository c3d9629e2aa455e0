import Digests
import Glibc
import SystemPackage
public import Uploads

// Reading bytes again, when a power cut may have taken them or a client has given the digest of a whole file.

extension StagingArea {
    /// The XXH3-64 of a range of a published file; `nil` when no file of this size is at its path any more.
    public func checksum(
        of range: ByteRange,
        ofPublished path: RelativePath,
        size: Int64
    ) throws(StagingError) -> UInt64? {
        let file: CInt
        let status: stat
        do {
            let root = try root()
            // The site may have moved it, or put anything in its place.
            file = try openFile(beneath: root.descriptor, path.text)
        } catch {
            return nil
        }
        defer { close(file) }
        do { status = try Staging.status(of: file) } catch { return nil }
        guard status.st_mode & S_IFMT == S_IFREG, Int64(status.st_size) == size else { return nil }
        let checksum = Checksum()
        return try read(range, of: file) { checksum.update($0) } ? checksum.value : nil
    }
}

extension StagingFile {
    /// The XXH3-64 of a range of the file, `nil` when the file ends before it.
    public func checksum(of range: ByteRange) throws(StagingError) -> UInt64? {
        let checksum = Checksum()
        guard try read(range, of: file, { checksum.update($0) }) else { return nil }
        return checksum.value
    }

    /// The MD5 of a range of the file, `nil` when the file ends before it.
    public func digest(of range: ByteRange) throws(StagingError) -> MD5Digest? {
        let digest = MD5()
        guard try read(range, of: file, { digest.update($0) }) else { return nil }
        return digest.finish()
    }
}

/// Reads a range of a file block by block; false when the file ends before it.
private func read(
    _ range: ByteRange,
    of file: CInt,
    _ consume: (Span<UInt8>) -> Void
) throws(StagingError) -> Bool {
    var block = [UInt8](repeating: 0, count: 256 << 10)
    var offset = range.offset
    while offset < range.end {
        let wanted = Int(min(range.end - offset, Int64(block.count)))
        let count = try Errno.wrap("read staging file") { () throws(Errno) in
            try Staging.read(into: &block, count: wanted, from: file, at: offset)
        }
        if count == 0 { return false }
        consume(block.span.extracting(0..<count))
        offset += Int64(count)
    }
    return true
}
