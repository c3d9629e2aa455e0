import ArgumentParser
import Engine

/// `fermata remove`: gives up an upload.
struct Remove: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Remove an upload with its bytes.",
        discussion: """
            A client that goes on with it finds that the server does not know it, and begins anew. A finished file stays where
            it is; only the answer to its client is forgotten. Exits with 1 when there is none of this number.
            """
    )

    @OptionGroup var stateDirectory: StateDirectory

    @Argument(help: "The number that list gives.")
    var id: Int64

    func run() throws {
        guard try stateDirectory.openExistingEngine().remove(id) else {
            throw CommandFailure("there is no upload \(id)")
        }
    }
}
