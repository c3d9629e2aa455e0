import Foundation
import Testing

/// A real nginx with the shipped configuration in front of a real responder, in a temporary directory on a free
/// loopback port. Both are stopped, by their own process ids, when the site goes.
final class Site {
    private let folder: TemporaryFolder
    let port: UInt16
    private(set) var responder: Process
    /// Further responders on the same state directory.
    private let others: [Process]
    private let nginx: Process
    private let arguments: [String]
    private let listening: Listening
    /// The socket that a responder inherits; it stays open while that one is replaced.
    private let inherited: FileHandle?
    private let umask: String?

    /// Where everything of the site is.
    var directory: URL { folder.url }

    /// How nginx reaches the responder.
    enum Listening {
        case unix(name: String = "f.sock")
        case tcp(UInt16)
        /// A socket that the test opens and the responder gets as descriptor 0, as web servers and spawn-fcgi do it.
        case inherited
    }

    /// Where finished files appear.
    var files: URL { directory.appending(path: "state/files") }

    /// - Parameters:
    ///   - mounts: parameters of further mounts, by their paths; each takes REMOTE_USER from the client's X-Test-User.
    ///     `DIR` stands for the site's directory.
    ///   - arguments: of the responder; `DIR` likewise.
    ///   - prepare: runs in the site's directory before anything is started.
    ///   - listening: how nginx reaches the responder.
    ///   - umask: of the responder, in octal digits; that of the tests by default.
    ///   - connections: how many connections a process of nginx may have, to clients and to the responder.
    ///   - responders: how many responders share the work, and how many processes nginx has; one socket each.
    ///   - name: the name of the site's directory; one that is free by default.
    ///   - servers: further servers for nginx's configuration, made in the site's directory.
    init(
        mounts: [String: [String: String]] = [:],
        arguments: [String] = [],
        listening: Listening = .unix(),
        prepare: (URL) throws -> Void = { _ in },
        umask: String? = nil,
        connections: Int = 512,
        responders: Int = 1,
        name: String? = nil,
        servers: (URL) throws -> String = { _ in "" }
    ) throws {
        folder = try TemporaryFolder(name)
        let directory = folder.url
        try prepare(directory)
        let inDirectory = { (text: String) in text.replacingOccurrences(of: "DIR", with: directory.path) }
        let arguments = arguments.map(inDirectory)
        self.arguments = arguments
        self.listening = listening
        self.umask = umask
        inherited =
            if case .inherited = listening { try Self.listeningSocket(directory.path + "/f.sock") } else { nil }
        responder = try Self.startResponder(directory, listening, umask, arguments, inheriting: inherited)
        let furtherSockets = (1..<max(responders, 1)).map { Listening.unix(name: "f\($0).sock") }
        others = try furtherSockets.map { try Self.startResponder(directory, $0, umask, arguments) }
        port = try Self.freePort()
        let configuration = directory.appending(path: "fermata")
        let addresses = ([listening] + furtherSockets).map { $0.address(directory) }
        try Self.copyConfiguration(to: configuration, upstream: addresses, port)
        var locations = ""
        for (path, parameters) in mounts {
            let dialect = parameters["FERMATA_DIALECT"] == nil ? "fastcgi_param FERMATA_DIALECT dcloud;" : ""
            locations += """
                location \(path) {
                    include fermata/fermata_params.conf;
                    fastcgi_split_path_info ^(\(path))(.*)$;
                    fastcgi_param SCRIPT_NAME \(path);
                    fastcgi_param PATH_INFO $fastcgi_path_info;
                    fastcgi_param FERMATA_PRINCIPAL $http_x_test_user;
                    \(dialect)
                    \(parameters.map { "fastcgi_param \($0) \"\(inDirectory($1))\";" }.joined(separator: "\n"))
                    fastcgi_pass fermata;
                }

                """
        }
        try locations.write(
            to: configuration.appending(path: "locations/test.conf"),
            atomically: true,
            encoding: .utf8
        )
        let main = """
            \(geteuid() == 0 ? "user root;" : "")
            daemon off; worker_processes \(responders); pid \(directory.path)/nginx.pid; error_log \(directory.path)/nginx.log;
            worker_rlimit_nofile \(connections + 64);
            events { worker_connections \(connections); }
            http {
                access_log off; keepalive_requests 1000000;
                client_body_temp_path \(directory.path)/t1; fastcgi_temp_path \(directory.path)/t2;
                proxy_temp_path \(directory.path)/t3; scgi_temp_path \(directory.path)/t4;
                uwsgi_temp_path \(directory.path)/t5;
                include fermata/fermata.conf;
                \(try servers(directory))
            }
            """
        let mainFile = directory.appending(path: "nginx.conf")
        try main.write(to: mainFile, atomically: true, encoding: .utf8)
        nginx = Process()
        nginx.executableURL = URL(fileURLWithPath: "/usr/sbin/nginx")
        nginx.arguments = ["-e", directory.path + "/nginx.log", "-c", mainFile.path]
        try nginx.run()
        do { try waitUntilReady() } catch {
            stop()
            throw error
        }
    }

    deinit { stop() }

    private func stop() {
        let processes = [nginx, responder] + others
        for process in processes { process.terminate() }
        for process in processes { process.waitUntilExit() }
    }

    // MARK: The responder

    /// Kills the responder at once.
    func killResponder() {
        kill(responder.processIdentifier, SIGKILL)
        responder.waitUntilExit()
    }

    /// Stops the workers of nginx as they are, or lets them go on.
    func freezeServer(_ isFrozen: Bool) {
        let children = "/proc/\(nginx.processIdentifier)/task/\(nginx.processIdentifier)/children"
        let workers = (try? String(contentsOfFile: children, encoding: .utf8)) ?? ""
        for worker in workers.split(separator: " ").compactMap({ pid_t($0) }) {
            kill(worker, isFrozen ? SIGSTOP : SIGCONT)
        }
    }

    /// Starts the responder again after it has ended.
    func restartResponder() throws {
        responder = try Self.startResponder(directory, listening, umask, arguments, inheriting: inherited)
        try waitUntilReady()
    }

    /// Has the responder end in an orderly way, then starts another, as `systemctl restart` does; its exit status.
    func replaceResponder() throws -> Int32 {
        kill(responder.processIdentifier, SIGTERM)
        responder.waitUntilExit()
        let status = responder.terminationStatus
        responder = try Self.startResponder(directory, listening, umask, arguments, inheriting: inherited)
        return status
    }

    /// The largest resident set of the responder so far, in bytes.
    func responderPeakBytes() throws -> Int { try Self.bytes("VmHWM", of: responder) }

    /// The resident sets of all responders, in bytes.
    func responderBytes() throws -> Int {
        try ([responder] + others).map { try Self.bytes("VmRSS", of: $0) }.reduce(0, +)
    }

    private static func bytes(_ name: String, of process: Process) throws -> Int {
        let status = try String(contentsOfFile: "/proc/\(process.processIdentifier)/status", encoding: .utf8)
        let line = try #require(status.split(separator: "\n").first { $0.hasPrefix(name + ":") })
        let kibibytes = try #require(line.split(separator: " ").dropFirst().first.flatMap { Int($0) })
        return kibibytes * 1024
    }

    /// What the responder has logged.
    func responderLog() throws -> String {
        try String(contentsOf: directory.appending(path: "fermata.log"), encoding: .utf8)
    }

    static func startResponder(
        _ directory: URL,
        _ listening: Listening,
        _ umask: String?,
        _ arguments: [String],
        inheriting inherited: FileHandle? = nil
    ) throws -> Process {
        let binary = try #require(
            ProcessInfo.processInfo.environment["FERMATA_BINARY"],
            "FERMATA_BINARY must name the responder; Tests/run sets it"
        )
        let log = directory.appending(path: "fermata.log")
        if !FileManager.default.fileExists(atPath: log.path) {
            try Data().write(to: log)
        }
        let output = try FileHandle(forWritingTo: log)
        try output.seekToEnd()
        let process = Process()
        process.executableURL = URL(fileURLWithPath: binary)
        process.arguments = ["serve", "--state", directory.path + "/state"] + arguments
        process.standardInput = FileHandle.nullDevice
        switch listening {
        case .unix(let name): process.arguments?.append("--listen=unix:\(directory.path)/\(name)")
        case .tcp(let port): process.arguments?.append("--listen=127.0.0.1:\(port)")
        case .inherited: process.standardInput = inherited
        }
        if let umask, let arguments = process.arguments {
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", #"umask \#(umask) && exec "$0" "$@""#, binary] + arguments
        }
        process.standardError = output
        try process.run()
        return process
    }

    private static func listeningSocket(_ path: String) throws -> FileHandle {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
        let result = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        try #require(result == 0 && listen(descriptor, 4096) == 0)
        return FileHandle(fileDescriptor: descriptor, closeOnDealloc: true)
    }

    private func waitUntilReady() throws {
        // A new state directory is synced, which takes long on a disk that others keep busy.
        for _ in 0..<1200 {
            let log = responder.isRunning ? "" : try responderLog()
            try #require(responder.isRunning, "the responder has ended: \(log)")
            try #require(nginx.isRunning, "nginx has ended")
            // While the responder is not there nginx answers 503 itself.
            if let answer = try? HTTPConnection(port).post("/FileUploader", "application/none", []),
                answer.status == 415
            {
                return
            }
            usleep(25_000)
        }
        Issue.record("the site is not ready: \(try responderLog())")
    }

    private static func copyConfiguration(to folder: URL, upstream: [String], _ port: UInt16) throws {
        try FileManager.default.copyItem(at: TemporaryFolder.project.appending(path: "nginx"), to: folder)
        let file = folder.appending(path: "fermata.conf")
        let text = try String(contentsOf: file, encoding: .utf8)
            .replacingOccurrences(of: "127.0.0.1:8080", with: "127.0.0.1:\(port)")
            .replacingOccurrences(
                of: "server unix:/run/fermata/fermata.sock max_fails=0;",
                with: upstream.map { "server \($0) max_fails=0;" }.joined(separator: " ")
            )
            .replacingOccurrences(
                of: "include fermata/locations/dcloud.conf;",
                with: "include fermata/locations/dcloud.conf; include fermata/locations/test.conf;"
            )
        try text.write(to: file, atomically: true, encoding: .utf8)
        let pages = folder.appending(path: "locations/www.conf")
        try String(contentsOf: pages, encoding: .utf8)
            .replacingOccurrences(of: "/usr/share/fermata/www/", with: folder.path + "/www/")
            .write(to: pages, atomically: true, encoding: .utf8)
    }

    /// A port that nobody listens on, below those that the kernel gives to connections, which come and go.
    static func freePort() throws -> UInt16 {
        for _ in 0..<100 {
            let port = UInt16.random(in: 10_000..<32_000)
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
            defer { close(descriptor) }
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = inet_addr("127.0.0.1")
            let result = withUnsafePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
                }
            }
            if result == 0 { return port }
        }
        throw HTTPConnection.Failure(what: "no port is free")
    }
}

extension Site.Listening {
    fileprivate func address(_ directory: URL) -> String {
        switch self {
        case .unix(let name): "unix:\(directory.path)/\(name)"
        case .inherited: "unix:\(directory.path)/f.sock"
        case .tcp(let port): "127.0.0.1:\(port)"
        }
    }
}

/// Runs a program to its end.
@discardableResult
func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
    let process = Process()
    process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
    process.arguments = [program] + arguments
    let pipe = Pipe()
    process.standardOutput = pipe
    process.standardError = FileHandle.nullDevice
    process.standardInput = FileHandle.nullDevice
    try process.run()
    let output = pipe.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return (process.terminationStatus, String(decoding: output, as: UTF8.self))
}

/// The MD5 of a file, as md5sum has it.
func md5(_ file: URL) throws -> String {
    String(try run("md5sum", [file.path]).output.prefix(32))
}
