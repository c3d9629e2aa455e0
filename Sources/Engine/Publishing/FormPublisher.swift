import Ledger
import Staging
import Uploads

// Publishing the files of one form together: all or none.

/// A session's file that waits for the others of its form.
private final class WaitingFile {
    let id: Int64
    private var state: State

    private enum State: ~Copyable {
        case published(PublishedFile)
        case open(ReadyFile, StagingFile)
        /// Nobody has it open. As long as the stamp is its own it is as it was when it was made ready.
        case resting(ReadyFile, StagingFile.Stamp)
        case taken
    }

    init(_ id: Int64, _ readiness: consuming Readiness) {
        self.id = id
        switch consume readiness {
        case .published(let file): state = .published(file)
        case .ready(let ready, let staging): state = .open(ready, staging)
        }
    }

    /// Closes the file, and lets its lock go with that.
    func rest() throws(UploadError) {
        switch exchange(&state, with: .taken) {
        case .open(let ready, let staging):
            state = .resting(ready, try staged { () throws(StagingError) in try staging.stamp() })
        case .published(let file): state = .published(file)
        case .resting(let ready, let stamp): state = .resting(ready, stamp)
        case .taken: break
        }
    }

    /// Gives the file its name, once; `nil` the next time.
    func giveName(_ engine: Engine, _ tombstoneSeconds: Int64) throws(UploadError) -> PublishedFile? {
        switch exchange(&state, with: .taken) {
        case .published(let file): return file
        case .open(let ready, let staging):
            let area = try engine.area(ready.file.root)
            return try engine.giveName(to: ready, staging, in: area, tombstoneSeconds)
        case .resting(let ready, let stamp):
            return try engine.publish(ready, unchangedSince: stamp, tombstoneSeconds)
        case .taken: return nil
        }
    }

    /// Lets the file take bytes again, as it is not to get its name now.
    func abandon(_ engine: Engine) {
        switch exchange(&state, with: .taken) {
        case .open(let ready, let staging): engine.abandon(ready, staging)
        // Whoever writes to it next opens it again.
        case .resting: break
        case .published: break
        case .taken: break
        }
    }
}

extension Intake {
    /// Publishes the files of a form, once all of them are allowed, whole and synced.
    ///
    /// An error says that none has got its name. Where one can not be given its name after others have got theirs, these
    /// are stored, and said to be.
    func publish(_ form: FormFiles) throws(UploadError) -> Outcome {
        var files: [StoredFile] = []
        for key in form.stored {
            if let file = try wholeFile(key) { files.append(file) }
        }
        let area = try engine.area(mount.root)
        // Sessions have their room in the account already.
        let reservations = try reserve(form.held, in: area)
        // Each of many is closed as soon as it is ready.
        let isMany = files.count + form.held.count > Self.openFilesMax
        var waiting: [WaitingFile] = []
        var held: [ReadyContent] = []
        do throws(UploadError) {
            // In one order for all requests, as each may wait for the lock of the next with those before it in its hands.
            for file in files.sorted(by: { $0.id < $1.id }) {
                let area = try engine.area(file.root)
                let readiness = try engine.prepare(file, in: area, mount.tombstoneSeconds)
                let waitingFile = WaitingFile(file.id, readiness)
                waiting.append(waitingFile)
                if isMany { try waitingFile.rest() }
            }
            let session = SessionKey(on: mount, id: "")
            let account = FileAccount(session: session, fields: form.fields, handOff: mount.handOff)
            for (index, upload) in form.held.enumerated() {
                let reservation = index < reservations.count ? reservations[index] : nil
                let content = try takeForPublishing(upload.file, isOneOfMany: isMany)
                held.append(try engine.prepare(content, upload.spec, account, reservation, in: area, root: mount.root))
            }
        } catch {
            for file in waiting { file.abandon(engine) }
            for content in held { engine.abandon(content, in: area) }
            giveBack(reservations.dropFirst(held.count), in: area)
            throw error
        }
        let byID = Dictionary(waiting.map { ($0.id, $0) }) { first, _ in first }
        let inOrder = files.compactMap { byID[$0.id] }
        return try nameAll(inOrder, held, in: area)
    }

    /// Gives all their names, in order, until one can not be given its name.
    private func nameAll(
        _ waiting: [WaitingFile],
        _ held: [ReadyContent],
        in area: borrowing StagingArea
    ) throws(UploadError) -> Outcome {
        var published: [PublishedFile] = []
        var failure: UploadError?
        for file in waiting {
            if failure != nil {
                file.abandon(engine)
                continue
            }
            do throws(UploadError) {
                if let file = try file.giveName(engine, mount.tombstoneSeconds) { published.append(file) }
            } catch { failure = error }
        }
        for content in held {
            if failure != nil {
                engine.abandon(content, in: area)
                continue
            }
            do throws(UploadError) {
                published.append(try engine.giveName(to: content, in: area, root: mount.root))
                if let reservation = content.reservation { engine.count(reservation) }
            } catch { failure = error }
        }
        if let failure, published.isEmpty { throw failure }
        return .publishedForm(published, failure: failure)
    }

    /// A session's file, if it is whole.
    func wholeFile(_ key: FileKey) throws(UploadError) -> StoredFile? {
        guard let found = try engine.file(key), let (file, commit) = try engine.ledger.current(found) else {
            throw .superseded
        }
        switch file.phase {
        case .reserved, .open: return commit.isWhole && file.kind == .ranges ? file : nil
        case .publishing, .published: return file
        case .cancelled: throw .cancelled
        }
    }
}
