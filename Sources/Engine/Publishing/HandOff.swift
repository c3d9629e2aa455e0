import Foundation
import Ledger
import Programs
import Staging
import Uploads

// What the site's own code is asked, and told, of whole files (docs/hand-off.md).
//
// 1. A veto is asked before the file gets its name. Whatever goes wrong with it, the file stays as it is, unpublished.
// 2. A manifest is there before the client hears that its file is.
// 3. An event is kept in the same transaction that says that the file is published, and is told until its program exits
//    with 0. A program may be told more than once, always with the same key.

extension Engine {
    /// How long a program may take, in seconds.
    public static let programSecondsMax = 300

    /// Asks the program of a veto whether a whole file may have its name.
    ///
    /// - Parameter staging: the name of its staging file.
    func ask(
        _ program: String,
        of spec: FileSpec,
        _ account: FileAccount,
        root: String,
        staging: String
    ) throws(UploadError) {
        let path = "\(root)/\(RelativePath.stagingFolderName)/\(staging)"
        let document = FileDocument(
            event: "whole",
            key: staging,
            spec,
            account,
            path: path,
            name: spec.target.path.text
        )
        let ending: Program.Ending
        do {
            try requireAllowed(program)
            ending = try Program.run(program, input: document.encoded, seconds: Self.programSecondsMax)
        } catch {
            throw .storage(StorageFailure(operation: "ask veto", reason: "\(error)"))
        }
        switch ending.status {
        case 0: return
        case 1:
            let message = ending.output.split(whereSeparator: \.isNewline).first.map(String.init)
            throw .refused(message: message ?? "the file was refused")
        case let status:
            throw .storage(
                StorageFailure(
                    operation: "ask veto",
                    reason: "\(program) ended with \(status.map { "status \($0)" } ?? "a signal"): \(ending.output)"
                )
            )
        }
    }

    /// What is told of a published file, by its event and by its manifest.
    ///
    /// - Parameter name: its path below the root.
    func document(
        of spec: FileSpec,
        _ account: FileAccount,
        key: String,
        root: String,
        name: String
    ) -> [UInt8] {
        FileDocument(event: "published", key: key, spec, account, path: "\(root)/\(name)", name: name).encoded
    }

    /// The event that tells a program of a document.
    func event(for program: String, _ document: [UInt8], key: String) -> NewEvent {
        let text = String(decoding: document, as: UTF8.self)
        return NewEvent(key: key, task: .tell(program: program), document: text, now: now())
    }

    /// Refuses a program that the administrator has not named: what a mount or an older ledger says is not enough.
    func requireAllowed(_ program: String) throws(Program.Failure) {
        guard let programs, !programs.contains(program) else { return }
        throw .notStarted(path: program, reason: "it is not allowed: start fermata with --allow-program \(program)")
    }
}
