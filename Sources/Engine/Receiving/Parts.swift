import Ledger
import Staging
import Uploads

// Numbered parts: where their bytes go while they come in, and how they are committed.

extension Intake {
    /// Finds the place for the bytes of a numbered part: its slot, if no other request is writing there and no committed
    /// bytes lie there; else a file of its own.
    func receive(_ destination: PartDestination) throws(UploadError) -> Reception {
        let (key, number) = (destination.key, destination.number)
        for _ in 0..<Self.lookUpsMax {
            guard let file = try engine.file(key), case .parts(let known) = file.kind else { throw .unknownUpload }
            try file.requireOpen()
            let layout = try layout(known, of: file, for: destination)
            let slot = layout.slot(of: number)
            if layout.total != nil, slot == nil { throw .noSuchPart(number: number) }
            let exact = layout.total == nil ? nil : slot?.count
            let countMax = min(destination.bytesMax, exact ?? .max)
            let area = try engine.area(file.root)
            guard let staging = try engine.openForWriting(file, in: area) else { continue }
            // The claim comes first: who has it is the only one that may commit bytes in the slot.
            if let slot, try staged({ () throws(StagingError) in try staging.claim(number) }),
                try !engine.ledger.hasPartInPlace(number, of: file)
            {
                return Reception(
                    .held(.slot(file, number: number, slot: slot, isExact: exact != nil)),
                    into: staging,
                    base: slot.offset,
                    countMax: countMax,
                    isHashed: true
                )
            }
            return Reception(
                .held(.aside(countExact: exact)),
                into: try staged { () throws(StagingError) in try StagingFile.anonymous(in: area) },
                base: 0,
                countMax: countMax,
                isHashed: true,
                marking: staging
            )
        }
        throw .superseded
    }

    /// The layout of an upload, guessed from the size of the part where it is not known yet.
    private func layout(
        _ layout: PartLayout,
        of file: StoredFile,
        for destination: PartDestination
    ) throws(UploadError) -> PartLayout {
        guard layout.stride == nil, let stride = Self.stride(guessedFrom: destination) else { return layout }
        return try engine.ledger.learn(PartLayout(stride: stride, base: min(destination.number, 1)), for: file)
    }

    /// The size that all parts but the last probably have, from the likely size of one of them.
    ///
    /// Clients cut files at round sizes, so a part of such a size is not the last one. The hint is two bytes short for a
    /// form without a CRLF at its very end. The first part is never shorter than those after it.
    static func stride(guessedFrom destination: PartDestination) -> Int64? {
        guard let hint = destination.sizeHint, (1...destination.bytesMax).contains(hint) else { return nil }
        let round = [hint, hint + 2].first { $0 % 1024 == 0 || $0 % 1000 == 0 }
        return round ?? (destination.number <= 1 ? hint : nil)
    }

    /// Commits held bytes as a numbered part; those that it had before stay readable until then.
    func commitPart(
        _ content: HeldContent,
        _ key: FileKey,
        number: Int,
        expected: MD5Digest?
    ) throws(UploadError) -> Receipt {
        guard let digest = content.digest else { throw .outOfTurn("commit part", "its bytes are not hashed") }
        guard let file = try engine.file(key), case .parts(let layout) = file.kind else { throw .unknownUpload }
        try file.requireOpen()
        if let expected, expected != digest { throw .digestMismatch }
        let part = Part(number: number, size: content.count, digest: digest)
        let receipt = Receipt.committed(FileProgress(spec: file.spec, prefix: 0, parts: [part]), isWhole: false)
        if case .slot(let own, number, _, _) = content.place, own.id == file.id, own.staging == file.staging {
            try syncIfDurable(content.file)
            let place = StoredPart.Place.staging(offset: content.base)
            let stored = StoredPart(part, checksum: content.checksum, place: place)
            engine.discard(try engine.ledger.commit(stored, to: file, limits: limits))
            return receipt
        }
        let scratch = try linkAside(content, root: file.root)
        do {
            if layout.stride == nil, part.size > 0 {
                _ = try engine.ledger.learn(PartLayout(stride: part.size, base: min(number, 1)), for: file)
            }
            let stored = StoredPart(part, checksum: content.checksum, place: .scratch(scratch))
            engine.discard(try engine.ledger.commit(stored, to: file, limits: limits))
        } catch {
            engine.discard([Leftover(root: file.root, staging: scratch)])
            throw error
        }
        return receipt
    }

    /// Gives held bytes a scratch file with a name.
    private func linkAside(_ content: HeldContent, root: String) throws(UploadError) -> String {
        let area = try engine.area(root)
        let name = StagingArea.makeName()
        switch content.place {
        case .own, .aside:
            try syncIfDurable(content.file)
            do { try content.link(as: name, in: area) } catch { throw error.uploadError }
        case .slot, .end:
            // They were meant for another part than the form names in the end.
            do {
                var copy = try StagingFile.anonymous(in: area)
                try copy.copy(content.range, of: content.file, to: 0)
                try copy.link(as: name, in: area)
                if mount.durability == .segment { try engine.sync(copy) }
            } catch {
                throw error.uploadError
            }
        }
        return name
    }
}
