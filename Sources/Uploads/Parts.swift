/// A committed part of an upload in numbered parts.
public struct Part: Hashable, Sendable {
    /// The largest part number of any dialect.
    public static let numberMax = 10_000

    /// Its number.
    public let number: Int
    /// Its size in bytes.
    public let size: Int64
    /// The MD5 of its bytes.
    public let digest: MD5Digest

    /// A committed part.
    public init(number: Int, size: Int64, digest: MD5Digest) {
        self.number = number
        self.size = size
        self.digest = digest
    }
}

/// A part as its client lists it at completion.
public struct PartClaim: Hashable, Sendable {
    /// Its number.
    public let number: Int
    /// The MD5 that its bytes should have.
    public let digest: MD5Digest

    /// A claim of a part.
    public init(number: Int, digest: MD5Digest) {
        self.number = number
        self.digest = digest
    }
}

/// Where the parts of an upload lie in its staging file while they come in (docs/architecture.md).
///
/// Part n has the slot that starts at `(n - base) * stride`: its final place, when all parts but the last have `stride`
/// bytes and no number is left out.
public struct PartLayout: Hashable, Sendable {
    /// The distance of two slots in bytes, more than 0; `nil` until it is known.
    public let stride: Int64?
    /// The number of the part that starts the file, 0 or 1.
    public let base: Int
    /// The size of the whole file, when its client declared it: then every part has exactly its slot's size.
    public let total: Int64?

    /// A layout.
    public init(stride: Int64?, base: Int = 1, total: Int64? = nil) {
        precondition((stride ?? 1) > 0 && (0...1).contains(base))
        self.stride = stride
        self.base = base
        self.total = total
    }

    /// How many parts a file of a declared size has, at least one.
    public static func partCount(total: Int64, stride: Int64) -> Int64 {
        max(1, total / stride + (total % stride > 0 ? 1 : 0))
    }

    /// The slot of a part: as large as a part may be that lies there. `nil` when there is none, or not yet.
    public func slot(of number: Int) -> ByteRange? {
        guard let stride, number >= base else { return nil }
        let (offset, overflow) = Int64(number - base).multipliedReportingOverflow(by: stride)
        if overflow { return nil }
        guard let total else { return ByteRange(offset: offset, count: stride) }
        guard Int64(number - base) < Self.partCount(total: total, stride: stride) else { return nil }
        return ByteRange(offset: offset, count: min(stride, total - offset))
    }
}

/// What must be true of the listed parts for a file to be made of them.
public struct AssemblyRules: Hashable, Sendable {
    /// The least size of every part but the last one listed, in bytes.
    public var partBytesMin: Int64 = 0
    /// The largest file in bytes.
    public var totalMax: Int64
    /// The size that the file must have, in bytes.
    public var total: Int64?
    /// The MD5 that the file must have.
    public var digest: MD5Digest?

    /// Rules that limit the size of the file only.
    public init(totalMax: Int64) {
        self.totalMax = totalMax
    }

    /// Checks a client's list against the committed parts (docs/dialects/fileid.md 2.5, docs/dialects/parts.md 3.4,
    /// docs/dialects/signed.md 5.5); the digest of the whole file is left to who has its bytes.
    ///
    /// - Parameter claims: in ascending order, no number twice.
    /// - Returns: the listed parts, ascending.
    /// - Throws: `partMismatch`, `partTooSmall`, `tooLarge` or `lengthMismatch`.
    public func check(_ claims: [PartClaim], against parts: [Int: Part]) throws(UploadError) -> [Part] {
        var listed: [Part] = []
        for claim in claims {
            guard let part = parts[claim.number], part.digest == claim.digest else {
                throw .partMismatch(number: claim.number)
            }
            listed.append(part)
        }
        if let small = listed.dropLast().first(where: { $0.size < partBytesMin }) {
            throw .partTooSmall(number: small.number, minBytes: partBytesMin)
        }
        var size: Int64 = 0
        for part in listed {
            let (sum, overflow) = size.addingReportingOverflow(part.size)
            guard !overflow, sum <= totalMax else { throw .tooLarge(maxBytes: totalMax) }
            size = sum
        }
        if let total, total != size { throw .lengthMismatch(declared: total, received: size) }
        return listed
    }
}
