import Foundation
import Synchronization

/// nginx with a location for each stack, and the responders, in a temporary directory on a free loopback port.
final class BenchSite {
    private let directory: String
    private let port: UInt16
    private let nginx: ServerProcess
    private let responders: [Stack.Responder: ServerProcess]
    private var uploads = 0

    /// - Parameters:
    ///   - fermata: the responder's program.
    ///   - baseline: another build of it.
    ///   - references: where the probes are.
    ///   - parent: where the temporary directory is made.
    ///   - prepare: makes what is to be in the state directory.
    init(
        stacks: [Stack],
        fermata: String,
        baseline: String? = nil,
        references: String?,
        in parent: String,
        prepare: (String) throws -> Void = { _ in }
    ) throws {
        directory = parent + "/fermata-bench-" + UUID().uuidString.prefix(8)
        for name in ["files", "state", "baseline-state", "nginx/temp"] {
            try FileManager.default.createDirectory(
                atPath: "\(directory)/\(name)",
                withIntermediateDirectories: true
            )
        }
        try prepare(directory + "/state")
        port = UInt16.random(in: 10_000..<32_000)
        var responders: [Stack.Responder: ServerProcess] = [:]
        for responder in Set(stacks.map(\.responder)) {
            let program = responder == .baseline ? baseline : fermata
            responders[responder] = try Self.start(responder, program, references, directory)
        }
        self.responders = responders
        let configuration = try NginxConfiguration(directory: directory, port: port, stacks: stacks)
        let file = try configuration.write()
        nginx = try ServerProcess(
            "/usr/sbin/nginx",
            ["-e", directory + "/nginx.log", "-c", file],
            log: directory + "/nginx.out",
            socket: directory + "/nginx.pid"
        )
        usleep(200_000)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    private static func start(
        _ responder: Stack.Responder,
        _ fermata: String?,
        _ references: String?,
        _ directory: String
    ) throws -> ServerProcess? {
        guard let socket = responder.socket(in: directory) else { return nil }
        let files = directory + "/files"
        switch responder {
        case .none: return nil
        case .fermata, .baseline:
            guard let fermata else { throw BenchmarkError("there is no other build") }
            let state = directory + (responder == .baseline ? "/baseline-state" : "/state")
            let arguments = ["serve", "--state", state, "--allow-root", files, "--listen=unix:\(socket)"]
            return try ServerProcess(fermata, arguments, log: socket + ".log", socket: socket)
        case .probe(let program, let arguments):
            guard let references else { throw BenchmarkError("there are no probes") }
            return try ServerProcess(
                "\(references)/probes/\(program)",
                [socket, files] + arguments,
                log: directory + "/probe.log",
                socket: socket
            )
        }
    }

    // MARK: Measuring

    /// Uploads what a workload has, once, and compares what was stored.
    func measure(_ stack: Stack, _ workload: Workload, _ content: Content) throws -> Sample {
        uploads += 1
        let names = (0..<workload.files).map { "u\(uploads)-\($0)" }
        let connections = try (0..<workload.connections).map { _ in try connect(content) }
        // Digests that a client sends are made before the time starts.
        if case .parts = stack.client { for part in workload.parts(of: 0) { _ = content.md5(part) } }
        let (nginxBefore, responderBefore) = try cpuSeconds(stack)
        let start = ContinuousClock.now
        let load = Load(connections, workload, names, stack, content)
        let paths = try load.run()
        let wallSeconds = (ContinuousClock.now - start) / .seconds(1)
        let (nginxAfter, responderAfter) = try cpuSeconds(stack)
        for case let path? in paths {
            let file = "\(directory)/files/\(path)"
            guard try content.isContent(of: file, bytes: workload.fileBytes) else {
                throw BenchmarkError("\(stack.name) has stored other bytes in \(file)")
            }
        }
        try empty(directory + "/files")
        return Sample(
            bytes: workload.totalBytes,
            wallSeconds: wallSeconds,
            nginxSeconds: nginxAfter - nginxBefore,
            responderSeconds: responderAfter - responderBefore,
            requestSeconds: connections.flatMap(\.seconds)
        )
    }

    /// The CPU time that the servers have used, in seconds.
    func cpuSeconds(_ stack: Stack) throws -> (nginx: Double, responder: Double) {
        try (nginx.cpuSeconds(), responders[stack.responder]?.cpuSeconds() ?? 0)
    }

    /// The resident memory of a stack's responder, in bytes.
    func memoryBytes(_ stack: Stack) throws -> Int { try responders[stack.responder]?.memoryBytes() ?? 0 }

    /// A connection to nginx.
    func connect(_ content: Content) throws -> LoadConnection { try LoadConnection(port, content) }

    private func empty(_ folder: String) throws {
        for name in try FileManager.default.contentsOfDirectory(atPath: folder) where name != ".fermata" {
            try FileManager.default.removeItem(atPath: "\(folder)/\(name)")
        }
    }
}

extension Stack.Responder {
    /// Where it listens.
    func socket(in directory: String) -> String? {
        switch self {
        case .none: nil
        case .fermata: directory + "/fermata.sock"
        case .baseline: directory + "/baseline.sock"
        case .probe(let program, let arguments): "\(directory)/\(program)-\(arguments[0]).sock"
        }
    }
}

/// The connections of a workload, each in the hands of a thread.
private struct Load: @unchecked Sendable {
    private let connections: [LoadConnection]
    private let workload: Workload
    private let names: [String]
    private let stack: Stack
    private let content: Content

    init(
        _ connections: [LoadConnection],
        _ workload: Workload,
        _ names: [String],
        _ stack: Stack,
        _ content: Content
    ) {
        self.connections = connections
        self.workload = workload
        self.names = names
        self.stack = stack
        self.content = content
    }

    /// Uploads all files; where each is.
    func run() throws -> [String?] {
        let results = Mutex<[Result<[String?], any Error>]>([])
        // libdispatch would run no more of them at a time than there are cores.
        let ended = DispatchGroup()
        for index in connections.indices {
            ended.enter()
            Thread {
                let result = Result { try upload(index) }
                results.withLock { $0.append(result) }
                ended.leave()
            }.start()
        }
        ended.wait()
        return try results.withLock { $0 }.flatMap { try $0.get() }
    }

    private func upload(_ index: Int) throws -> [String?] {
        try stride(from: index, to: workload.files, by: connections.count).map { file in
            let upload = Upload(
                file: file,
                workload: workload,
                name: names[file],
                path: "/" + stack.name,
                content: content,
                connection: connections[index]
            )
            return try upload.send(as: stack.client)
        }
    }
}
