import Foundation

/// What malloc(3) keeps for each thread.
enum ThreadCaches {
    private static let variable = "GLIBC_TUNABLES"

    /// Four blocks of each size up to 256 bytes, nearly all that a request asks for. As glibc does it by itself,
    /// thousands of threads that wait for slow clients would hold 12 KiB each, and more the longer they live.
    private static let setting = "glibc.malloc.tcache_count=4:glibc.malloc.tcache_max=256"

    /// Has glibc keep little of what a thread frees for that thread alone.
    ///
    /// It takes that setting only from the environment that a program is started with, so this one starts itself anew,
    /// in the same process and with its descriptors; call it before anything else. An environment that has settings
    /// of its own is left as it is.
    static func limit() {
        guard unsafe getenv(variable) == nil,
            let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        else { return }
        unsafe setenv(variable, setting, 1)
        // It returns only when it fails; then the process goes on with larger threads.
        unsafe execv(program, CommandLine.unsafeArgv)
    }
}
