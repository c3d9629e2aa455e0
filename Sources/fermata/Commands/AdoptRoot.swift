import ArgumentParser
import Engine
import Foundation
import Ledger
import Uploads

/// `fermata adopt-root`: has a root belong to a state directory, when its disk or its ledger is lost for good.
struct AdoptRoot: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt-root",
        abstract: "Have a root belong to this state directory from now on.",
        discussion: """
            A root has a mark that says which ledger it belongs to. Where the mark is missing, as when a disk is not mounted, or
            is of another ledger, the root is not used, and doctor and the log say so: mount the disk, or mend the configuration.
            This command is for a disk that was replaced, and for a ledger that is lost. It gives the root a new mark; what the
            ledger knows of open uploads whose bytes are not there is forgotten then, and staging files that it does not know are
            swept. It says how many there are, and does it only with --force. Finished files stay. May run beside serve.

            Exits with 1 when it has not been done.
            """
    )

    @OptionGroup var stateDirectory: StateDirectory

    @Flag(help: "Do it even if open uploads or staging files are lost by it.")
    var force = false

    @Argument(help: "The root.")
    var root: String

    func run() throws {
        let path = URL(fileURLWithPath: root).resolvingSymlinksInPath().path
        let adoption: Adoption
        let engine = try stateDirectory.openExistingEngine()
        do throws(UploadError) { adoption = try engine.adopt(path, isForced: force) } catch {
            guard case .stagingUnavailable(let failure) = error else { throw error }
            throw CommandFailure("\(failure)")
        }
        guard let problem = adoption.problem else {
            print("\(path) belongs to this state directory already")
            return
        }
        print("\(path): \(problem.problem)")
        let losses =
            "\(adoption.lostUploads) open uploads whose bytes are not there, "
            + "\(adoption.foreignFiles) staging files that the ledger does not know"
        guard adoption.isDone else {
            throw CommandFailure("not adopted, as these would be lost: \(losses); --force does it all the same")
        }
        print("adopted; given up: \(losses)")
    }
}
