import Foundation
import Testing

/// `fermata doctor` on a real nginx with the shipped configuration, as it is and with one mistake each.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct DoctorTests {
    private let site: Site
    private let binary: String
    private var configuration: URL { site.directory.appending(path: "fermata") }

    init() throws {
        site = try Site()
        binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
    }

    private func doctor(_ arguments: String...) throws -> (status: Int32, output: String) {
        let dump = site.directory.appending(path: "dump")
        let main = site.directory.appending(path: "nginx.conf").path
        try #require(run("sh", ["-c", "/usr/sbin/nginx -T -c \(main) > \(dump.path) 2>/dev/null"]).status == 0)
        var all = ["doctor", "--nginx", dump.path, "--workers", "16"] + arguments
        if !arguments.contains("--state") { all += ["--state", site.directory.path + "/state"] }
        return try run(binary, all)
    }

    /// Changes a shipped file.
    private func edit(_ file: String, _ text: String, _ replacement: String) throws {
        let url = configuration.appending(path: file)
        let before = try String(contentsOf: url, encoding: .utf8)
        try #require(before.contains(text))
        try before.replacingOccurrences(of: text, with: replacement).write(to: url, atomically: true, encoding: .utf8)
    }

    @Test("the shipped configuration has nothing wrong")
    func healthy() throws {
        let result = try doctor()
        #expect(result.status == 0)
        #expect(result.output == "nothing is wrong\n", "\(result.output)")
    }

    /// A mistake in a file, what is said of it, and its remedy.
    struct Mistake: CustomTestStringConvertible {
        let file: String
        let text: String
        let replacement: String
        let problem: String
        let remedy: String

        var testDescription: String { replacement.isEmpty ? "without \(text)" : replacement }
    }

    static let mistakes = [
        Mistake(
            file: "fermata_params.conf",
            text: "client_max_body_size 0;",
            replacement: "",
            problem: "nginx itself refuses bodies of more than 1m",
            remedy: "client_max_body_size 0;"
        ),
        Mistake(
            file: "fermata_params.conf",
            text: "fastcgi_request_buffering off;",
            replacement: "",
            problem: "nginx spools each body",
            remedy: "fastcgi_request_buffering off;"
        ),
        Mistake(
            file: "fermata_params.conf",
            text: "fastcgi_next_upstream off;",
            replacement: "",
            problem: "nginx may send an upload a second time",
            remedy: "fastcgi_next_upstream off;"
        ),
        Mistake(
            file: "fermata_params.conf",
            text: "fastcgi_param CONTENT_TYPE      $content_type;",
            replacement: "",
            problem: "CONTENT_TYPE is not passed on",
            remedy: "include fermata/fermata_params.conf"
        ),
        Mistake(
            file: "locations/parts.conf",
            text: "fastcgi_param PATH_INFO       $fastcgi_path_info;",
            replacement: "",
            problem: "SCRIPT_NAME and PATH_INFO do not both say",
            remedy: "fastcgi_param SCRIPT_NAME and PATH_INFO"
        ),
        Mistake(
            file: "locations/fileid.conf",
            text: "FERMATA_DIALECT fileid",
            replacement: "FERMATA_DIALECT field",
            problem: "FERMATA_DIALECT 'field' is unknown: use one of dcloud",
            remedy: "correct the fastcgi_param"
        ),
        Mistake(
            file: "locations/fileid.conf",
            text: "FERMATA_DIALECT fileid;",
            replacement: "FERMATA_DIALECT fileid; fastcgi_param FERMATA_MAXFILE 20g;",
            problem: "FERMATA_MAXFILE is no parameter",
            remedy: "FERMATA_MAX_FILE"
        ),
        Mistake(
            file: "locations/offset.conf",
            text: "FERMATA_DIALECT offset;",
            replacement: "FERMATA_DIALECT offset; fastcgi_param FERMATA_EXPIRES soon;",
            problem: "FERMATA_EXPIRES 'soon' is not a time",
            remedy: "correct the fastcgi_param"
        ),
        Mistake(
            file: "locations/signed.conf",
            text: "FERMATA_DIALECT signed;",
            replacement: "FERMATA_DIALECT signed; fastcgi_param FERMATA_ROOT /etc;",
            problem: "FERMATA_ROOT '/etc' is not allowed: start fermata with --allow-root",
            remedy: "correct the fastcgi_param"
        ),
        Mistake(
            file: "locations/dcloud.conf",
            text: "FERMATA_DIALECT dcloud;",
            replacement: "FERMATA_DIALECT dcloud; fastcgi_param FERMATA_HOOK /etc/passwd;",
            problem: "FERMATA_HOOK '/etc/passwd' is not an absolute path of a program",
            remedy: "correct the fastcgi_param"
        ),
        Mistake(
            file: "locations/dcloud.conf",
            text: "location = /FileUploader {",
            replacement: "location = /other {",
            problem: "nginx answers /FileUploader with a redirect, on which a POST loses its body",
            remedy: "add location = /FileUploader"
        ),
        Mistake(
            file: "locations/signed.conf",
            text: "FERMATA_DIALECT signed;",
            replacement: "FERMATA_DIALECT signed; fastcgi_param HTTP_HOST $host;",
            problem: "HTTP_HOST is $host, which has no port",
            remedy: "FERMATA_BASE_URL with the server's own URL"
        ),
        Mistake(
            file: "locations/signed.conf",
            text: "FERMATA_DIALECT signed;",
            replacement: "FERMATA_DIALECT signed; fastcgi_param FERMATA_BASE_URL https://$host/s;",
            problem: "FERMATA_BASE_URL https://$host/s has no port, or no server where a client names none",
            remedy: "leave it out"
        ),
        Mistake(
            file: "fermata.conf",
            text: "server unix:",
            replacement: "server 127.0.0.1:9; server unix:",
            problem: "whoever reaches 127.0.0.1:9 can send requests as any user",
            remedy: "use a unix socket"
        ),
        Mistake(
            file: "fermata.conf",
            text: "f.sock",
            replacement: "g.sock",
            problem: "g.sock is not there",
            remedy: "start Fermata with --listen unix:"
        ),
    ]

    @Test("a mistake in the configuration of nginx is found, with its remedy", arguments: mistakes)
    func mistake(_ mistake: Mistake) throws {
        try edit(mistake.file, mistake.text, mistake.replacement)
        let result = try doctor()
        #expect(result.output.contains(mistake.problem), "\(result.output)")
        #expect(result.output.contains(mistake.remedy), "\(result.output)")
        let isWarning = result.output.contains(" 0 errors") || result.output.hasSuffix("\n0 errors, 1 warnings\n")
        #expect(result.status == (isWarning || !result.output.contains("error: ") ? 0 : 1))
    }

    @Test("directories, disks, limits and sockets that will not do are found, with their remedies")
    func host() throws {
        let state = try doctor("--state", "/nothing")
        #expect(state.status == 1 && state.output.contains("the directory is not there\n    remedy: make it"))
        try FileManager.default.removeItem(at: site.files)
        let root = try doctor()
        #expect(root.status == 1 && root.output.contains("error: root \(site.files.path): the directory is not there"))
        let command = "ulimit -n 256; \(binary) doctor --workers 1000 --state \(site.directory.path)/state"
        let workers = try run("sh", ["-c", command])
        #expect(workers.output.contains("open files:") && workers.output.contains("LimitNOFILE="), "\(workers.output)")
        site.killResponder()
        let silent = try doctor()
        #expect(silent.output.contains("nobody listens on") && silent.output.contains("start Fermata"))
        let empty = try run("sh", ["-c", "\(binary) doctor --nginx /dev/null --state \(site.directory.path)/state"])
        #expect(empty.status == 1 && empty.output.contains("no location has a FERMATA_DIALECT"))
    }

    @Test("a disk that is nearly full is told", .enabled(if: geteuid() == 0, "only root can mount a small file system"))
    func fullDisk() throws {
        let folder = site.directory.appending(path: "tiny").path
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try #require(run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder]).status == 0)
        let result = try doctor("--allow-root", folder)
        #expect(result.status == 0)
        #expect(result.output.contains("MiB are left\n    remedy: make space"), "\(result.output)")
    }
}
