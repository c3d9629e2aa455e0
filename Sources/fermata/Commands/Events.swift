import ArgumentParser
import Engine
import Ledger
import Uploads

/// `fermata events`: what programs of the site are told.
struct Events: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "List, replay or drop what a FERMATA_HOOK is told.",
        discussion: """
            An event is told until its program exits with 0: after 1, 2, 4 seconds and so on, at most 15 minutes. Events that
            were delivered are kept for a week. May run beside serve.
            """,
        subcommands: [List.self, Replay.self, Drop.self],
        defaultSubcommand: List.self
    )

    struct List: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List events, oldest first.",
            discussion: "A line for each: number, state, attempts, program, the last failure."
        )

        @OptionGroup var stateDirectory: StateDirectory

        @Flag(help: "Print a JSON object for each event.")
        var json = false

        func run() throws {
            for event in try stateDirectory.openExistingEngine().events() {
                if json { print(try EventLine(event).encoded()) } else { print(event.line) }
            }
        }
    }

    struct Replay: ParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Tell an event again, at once.",
            discussion: "Its program gets the same document with the same key. serve must be running."
        )

        @OptionGroup var stateDirectory: StateDirectory
        @Argument(help: "The number of the event.") var id: Int64

        func run() throws {
            guard try stateDirectory.openExistingEngine().replay(id) else {
                throw CommandFailure("there is no event \(id), or its file has no name yet")
            }
        }
    }

    struct Drop: ParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Forget an event.")

        @OptionGroup var stateDirectory: StateDirectory
        @Argument(help: "The number of the event.") var id: Int64

        func run() throws {
            guard try stateDirectory.openExistingEngine().drop(id) else {
                throw CommandFailure("there is no event \(id)")
            }
        }
    }
}

extension Event {
    fileprivate var stateName: String {
        switch state {
        case .waiting: "waiting"
        case .due: "due"
        case .delivered: "delivered"
        }
    }

    fileprivate var line: String {
        "\(id)\t\(stateName)\t\(attempts)\t\(program.shown)\t\(failure?.shown ?? "-")"
    }
}

/// An event as JSON.
private struct EventLine: Encodable {
    let id: Int64
    let key: String
    let state: String
    let attempts: Int
    let program: String
    let createdAt: Int64
    let failure: String?
    let document: String

    init(_ event: Event) {
        id = event.id
        key = event.key
        state = event.stateName
        attempts = event.attempts
        program = event.program
        createdAt = event.createdAt
        failure = event.failure
        document = event.document
    }

    func encoded() throws -> String { try JSONLine.encode(self) }
}
