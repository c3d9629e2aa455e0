import Foundation

/// What malloc(3) keeps for each thread.
enum ThreadCaches {
    private static let variable = "GLIBC_TUNABLES"

    /// Has glibc keep nothing of what a thread frees for that thread alone: thousands of threads that wait for slow
    /// clients would hold 12 KiB each, and more the longer they live.
    ///
    /// It takes that setting only from the environment that a program is started with, so this one starts itself anew,
    /// in the same process and with its descriptors; call it before anything else. An environment that has settings
    /// of its own is left as it is.
    static func disable() {
        guard unsafe getenv(variable) == nil,
            let program = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        else { return }
        unsafe setenv(variable, "glibc.malloc.tcache_count=0", 1)
        // It returns only when it fails; then the process goes on with larger threads.
        unsafe execv(program, CommandLine.unsafeArgv)
    }
}
