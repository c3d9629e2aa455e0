import CFastCGI
import Glibc

/// A connection of a web server, with the memory that libfcgi keeps of its request.
///
/// One thread at a time has it: the one that accepted it, or, where it waited for a worker, the one that took it from
/// those that wait. libfcgi keeps pointers into the request, so that has an address of its own.
@safe
final class Connection: @unchecked Sendable {
    private let request: UnsafeMutablePointer<FCGX_Request>

    /// None yet.
    init() {
        unsafe request = .allocate(capacity: 1)
        // It fails only before FCGX_Init.
        unsafe FCGX_InitRequest(request, -1, CInt(FCGI_FAIL_ACCEPT_ON_INTR))
    }

    deinit {
        unsafe FCGX_Free(request, 1)
        unsafe request.deallocate()
    }

    /// Takes a connection that was accepted.
    func take(_ socket: CInt) {
        unsafe request.pointee.ipcFd = socket
        // libfcgi begins a request by ending the one before, and would close the connection.
        unsafe request.pointee.keepConnection = 1
    }

    /// Reads the parameters of the next request; false when the web server has hung up.
    func receive() -> Bool {
        // libfcgi must not accept another connection of its own accord when this one ends.
        unsafe request.pointee.listen_sock = -1
        return unsafe FCGX_Accept_r(request) == 0
    }

    /// The request that was received; it is ended with this value.
    func request(_ stopSign: StopSign) -> Request { unsafe Request(request, stopSign) }

    /// Whether the request that was received has a parameter of the web server's own that is `on`.
    func isOn(_ parameter: String) -> Bool {
        guard let value = unsafe FCGX_GetParam(parameter, request.pointee.envp) else { return false }
        return unsafe String(cString: value) == "on"
    }

    /// Whether the web server may send another request.
    var isKept: Bool { unsafe request.pointee.ipcFd >= 0 }

    /// Closes the connection, if it is open.
    func close() {
        guard isKept else { return }
        unsafe FCGX_Free(request, 1)
    }
}
