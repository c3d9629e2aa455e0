import Foundation
import Programs
import Testing

@Suite struct ProgramTests {
    /// A shell script in a folder of its own.
    private final class Script {
        let folder: URL
        var path: String { folder.appending(path: "program").path }

        init(_ lines: String) throws {
            folder = URL(fileURLWithPath: "/tmp/fermata-program-" + UUID().uuidString)
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
            // Another process writes it: were it this one, a child that another test starts just then would have it open
            // for writing too, and until that has become its program ours cannot be executed.
            let process = Process()
            process.executableURL = URL(fileURLWithPath: "/bin/sh")
            process.arguments = ["-c", #"printf %s "$1" > "$0" && chmod 755 "$0""#, path, "#!/bin/sh\n" + lines]
            try process.run()
            process.waitUntilExit()
        }

        deinit { try? FileManager.default.removeItem(at: folder) }
    }

    /// Runs a shell script.
    private func run(_ lines: String, input: [UInt8] = []) throws -> Program.Ending {
        let script = try Script(lines)
        return try withExtendedLifetime(script) { try Program.run($0.path, input: input, seconds: 20) }
    }

    @Test("a program reads its input, and its status and output are told")
    func runs() throws {
        let input = [UInt8](repeating: 7, count: 1_000_000)
        let ending = try run("wc -c; echo no >&2; exit 3", input: input)
        #expect(ending.status == 3)
        #expect(ending.output == "1000000\nno\n")
    }

    @Test("a program has a path, a language and a time zone in its environment, and nothing of this process")
    func environment() throws {
        for name in ["GLIBC_TUNABLES", "FERMATA_SECRET", "LD_LIBRARY_PATH"] where getenv(name) == nil {
            setenv(name, "x", 1)
            defer { unsetenv(name) }
            let lines = try run("tr '\\0' '\\n' < /proc/$$/environ").output.split(separator: "\n")
            let names = Set(lines.map { $0.prefix { $0 != "=" } })
            #expect(names.subtracting(["TZ"]) == ["PATH", "LANG"], "\(names)")
        }
    }

    @Test("of much output the start is kept, and nothing waits for the rest")
    func muchOutput() throws {
        let ending = try run("head -c 10000000 /dev/zero | tr '\\0' x")
        #expect(ending.status == 0)
        #expect(ending.output == String(repeating: "x", count: Program.outputBytesMax))
    }

    @Test("a signal is no status")
    func signalled() throws {
        #expect(try run("kill -9 $$").status == nil)
    }

    @Test("what is not there, or not to be executed, is told")
    func notStarted() throws {
        #expect(throws: Program.Failure.self) { try Program.run("/nothing", input: [], seconds: 1) }
        #expect(throws: Program.Failure.self) { try Program.run("/etc/passwd", input: [], seconds: 1) }
    }

    @Test("a program that takes too long is ended, with what it has started, even if it will not hear of it")
    func tooLong() throws {
        let script = try Script("trap '' TERM; sleep 60 & echo $! > \"$(dirname $0)/pid\"; wait; sleep 60")
        let start = ContinuousClock.now
        #expect(throws: Program.Failure.tookTooLong(path: script.path, seconds: 1)) {
            try Program.run(script.path, input: [], seconds: 1)
        }
        #expect(ContinuousClock.now - start < .seconds(10))
        let pid = try String(contentsOf: script.folder.appending(path: "pid"), encoding: .utf8)
        let number = try #require(Int32(pid.trimmingCharacters(in: .newlines)))
        usleep(200_000)
        #expect(kill(number, 0) != 0 || Self.isZombie(number))
    }

    @Test("what a program leaves running is not waited for")
    func background() throws {
        let start = ContinuousClock.now
        let ending = try run("sleep 5 & echo done")
        #expect(ending.output == "done\n")
        #expect(ContinuousClock.now - start < .seconds(4))
    }

    @Test("it has no descriptors of this process, and no signals are blocked")
    func isClean() throws {
        let ending = try run("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status")
        // Its own three, and that of ls for the directory.
        #expect(ending.output == "4\nSigBlk:\t0000000000000000\n")
    }

    private static func isZombie(_ process: Int32) -> Bool {
        (try? String(contentsOfFile: "/proc/\(process)/stat", encoding: .utf8))?.contains(") Z ") ?? false
    }
}
