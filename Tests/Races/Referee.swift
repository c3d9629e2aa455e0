import Foundation

/// Looks at everything after a round, when nobody meddles any more.
struct Referee {
    /// For how long events may take to be told, in seconds.
    private static let eventSeconds = 60

    private let arena: Arena
    private let contenders: [any Contender]
    private var commands: Commands { arena.commands }

    init(_ arena: Arena, _ contenders: [any Contender]) {
        self.arena = arena
        self.contenders = contenders
    }

    private func find(_ text: String, _ contender: (any Contender)? = nil) {
        guard let contender else { return arena.findings.add(text) }
        arena.findings.add(text, about: contender.traits.name, log: contender.log)
    }

    /// Judges; the number of published files.
    func judge() throws -> Int {
        if arena.findings.areEnough { return 0 }
        // Requests whose clients are gone come to their end.
        usleep(500_000)
        if arena.hasKills { for index in 0..<Fleet.size { try arena.fleet.replace(index, signal: SIGTERM, pause: 0) } }
        expectNothingWrong("after the race")
        for contender in contenders where !abandoned(contender) { contender.close() }
        let published = try self.published()
        for contender in contenders {
            let own = published.filter { owner(of: $0.key) == contender.traits.name }
            for fault in contender.faults(of: own) { find(fault, contender) }
        }
        for path in published.keys where !contenders.contains(where: { $0.traits.name == owner(of: path) }) {
            find("\(path) is of nobody")
        }
        let events = try tellAll()
        judge(events, published)
        try judgeUsage(events)
        try removeTheRest()
        return published.count
    }

    /// Every fourth upload is left as it is.
    private func abandoned(_ contender: any Contender) -> Bool { contender.traits.number % 4 == 3 }

    private func expectNothingWrong(_ when: String) {
        do {
            let ending = try commands.run("check")
            let lines = ending.output.split(separator: "\n").filter { line in
                !line.contains(Traits.hindered) && line != "nothing is wrong" && !line.hasSuffix(" differences")
                    && !contenders.contains { $0.mayWaitForName && line.contains($0.traits.name) }
            }
            if !lines.isEmpty { find("check says \(when): \(lines.joined(separator: "; "))") }
        } catch { find("check \(when): \(error)") }
    }

    // MARK: Files

    /// Every file below the root, by its path, but for manifests and what a confirmation leaves.
    private func published() throws -> [String: [UInt8]] {
        var files: [String: [UInt8]] = [:]
        for path in try FileManager.default.subpathsOfDirectory(atPath: arena.files.path) {
            let file = arena.files.appending(path: path)
            if path.hasPrefix(".fermata") || path.hasSuffix(".json") || file.isFolder { continue }
            files[path] = [UInt8](try Data(contentsOf: file))
        }
        return files
    }

    /// The name of the upload that a path belongs to; the path may have a number for one more of a name.
    private func owner(of path: String) -> String? {
        var name = path.split(separator: "/").last.map(String.init) ?? ""
        if let open = name.lastIndex(of: "["), let close = name.lastIndex(of: "]"), open < close {
            name.removeSubrange(open...close)
        }
        return contenders.first { name.hasSuffix($0.traits.name) }?.traits.name
    }

    /// The names in the staging folder.
    private func staged() throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: arena.files.path + "/.fermata")
            .filter { $0 != ".mark" }
    }

    // MARK: Events

    /// What a program is told of a file.
    private struct Document: Decodable {
        let key: String
        let name: String
        let size: Int
        let principal: String
    }

    private func document(_ data: Data) -> Document? { try? JSONDecoder().decode(Document.self, from: data) }

    /// Waits until all events are told; what each says.
    private func tellAll() throws -> [Document] {
        let end = Clock.now + Self.eventSeconds * 1_000_000_000
        var events = try commands.events()
        while Clock.now < end {
            let left = events.filter { $0.state != "delivered" }
            if left.isEmpty { break }
            // Who was killed while it told has the event for minutes.
            for event in left where event.state == "due" { _ = try commands.run("events", "replay", String(event.id)) }
            usleep(1_500_000)
            events = try commands.events()
        }
        for event in events where event.state != "delivered" { find("an event is \(event.state): \(event.document)") }
        // A manifest that is written later is nothing that a program is told.
        events.removeAll { $0.key.hasSuffix(".json") }
        let told = arena.directory.appending(path: "told")
        var keys: Set<String> = []
        for name in try FileManager.default.contentsOfDirectory(atPath: told.path) {
            guard let key = document(try Data(contentsOf: told.appending(path: name)))?.key else { continue }
            keys.insert(key)
        }
        let known = Set(events.map(\.key))
        for key in known.subtracting(keys) { find("the event \(key) counts as delivered, and nobody was told") }
        for key in keys.subtracting(known) { find("the event \(key) was told, and the ledger does not know it") }
        return events.compactMap { event in
            let document = document(Data(event.document.utf8))
            if document?.key != event.key { find("an event says something else than its key: \(event.document)") }
            return document
        }
    }

    private func judge(_ events: [Document], _ published: [String: [UInt8]]) {
        let events = Dictionary(grouping: events, by: \.name)
        for (path, bytes) in published {
            guard let contender = contenders.first(where: { $0.traits.name == owner(of: path) }) else { continue }
            let own = events[path] ?? []
            if own.isEmpty || own.count > contender.publicationsMax {
                find("\(path) has \(own.count) events: \(own.map(\.key))", contender)
            } else if !own.contains(where: { $0.size == bytes.count }) {
                find("\(path) has \(bytes.count) bytes, its events tell of \(own.map(\.size))", contender)
            }
            if contender.traits.hasManifest {
                let data = FileManager.default.contents(atPath: arena.files.path + "/\(path).json") ?? Data()
                let key = document(data)?.key
                if !own.contains(where: { $0.key == key }) {
                    find("the manifest of \(path) has key \(key ?? "-")", contender)
                }
            }
        }
        for path in events.keys where published[path] == nil {
            find("\(path) is told of and not there", contenders.first { $0.traits.name == owner(of: path) })
        }
    }

    /// What a quota counts is what was published, each time.
    private func judgeUsage(_ events: [Document]) throws {
        let ending = try commands.run("usage")
        var used: [String: Int] = [:]
        for line in ending.output.split(separator: "\n") {
            let columns = line.split(separator: "\t", omittingEmptySubsequences: false)
            guard columns.count == 3, let bytes = Int(columns[0]) else { continue }
            used[String(columns[2]), default: 0] += bytes
        }
        let told = Dictionary(events.map { ($0.principal, $0.size) }, uniquingKeysWith: +).filter { $0.value > 0 }
        if used.filter({ $0.value > 0 }) != told { find("the usage is \(used), the files have \(told)") }
    }

    // MARK: What is left

    /// Has an administrator remove all uploads that are left, and expects nothing to stay.
    private func removeTheRest() throws {
        for upload in try commands.uploads() where upload.state != "finished" {
            let ending = try commands.run("remove", String(upload.id))
            if ending.status != 0 { find("\(upload.fileName) can not be removed: \(ending.output)") }
        }
        for upload in try commands.uploads() where upload.state != "finished" {
            find("\(upload.fileName) is \(upload.state) after its removal")
        }
        let left = try staged()
        if !arena.hasKills, !left.isEmpty { find("staging files stay although nobody was killed: \(left)") }
        // What somebody who was killed has left is swept away when it has rested; each leaves what it was at work on.
        if left.count > arena.fleet.killCount * Race.threads { find("\(left.count) staging files stay") }
        let ending = try commands.run("sweep")
        if ending.status != 0 { find("sweep exits with \(ending.status): \(ending.output)") }
        let check = try commands.run("check")
        if check.status != 0 { find("check says at the end: \(check.output)") }
    }
}

extension URL {
    fileprivate var isFolder: Bool {
        var isFolder: ObjCBool = false
        return FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) && isFolder.boolValue
    }
}
