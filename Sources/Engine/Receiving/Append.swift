import Ledger
import Staging
import Uploads

// Bytes behind the committed ones (docs/dialects/offset.md 4.3): one request at a time writes there, the last one that
// came.

extension Intake {
    /// Finds the place behind the committed bytes.
    func receive(_ destination: AppendDestination) throws(UploadError) -> Reception {
        let key = destination.key
        for _ in 0..<Self.lookUpsMax {
            guard let file = try engine.file(key), file.kind == .ranges else { throw .unknownUpload }
            switch file.phase {
            case .reserved, .open: break
            case .publishing, .published:
                // A repeat whose answer was lost: only the number of its bytes matters.
                return Reception(.held(.own), into: try scratchFile(), base: 0, countMax: destination.bytesMax)
            case .cancelled: throw .unknownUpload
            }
            let area = try engine.area(file.root)
            guard var staging = try engine.openForWriting(file, in: area) else { continue }
            // A connection that is dead without anybody having noticed must not keep its client waiting: the request
            // that came last has the end.
            do { try staging.takeOverEnd(total: file.spec.total) } catch .sealed { continue } catch {
                throw error.uploadError
            }
            // Whoever had the end before may have moved it, and may have finished or restarted the file.
            guard let (current, commit) = try engine.ledger.current(file), current.phase == file.phase else { continue }
            return Reception(
                .held(.end(file, offset: commit.prefix)),
                into: staging,
                base: commit.prefix,
                countMax: destination.bytesMax
            )
        }
        throw .unknownUpload
    }

    /// Commits held bytes at an offset.
    func append(_ content: HeldContent, _ key: FileKey, at offset: Int64) throws(UploadError) -> Receipt {
        for _ in 0..<Self.lookUpsMax {
            if let receipt = try appendOrRestart(content, key, at: offset) { return receipt }
        }
        throw .superseded
    }

    /// `nil` when the file has moved on since it was looked up.
    private func appendOrRestart(
        _ content: HeldContent,
        _ key: FileKey,
        at offset: Int64
    ) throws(UploadError) -> Receipt? {
        guard let upload = try engine.ledger.upload(key, now: engine.now()), upload.file.kind == .ranges else {
            throw .unknownUpload
        }
        let (file, committed, total) = (upload.file, upload.commit.prefix, upload.file.spec.total)
        switch file.phase {
        case .reserved, .open: break
        case .publishing, .published:
            guard offset <= total, content.count == total - offset else { throw .unknownUpload }
            return .committed(file.finishedProgress, isWhole: true)
        case .cancelled: throw .unknownUpload
        }
        // The last bytes are there, and only their file's name is not: a repeat brings it about.
        if upload.commit.isWhole, offset > 0, content.count == total - offset {
            return receipt(for: file, upload.commit)
        }
        guard offset == 0 || offset == committed else { throw .offsetMismatch(committed: committed) }
        guard offset <= total, content.count <= total - offset,
            let range = ByteRange(offset: offset, count: content.count)
        else { throw .beyondTotal(total: total) }
        let segment = CommittedSegment(range: range, checksum: content.checksum)
        if offset == 0, committed > 0 { return try restart(content, file, key, segment) }
        if case .own = content.place { return try appendCopy(content, key, segment) }
        guard case .end(let own, offset) = content.place, own.id == file.id, own.staging == file.staging else {
            throw .offsetMismatch(committed: committed)
        }
        return try commitAtEnd(content, file, segment)
    }

    /// Brings bytes that were written to a file of their own to the end, and commits them there.
    private func appendCopy(
        _ content: HeldContent,
        _ key: FileKey,
        _ segment: CommittedSegment
    ) throws(UploadError) -> Receipt {
        let offset = segment.range.offset
        var reception = try receive(AppendDestination(key, bytesMax: segment.range.count))
        // Others may have moved the end since it was looked up, and may have finished the file.
        guard case .held(.end(let file, offset)) = reception.purpose else {
            throw .offsetMismatch(committed: offset)
        }
        try reception.copy(from: content)
        return try commitAtEnd(reception.hold(.end(file, offset: offset)), file, segment)
    }

    /// Commits bytes that were written behind the committed ones.
    private func commitAtEnd(
        _ content: HeldContent,
        _ file: StoredFile,
        _ segment: CommittedSegment
    ) throws(UploadError) -> Receipt {
        try syncIfDurable(content.file)
        let commit: Commit
        do throws(UploadError) {
            // Until it is committed nobody can take the end over and look up where it is.
            commit = try content.file.whileCurrent { () throws(UploadError) in
                try engine.ledger.commit(segment, to: file, limits: limits)
            }
        } catch .superseded {
            throw .offsetMismatch(committed: segment.range.offset)
        }
        if commit.needsSync { try engine.syncSegments(of: file, content.file) }
        if commit.isWhole { keep(content) }
        return receipt(for: file, commit)
    }

    /// Puts a new file with these bytes at its start in the place of what was committed; `nil` when that has got its name
    /// or made way for another meanwhile.
    private func restart(
        _ content: HeldContent,
        _ file: StoredFile,
        _ key: FileKey,
        _ segment: CommittedSegment
    ) throws(UploadError) -> Receipt? {
        let formerArea = try engine.area(file.root)
        guard let former = try engine.openForWriting(file, in: formerArea) else { return nil }
        let area = try engine.area(mount.root)
        var staging = try reservedFile(file.spec.total, in: area)
        let new = newFile(key.session, file.spec)
        do {
            try staging.copy(content.range, of: content.file, to: 0)
            // Whoever has taken the end over since may have put other bytes where these were.
            if case .end = content.place { try content.file.requireUnsealed() }
            if mount.durability == .segment { try engine.sync(staging) }
            try staging.link(as: new.staging, in: area)
        } catch .sealed {
            guard let (current, commit) = try engine.ledger.current(file), current.isUndecided else { return nil }
            throw .offsetMismatch(committed: commit.prefix)
        } catch {
            throw error.uploadError
        }
        let replaced: (file: StoredFile, commit: Commit, leftovers: [Leftover])
        do throws(UploadError) {
            // Until it is replaced nobody can give it its name, after which it is not to be written again.
            replaced = try former.whileCurrent { () throws(UploadError) in
                guard let (current, _) = try engine.ledger.current(file), current.isUndecided else {
                    throw .superseded
                }
                return try engine.ledger.replace(file, with: new, segment, limits: limits)
            }
        } catch {
            // What can not be removed now is an orphan for the sweep; the ledger's error is the one that matters.
            try? area.remove(new.staging)
            if case .superseded = error { return nil }
            throw error
        }
        engine.discard(replaced.leftovers)
        if replaced.commit.isWhole { keep(staging) }
        return receipt(for: replaced.file, replaced.commit)
    }
}
