import Foundation
import Testing

/// A real Apache with the shipped configuration, in a temporary directory on a free loopback port. What runs is stopped,
/// by its own process id, when the site goes.
final class ApacheSite: UploadServer {
    /// How Apache reaches Fermata.
    enum FrontEnd: String, CaseIterable {
        /// mod_fcgid starts processes of it.
        case fcgid
        /// mod_proxy_fcgi talks to a service.
        case proxyFCGI = "proxy_fcgi"

        /// The modules that it needs beside those of all.
        var modules: [String] {
            switch self {
            case .fcgid: ["fcgid"]
            case .proxyFCGI: ["proxy", "proxy_fcgi"]
            }
        }
    }

    private let folder: TemporaryFolder
    let port: UInt16
    private let apache: Process
    private let responder: Process?

    var files: URL { folder.url.appending(path: "state/files") }

    /// - Parameters:
    ///   - mounts: parameters of mounts, by their paths; each takes FERMATA_PRINCIPAL from the client's X-Test-User.
    ///   - pages: further files of the site, by their names.
    ///   - lines: further lines of the configuration, before the mounts.
    init(
        _ frontEnd: FrontEnd,
        mounts: [String: [String: String]],
        pages: [String: String] = [:],
        lines: String = ""
    ) throws {
        folder = try TemporaryFolder()
        port = try Site.freePort()
        let directory = folder.url.path
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        // Apache's own user may not reach the place where it was built.
        try FileManager.default.copyItem(atPath: binary, toPath: directory + "/fermata")
        for name in ["state", "run", "run/site"] {
            try FileManager.default.createDirectory(atPath: "\(directory)/\(name)", withIntermediateDirectories: false)
        }
        for (name, text) in pages {
            try text.write(toFile: "\(directory)/run/site/\(name)", atomically: true, encoding: .utf8)
        }
        if geteuid() == 0 { try #require(run("chown", ["-R", "www-data:", directory]).status == 0) }
        try Self.configuration(frontEnd, mounts, lines, directory, port)
            .write(toFile: directory + "/apache.conf", atomically: true, encoding: .utf8)
        switch frontEnd {
        case .fcgid: responder = nil
        case .proxyFCGI:
            responder = try Site.startResponder(folder.url, .unix(), nil, ["--socket-mode", "666"])
        }
        apache = Process()
        apache.executableURL = URL(fileURLWithPath: "/usr/sbin/apache2")
        apache.arguments = ["-d", directory, "-f", directory + "/apache.conf", "-DFOREGROUND"]
        try Self.startUnblocked(apache)
        do { try waitUntilReady() } catch {
            stop()
            throw error
        }
    }

    deinit { stop() }

    private func stop() {
        // SIGTERM ends the processes of mod_fcgid, too.
        apache.terminate()
        apache.waitUntilExit()
        responder?.terminate()
        responder?.waitUntilExit()
    }

    /// Stops the responder, which a web server goes on without.
    func stopResponder() {
        responder?.terminate()
        responder?.waitUntilExit()
    }

    /// Starts a process that can be stopped: it gets the signal mask of the thread that starts it, and a test's has all
    /// signals blocked.
    static func startUnblocked(_ process: Process) throws {
        var (none, before) = (sigset_t(), sigset_t())
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, &before)
        defer { pthread_sigmask(SIG_SETMASK, &before, nil) }
        try process.run()
    }

    /// What Apache has logged.
    func log() throws -> String {
        try String(contentsOf: folder.url.appending(path: "run/error.log"), encoding: .utf8)
    }

    private static func configuration(
        _ frontEnd: FrontEnd,
        _ mounts: [String: [String: String]],
        _ lines: String,
        _ directory: String,
        _ port: UInt16
    ) throws -> String {
        let shipped = TemporaryFolder.project.appending(path: "apache")
        let front = try String(contentsOf: shipped.appending(path: frontEnd.rawValue + ".conf"), encoding: .utf8)
            .replacingOccurrences(of: " /usr/bin/fermata", with: " \(directory)/fermata")
            .replacingOccurrences(of: " /var/lib/fermata", with: " \(directory)/state")
            .replacingOccurrences(of: " /run/fermata/fermata.sock", with: " \(directory)/f.sock")
        let modules =
            ["mpm_event", "authz_core", "alias", "env", "headers", "macro", "setenvif"] + frontEnd.modules
        let uses = mounts.map { path, parameters in
            """
            Use FermataMount \(path) \(parameters["FERMATA_DIALECT"] ?? "dcloud")
            <Location "\(path)">
            \(parameters.map { #"SetEnv \#($0) "\#($1)""# }.joined(separator: "\n"))
            </Location>
            """
        }
        return """
            ServerRoot \(directory)
            DefaultRuntimeDir \(directory)/run
            PidFile \(directory)/run/apache.pid
            ErrorLog \(directory)/run/error.log
            Listen 127.0.0.1:\(port)
            ServerName localhost
            \(geteuid() == 0 ? "User www-data\nGroup www-data" : "")
            DocumentRoot \(directory)/run/site
            \(modules.map { "LoadModule \($0)_module /usr/lib/apache2/modules/mod_\($0).so" }.joined(separator: "\n"))
            <Directory "/">
                Require all denied
            </Directory>
            <Directory "\(directory)/run/site">
                Require all granted
            </Directory>
            <IfModule fcgid_module>
                LogLevel fcgid:info
                FcgidIPCDir \(directory)/run
                FcgidProcessTableFile \(directory)/run/processes
            </IfModule>
            \(front)
            Include \(shipped.path)/fermata.conf
            \(lines)
            SetEnvIf X-Test-User "^(.+)$" FERMATA_PRINCIPAL=$1
            \(uses.joined(separator: "\n"))
            """
    }

    private func waitUntilReady() throws {
        for _ in 0..<200 {
            try #require(apache.isRunning, "Apache has ended: \((try? log()) ?? "")")
            if let responder { try #require(responder.isRunning, "the responder has ended") }
            if let answer = try? HTTPConnection(port).request("GET", "/nothing"), answer.status != 503,
                responder == nil || FileManager.default.fileExists(atPath: folder.url.path + "/f.sock")
            {
                return
            }
            usleep(25_000)
        }
        Issue.record("the site is not ready: \(try log())")
    }
}
