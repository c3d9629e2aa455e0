public import Glibc
import SystemPackage

/// A listening socket.
///
/// 1. A unix socket never has wider permissions than asked for: it is made with none and then given its own.
/// 2. A socket file that a dead process left is replaced; one that somebody listens on is not.
/// 3. The socket file is removed with the listener, if it is still the same file.
public struct Listener: ~Copyable {
    /// How many connections may wait to be accepted.
    public static let backlog: CInt = 4096

    /// The socket.
    public let descriptor: CInt
    private let socketFile: SocketFile?

    private struct SocketFile {
        let path: String
        let inode: ino_t
    }

    /// Who may connect to a unix socket.
    public struct Access: Sendable {
        /// The permission bits.
        public var mode: mode_t
        /// The owner; `nil` leaves that of the process.
        public var owner: SocketOwner?

        /// Access of a mode, for an owner.
        public init(mode: mode_t = 0o660, owner: SocketOwner? = nil) {
            self.mode = mode
            self.owner = owner
        }
    }

    /// A socket that can not be listened on.
    public struct Failure: Error, CustomStringConvertible {
        /// What failed and why.
        public let description: String
    }

    private init(descriptor: CInt, socketFile: SocketFile?) {
        self.descriptor = descriptor
        self.socketFile = socketFile
    }

    deinit {
        close(descriptor)
        guard let socketFile else { return }
        var status = stat()
        if unsafe lstat(socketFile.path, &status) == 0, status.st_ino == socketFile.inode {
            unsafe unlink(socketFile.path)
        }
    }

    /// Listens on an address.
    public static func open(_ address: ListenAddress, access: Access) throws(Failure) -> Listener {
        switch address {
        case .unix(let path): try openUnix(path, access)
        case .loopback(let host, let port): try openLoopback(host, port)
        case .descriptor(let number): try adopt(number)
        }
    }

    private static func adopt(_ number: CInt) throws(Failure) -> Listener {
        var isListening: CInt = 0
        var size = socklen_t(MemoryLayout<CInt>.size)
        let result = unsafe getsockopt(number, SOL_SOCKET, SO_ACCEPTCONN, &isListening, &size)
        guard result == 0, isListening == 1 else {
            throw Failure(
                description: "descriptor \(number) is not a listening socket: start Fermata from a web server or "
                    + "spawn-fcgi, or give --listen an address"
            )
        }
        return Listener(descriptor: number, socketFile: nil)
    }

    private static func openUnix(_ path: String, _ access: Access) throws(Failure) -> Listener {
        try removeStale(path)
        let descriptor = try make(AF_UNIX, "unix socket \(path)")
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in unsafe field.copyBytes(from: path.utf8) }
        // Linux makes the file with the permissions of the socket; the umask of a process is not one thread's to change.
        fchmod(descriptor, 0)
        let bound = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        let bindError = errno
        guard bound == 0 else {
            close(descriptor)
            throw Failure(description: "unix socket \(path): \(Errno(rawValue: bindError))")
        }
        var status = stat()
        guard unsafe lstat(path, &status) == 0, unsafe chmod(path, access.mode) == 0,
            unsafe chown(path, access.owner?.user ?? .max, access.owner?.group ?? .max) == 0,
            listen(descriptor, backlog) == 0
        else {
            let code = Errno(rawValue: errno)
            close(descriptor)
            throw Failure(description: "unix socket \(path): \(code)")
        }
        return Listener(descriptor: descriptor, socketFile: SocketFile(path: path, inode: status.st_ino))
    }

    /// Removes a socket file that nobody listens on any more.
    private static func removeStale(_ path: String) throws(Failure) {
        var status = stat()
        guard unsafe lstat(path, &status) == 0 else { return }
        guard status.st_mode & S_IFMT == S_IFSOCK else {
            throw Failure(description: "\(path) is there and is not a socket: choose another path")
        }
        let probe = try make(AF_UNIX, "unix socket \(path)")
        defer { close(probe) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { field in unsafe field.copyBytes(from: path.utf8) }
        let connected = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(probe, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard connected != 0, errno == ECONNREFUSED else {
            throw Failure(description: "\(path) is in use by another process: stop that one first")
        }
        unsafe unlink(path)
    }

    private static func openLoopback(_ host: String, _ port: UInt16) throws(Failure) -> Listener {
        var hints = unsafe addrinfo()
        unsafe hints.ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV
        unsafe hints.ai_socktype = CInt(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        guard unsafe getaddrinfo(host, String(port), &hints, &list) == 0, let info = unsafe list else {
            throw Failure(description: "\(host) is not an address of this machine")
        }
        defer { unsafe freeaddrinfo(info) }
        let descriptor = try make(unsafe info.pointee.ai_family, "\(host):\(port)")
        var on: CInt = 1
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<CInt>.size))
        guard unsafe bind(descriptor, info.pointee.ai_addr, info.pointee.ai_addrlen) == 0,
            listen(descriptor, backlog) == 0
        else {
            let code = Errno(rawValue: errno)
            close(descriptor)
            throw Failure(description: "\(host):\(port): \(code)")
        }
        return Listener(descriptor: descriptor, socketFile: nil)
    }

    private static func make(_ family: CInt, _ what: String) throws(Failure) -> CInt {
        let descriptor = socket(family, CInt(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw Failure(description: "\(what): \(Errno(rawValue: errno))") }
        return descriptor
    }
}
