import Ledger
import Staging
import Uploads

// Giving whole files their final names.

/// How often a name lost to another request is chosen anew.
private let namesTriedMax = 100

extension Engine {
    /// Publishes a session's file, or tells that it has been published already.
    func publish(_ file: StoredFile, tombstoneSeconds: Int64) throws(UploadError) -> PublishedFile {
        let area = try area(file.root)
        guard let staging = try staged({ () throws(StagingError) in try StagingFile.open(file.staging, in: area) })
        else { return try settle(file, in: area, tombstoneSeconds) }
        try staged { () throws(StagingError) in try staging.lockExclusively() }
        // Between the look-up and the lock another request may have published, restarted or cancelled the file.
        guard let (file, commit) = try ledger.current(file) else { throw .superseded }
        switch file.phase {
        case .published: return try settle(file, in: area, tombstoneSeconds)
        case .publishing(let name, let inode):
            if try staged({ () throws(StagingError) in try area.inode(ofPublished: name) }) == inode {
                return try settle(file, in: area, tombstoneSeconds)
            }
        case .reserved, .open: guard commit.isWhole else { throw .superseded }
        }
        let inode = try staged { () throws(StagingError) in
            try staging.seal()
            return try staging.inode()
        }
        do {
            try staging.sync()
        } catch {
            // The kernel reports a lost write once; whatever is read back later proves nothing.
            try ledger.remove(file)
            try staged { () throws(StagingError) in try area.remove(file.staging) }
            throw error.uploadError
        }
        let name = try name(like: file.spec.target, in: area) { (name) throws(UploadError) in
            try ledger.beginPublishing(file, as: name, inode: inode)
            return try staged { () throws(StagingError) in
                try staging.publish(file.staging, as: name, in: area)
            }
        }
        return try finish(file, as: name, in: area, tombstoneSeconds)
    }

    /// Publishes a file that only this request has.
    func publish(_ held: borrowing StagingFile, _ spec: FileSpec, root: String) throws(UploadError) -> PublishedFile {
        let area = try area(root)
        do {
            try held.seal()
            try held.sync()
        } catch {
            throw error.uploadError
        }
        let name = try name(like: spec.target, in: area) { (name) throws(UploadError) in
            try staged { () throws(StagingError) in try held.publishAnonymous(as: name, in: area) }
        }
        try staged { () throws(StagingError) in try area.syncRoot() }
        return PublishedFile(spec: spec, path: name)
    }

    /// Tells the truth of a file without a staging name: it is published, about to be, or gone.
    private func settle(
        _ file: StoredFile,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        guard let (file, _) = try ledger.current(file) else { throw .superseded }
        switch file.phase {
        case .published(let name): return PublishedFile(spec: file.spec, path: name)
        // The ledger knew the name first, so the file got it; if it is not there now, it has been fetched already.
        case .publishing(let name, _): return try finish(file, as: name, in: area, tombstoneSeconds)
        case .reserved, .open:
            try ledger.remove(file)
            throw .superseded
        }
    }

    private func finish(
        _ file: StoredFile,
        as name: String,
        in area: borrowing StagingArea,
        _ tombstoneSeconds: Int64
    ) throws(UploadError) -> PublishedFile {
        try staged { () throws(StagingError) in try area.syncRoot() }
        try ledger.finishPublishing(file, as: name, tombstoneUntil: now() + tombstoneSeconds)
        return PublishedFile(spec: file.spec, path: name)
    }

    /// Offers free names until one is taken up.
    private func name(
        like target: String,
        in area: borrowing StagingArea,
        _ takeUp: (String) throws(UploadError) -> Bool
    ) throws(UploadError) -> String {
        let target = try safe(target)
        for _ in 0..<namesTriedMax {
            let name = try staged { () throws(StagingError) in try area.freeName(like: target) }
            if try takeUp(name) { return name }
        }
        throw .namesExhausted(max: namesTriedMax)
    }

    /// A dialect's choice of name, checked once more where it meets the file system.
    private func safe(_ target: String) throws(UploadError) -> String {
        guard !target.isEmpty, target != ".", target != "..", !target.utf8.contains(where: { $0 == 0x2F || $0 == 0 })
        else { throw .storage(StorageFailure(operation: "publish file", reason: "unsafe name")) }
        return StagingArea.fitted(target)
    }
}
