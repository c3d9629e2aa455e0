import Ledger
import Staging
import Uploads

/// A segment as its client announces it.
struct Segment {
    let key: SessionKey
    let spec: FileSpec
    let range: ByteRange
}

/// What happens to a segment's bytes.
enum AdmittedSegment: ~Copyable {
    case receive(Reception)
    case acknowledge(StoredFile)
}

extension Reception {
    /// True when more bytes came than were allowed.
    var hasExcess: Bool { isTooLong || extra != nil }

    /// Checks that a complete part fits the range it declares, or the same range read as an inclusive one.
    mutating func fit(_ segment: Segment) throws(UploadError) {
        let declared = segment.range.count
        if isTooLong { throw .longerThanDeclared(declared: declared) }
        if extra != nil {
            guard segment.range.end < segment.spec.total else { throw .longerThanDeclared(declared: declared) }
            try writeExtra()
        } else if count < declared {
            throw .lengthMismatch(declared: declared, received: count)
        }
    }
}

extension Intake {
    /// Finds the place for a segment's bytes.
    func admit(_ segment: Segment) throws(UploadError) -> AdmittedSegment {
        let index = RecentFiles.Index(segment.key, field: segment.spec.field)
        var place = engine.recentFiles.place(at: index)
        for _ in 0..<Self.lookUpsMax {
            // Before the look-up: whoever has had a claim on these bytes may have committed some until now.
            var claim = try place.flatMap { (place) throws(UploadError) in try self.claim(segment.range, of: place) }
            guard
                let (file, overlaps) = try engine.ledger.file(
                    segment.spec.field,
                    of: segment.key,
                    overlapping: segment.range,
                    now: engine.now()
                )
            else {
                if let reception = try startFile(segment, at: index, in: engine.area(mount.root)) {
                    return .receive(reception)
                }
                continue
            }
            switch file.phase.admission(of: segment.range, declared: segment.spec, stored: file.spec) {
            case .write:
                if let reception = try receive(segment, into: file, claim.take(), overlaps: overlaps) {
                    return .receive(reception)
                }
                place = StagingPlace(file)
                engine.recentFiles.remember(StagingPlace(file), at: index)
            case .replace:
                return .receive(try receiveReplacement(of: file, segment, in: engine.area(mount.root)))
            case .acknowledge:
                return .acknowledge(file)
            case .finishPublishing:
                let published = try engine.publish(file, tombstoneSeconds: mount.tombstoneSeconds)
                // The ledger may not have noted it yet: a repeat of the last request is acknowledged all the same.
                if segment.spec.isSameFile(as: file.spec) {
                    return .acknowledge(file.published(as: published))
                }
            case .refuse(let error):
                throw error
            }
        }
        throw .superseded
    }

    /// Makes the file of a first segment; `nil` when another request made one first.
    private func startFile(
        _ segment: Segment,
        at index: RecentFiles.Index,
        in area: borrowing StagingArea
    ) throws(UploadError) -> Reception? {
        let new = newFile(segment.key, segment.spec)
        var staging = try reservedFile(segment.spec.total, in: area)
        do {
            // Before anybody else knows the file.
            staging.beginWatch(size: segment.spec.total)
            _ = try staging.claim(segment.range)
            try staging.link(as: new.staging, in: area)
        } catch {
            throw error.uploadError
        }
        let file: StoredFile
        do {
            let reserved = try engine.ledger.reserve(new)
            engine.discard(reserved.leftovers)
            file = reserved.file
        } catch {
            // What can not be removed now is an orphan for the sweep; the ledger's error is the one that matters.
            try? area.remove(new.staging)
            throw error
        }
        guard file.staging == new.staging else {
            try staged { () throws(StagingError) in try area.remove(new.staging) }
            return nil
        }
        engine.recentFiles.remember(StagingPlace(file), at: index)
        let range = segment.range
        return Reception(.inPlace(file), into: staging, base: range.offset, countMax: range.count)
    }

    /// Makes the file that takes another's place once this segment is committed.
    private func receiveReplacement(
        of file: StoredFile,
        _ segment: Segment,
        in area: borrowing StagingArea
    ) throws(UploadError) -> Reception {
        let new = newFile(segment.key, segment.spec)
        // Before its bytes take the room that they may not have.
        if !mount.principalLimits.areNone { try engine.ledger.requireRoom(for: new) }
        let staging = try reservedFile(segment.spec.total, in: area)
        let range = segment.range
        return Reception(
            .replacement(new, of: file),
            into: staging,
            base: range.offset,
            countMax: range.count
        )
    }

    /// Commits the bytes that a reception has written.
    func commit(
        _ reception: consuming Reception,
        of segment: Segment,
        checksum: UInt64
    ) throws(UploadError) -> Receipt {
        guard let range = ByteRange(offset: segment.range.offset, count: reception.count) else {
            throw .beyondTotal(total: segment.spec.total)
        }
        let committed = CommittedSegment(range: range, checksum: checksum)
        switch reception.purpose {
        case .inPlace(let file):
            // A sealed file has all of its bytes, or has made way for another.
            if reception.isSealed { return try receiptForSealed(file) }
            // `keepPlace` has taken the lock of writes: nobody writes over these bytes before they are committed.
            try syncIfDurable(reception.file)
            let commit = try engine.ledger.commit(committed, to: file, limits: limits)
            if commit.needsSync { try engine.syncSegments(of: file, reception.file) }
            if commit.isWhole { keep(reception.release()) }
            return receipt(for: file, commit)
        case .aside(let file):
            let receipt = try commitOver(file, committed, from: reception.file, at: 0)
            if case .committed(_, isWhole: true) = receipt, let marked = reception.takeMarked() { keep(marked) }
            return receipt
        case .replacement(let new, let file):
            try syncIfDurable(reception.file)
            return try replace(file, with: new, reception.release(), committed, segment)
        case .held:
            throw .outOfTurn("commit segment", "its bytes wait for a command")
        }
    }

    /// Puts a new file in the place of another, unless a request that came before has done the same: then its bytes go to
    /// the file of that one.
    private func replace(
        _ file: StoredFile,
        with new: NewFile,
        _ staging: consuming StagingFile,
        _ committed: CommittedSegment,
        _ segment: Segment
    ) throws(UploadError) -> Receipt {
        let area = try engine.area(mount.root)
        do { try staging.link(as: new.staging, in: area) } catch { throw error.uploadError }
        var isPlaced = false
        defer {
            // As above.
            if !isPlaced { try? area.remove(new.staging) }
        }
        var known = file
        for _ in 0..<Self.lookUpsMax {
            do throws(UploadError) {
                let replaced = try engine.ledger.replace(known, with: new, committed, limits: limits)
                isPlaced = true
                engine.discard(replaced.leftovers)
                if replaced.commit.isWhole { keep(staging) }
                return receipt(for: replaced.file, replaced.commit)
            } catch .superseded {
                guard let other = try otherFile(than: known, segment) else { throw .superseded }
                known = other
            }
            switch known.phase.admission(of: segment.range, declared: segment.spec, stored: known.spec) {
            case .write: return try commitOver(known, committed, from: staging, at: committed.range.offset)
            case .replace: continue
            case .acknowledge, .finishPublishing, .refuse: throw .superseded
            }
        }
        throw .superseded
    }

    /// The file that a segment belongs to by now; `nil` when it is the same.
    private func otherFile(than known: StoredFile, _ segment: Segment) throws(UploadError) -> StoredFile? {
        guard let file = try engine.file(FileKey(segment.key, field: segment.spec.field)),
            file.id != known.id || file.staging != known.staging
        else { return nil }
        return file
    }

    /// The XXH3-64 of a range of a file that is published; `nil` when it is not, or has been moved away.
    func publishedChecksum(of range: ByteRange, _ file: StoredFile) throws(UploadError) -> UInt64? {
        guard case .published(let name) = file.phase, let path = RelativePath(parsing: name) else { return nil }
        let area = try engine.area(file.root)
        return try staged { () throws(StagingError) in
            try area.checksum(of: range, ofPublished: path, size: file.spec.total)
        }
    }

    func receipt(for file: StoredFile, _ commit: Commit) -> Receipt {
        .committed(FileProgress(spec: file.spec, prefix: commit.prefix), isWhole: commit.isWhole)
    }

    func receiptForSealed(_ file: StoredFile) throws(UploadError) -> Receipt {
        guard let (file, commit) = try engine.ledger.current(file) else { throw .superseded }
        switch file.phase {
        case .publishing, .published: return .committed(file.finishedProgress, isWhole: true)
        case .reserved, .open:
            // Another request has written over its bytes, or tries in vain to publish the file.
            guard commit.isWhole else { throw .uploadBusy }
            return receipt(for: file, commit)
        case .cancelled: throw .cancelled
        }
    }
}
