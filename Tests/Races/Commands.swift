import Foundation

/// What an administrator runs beside the service.
struct Commands: Sendable {
    let binary: String
    let state: String
    /// What `serve` may run, too.
    let programs: [String]

    struct Ending {
        let status: Int32
        let output: String
        let period: Period
    }

    /// An upload as `list --json` tells of it.
    struct Listed: Decodable {
        let id: Int64
        let fileName: String
        let state: String
        let path: String
    }

    /// An event as `events list --json` tells of it.
    struct Event: Decodable {
        let id: Int64
        let key: String
        let state: String
        let document: String
    }

    /// Runs a command to its end.
    func run(_ words: String...) throws -> Ending {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = words + ["--state=" + state]
        // A repair may publish a file that a veto is asked of.
        if words.first == "check" { process.arguments? += programs.map { "--allow-program=" + $0 } }
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        process.standardInput = FileHandle.nullDevice
        let began = Clock.now
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        let status = process.terminationReason == .exit ? process.terminationStatus : -1
        return Ending(
            status: status,
            output: String(decoding: output, as: UTF8.self),
            period: Period(began: began, ended: Clock.now)
        )
    }

    func uploads() throws -> [Listed] { try lines(of: run("list", "--json", "--all")) }

    func events() throws -> [Event] { try lines(of: run("events", "list", "--json")) }

    private func lines<Value: Decodable>(of ending: Ending) throws -> [Value] {
        guard ending.status == 0 else { throw RaceFailure(what: ending.output) }
        return try ending.output.split(separator: "\n").map {
            try JSONDecoder().decode(Value.self, from: Data($0.utf8))
        }
    }
}

/// What keeps a race from going on.
struct RaceFailure: Error, CustomStringConvertible {
    let what: String
    var description: String { what }
}
