import Ledger
import Staging
import Uploads

// Publishing the files of one form together: all or none.

/// A session's file that waits for the others of its form.
private final class WaitingFile {
    let id: Int64
    let area: StagingArea
    private var readiness: Readiness?

    init(_ id: Int64, _ area: consuming StagingArea, _ readiness: consuming Readiness) {
        self.id = id
        self.area = area
        self.readiness = .some(readiness)
    }

    /// Hands over how far the file is, once.
    func take() -> Readiness? { readiness.take() }
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
        let reservations = try reserve(form.held.map(\.spec.total))
        var waiting: [WaitingFile] = []
        var held: [ReadyContent] = []
        do throws(UploadError) {
            // In one order for all requests, as each waits for the lock of the next with those before it in its hands.
            for file in files.sorted(by: { $0.id < $1.id }) {
                let area = try engine.area(file.root)
                let readiness = try engine.prepare(file, in: area, mount.tombstoneSeconds)
                waiting.append(WaitingFile(file.id, area, readiness))
            }
            let session = SessionKey(on: mount, id: "")
            let account = FileAccount(session: session, fields: form.fields, handOff: mount.handOff)
            for upload in form.held {
                let content = try take(upload.file)
                held.append(try engine.prepare(content, upload.spec, account, in: area, root: mount.root))
            }
        } catch {
            for file in waiting { abandon(file) }
            for content in held { engine.abandon(content, in: area) }
            for reservation in reservations { settle(reservation, isPublished: false) }
            throw error
        }
        let inOrder = files.compactMap { file in waiting.first { $0.id == file.id } }
        return try nameAll(inOrder, held, reservations, in: area)
    }

    /// Gives all their names, in order, until one can not be given its name.
    private func nameAll(
        _ waiting: [WaitingFile],
        _ held: [ReadyContent],
        _ reservations: [Reservation],
        in area: borrowing StagingArea
    ) throws(UploadError) -> Outcome {
        var published: [PublishedFile] = []
        var failure: UploadError?
        for file in waiting {
            if failure != nil {
                abandon(file)
                continue
            }
            do throws(UploadError) {
                switch file.take() {
                case .published(let file)?: published.append(file)
                case .ready(let ready, let staging)?:
                    published.append(try engine.giveName(to: ready, staging, in: file.area, mount.tombstoneSeconds))
                case nil: break
                }
            } catch { failure = error }
        }
        for (index, content) in held.enumerated() {
            let reservation = index < reservations.count ? reservations[index] : nil
            if failure != nil {
                engine.abandon(content, in: area)
                settle(reservation, isPublished: false)
                continue
            }
            do throws(UploadError) {
                published.append(try engine.giveName(to: content, in: area, root: mount.root))
                settle(reservation, isPublished: true)
            } catch {
                failure = error
                settle(reservation, isPublished: false)
            }
        }
        if let failure, published.isEmpty { throw failure }
        return .publishedForm(published, failure: failure)
    }

    /// Lets a session's file take bytes again that is not to get its name now.
    private func abandon(_ file: WaitingFile) {
        switch file.take() {
        case .ready(let ready, let staging)?: engine.abandon(ready, staging)
        case .published?: break
        case nil: break
        }
    }

    /// A session's file, if it is whole.
    func wholeFile(_ key: FileKey) throws(UploadError) -> StoredFile? {
        let ledger = engine.ledger
        guard let (found, _) = try ledger.file(key.field, of: key.session, overlapping: .empty, now: engine.now()),
            let (file, commit) = try ledger.current(found)
        else { throw .superseded }
        switch file.phase {
        case .reserved, .open: return commit.isWhole && file.kind == .ranges ? file : nil
        case .publishing, .published: return file
        case .cancelled: throw .cancelled
        }
    }
}
