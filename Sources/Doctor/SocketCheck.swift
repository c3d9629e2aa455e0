import Glibc

/// Whether somebody listens where a web server passes uploads on to.
enum SocketCheck {
    private static let prefix = "unix:"

    /// What is wrong with an address, such as `unix:/run/fermata/fermata.sock`.
    static func diagnosis(_ address: String, _ place: String) -> Diagnosis? {
        guard address.hasPrefix(prefix) else {
            return Diagnosis(
                severity: .warning,
                place: place,
                problem: "whoever reaches \(address) can send requests as any user, with any FERMATA_ parameter",
                fix: "use a unix socket of which only the web server may be in the group"
            )
        }
        let path = String(address.dropFirst(prefix.count))
        func error(_ problem: String, _ fix: String) -> Diagnosis {
            Diagnosis(severity: .error, place: place, problem: problem, fix: fix)
        }
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else {
            return error(
                "\(path) is not there",
                "start Fermata with --listen \(address), or systemctl enable --now fermata.socket"
            )
        }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            return error("\(path) is not a socket", "remove it, and start Fermata with --listen \(address)")
        }
        var target = sockaddr_un()
        let capacity = MemoryLayout.size(ofValue: target.sun_path)
        guard path.utf8.count < capacity else {
            return error("\(path) is too long for a socket", "use a path of at most \(capacity - 1) bytes")
        }
        target.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &target.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let descriptor = socket(AF_UNIX, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        let result = unsafe withUnsafePointer(to: &target) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        if result == 0 { return nil }
        switch errno {
        case ECONNREFUSED:
            return error("nobody listens on \(path)", "start Fermata with --listen \(address)")
        case EACCES:
            return error(
                "\(path) may not be written to by this user",
                "run doctor as the web server's user, or start Fermata with --socket-owner and --socket-mode for it"
            )
        case _: return nil
        }
    }
}
