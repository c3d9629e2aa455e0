import CPosix
import Glibc
import SystemPackage

/// A process that this one has started. It must be waited for.
struct Child: ~Copyable {
    /// How long it may go on after SIGTERM, in milliseconds.
    private static let graceMilliseconds: CInt = 2000
    /// How much of its output is read at a time, in bytes.
    private static let blockBytes = 4 << 10

    private let process: pid_t
    /// pidfd_open(2): readable when the process has ended.
    private let handle: Descriptor
    private let output: Descriptor

    /// Starts a program, with `input` as its standard input.
    static func start(_ path: String, input: [UInt8]) throws(Errno) -> Child {
        let file = try Descriptor { cposix_memory_file() }
        var done = 0
        while done < input.count {
            let count = unsafe input[done...].withUnsafeBytes { unsafe write(file.number, $0.baseAddress, $0.count) }
            guard count > 0 else { throw Errno(rawValue: errno) }
            done += count
        }
        guard lseek(file.number, 0, SEEK_SET) == 0 else { throw Errno(rawValue: errno) }
        var ends: (reading: CInt, writing: CInt) = (-1, -1)
        guard unsafe cposix_pipe(&ends.reading, &ends.writing) == 0 else { throw Errno(rawValue: errno) }
        let output = Descriptor(number: ends.reading)
        let writing = Descriptor(number: ends.writing)
        let process = unsafe cposix_spawn(path, file.number, writing.number)
        guard process > 0 else { throw Errno(rawValue: errno) }
        let number = cposix_open_process(process)
        guard number >= 0 else {
            let error = Errno(rawValue: errno)
            kill(-process, SIGKILL)
            waitpid(process, nil, 0)
            throw error
        }
        return Child(process: process, handle: Descriptor(number: number), output: output)
    }

    /// Waits for it to end; `nil` when it has been ended because it took longer.
    consuming func ending(withinSeconds seconds: Int) -> Program.Ending? {
        let end = ContinuousClock.now + .seconds(seconds)
        var text: [UInt8] = []
        var isOutputOpen = true
        while true {
            let rest = end - ContinuousClock.now
            guard rest > .zero else {
                terminate()
                return nil
            }
            var waits = [
                pollfd(fd: handle.number, events: Int16(POLLIN), revents: 0),
                // A negative number is passed over.
                pollfd(fd: isOutputOpen ? output.number : -1, events: Int16(POLLIN), revents: 0),
            ]
            let milliseconds = CInt(clamping: Int(rest / .milliseconds(1)) + 1)
            guard unsafe poll(&waits, nfds_t(waits.count), milliseconds) > 0 else { continue }
            if waits[1].revents != 0 { isOutputOpen = read(into: &text) }
            if waits[0].revents != 0 {
                // What it wrote last is there; what it has left running may go on writing, unheard.
                while isOutputOpen, text.count < Program.outputBytesMax, read(into: &text) {}
                var status: CInt = 0
                unsafe waitpid(process, &status, 0)
                // wait(2): the low bits are 0 after an exit, whose status is in the bits above.
                return Program.Ending(
                    status: status & 0x7F == 0 ? Int(status >> 8 & 0xFF) : nil,
                    output: String(decoding: text, as: UTF8.self)
                )
            }
        }
    }

    /// Reads what is there; false when there is nothing now, or no more.
    private borrowing func read(into text: inout [UInt8]) -> Bool {
        var block = [UInt8](repeating: 0, count: Self.blockBytes)
        let count = unsafe block.withUnsafeMutableBytes { unsafe Glibc.read(output.number, $0.baseAddress, $0.count) }
        guard count > 0 else { return false }
        text += block[..<min(count, Program.outputBytesMax - text.count)]
        return true
    }

    private borrowing func terminate() {
        kill(-process, SIGTERM)
        var wait = pollfd(fd: handle.number, events: Int16(POLLIN), revents: 0)
        unsafe poll(&wait, 1, Self.graceMilliseconds)
        kill(-process, SIGKILL)
        waitpid(process, nil, 0)
    }
}

/// A descriptor that closes itself.
private struct Descriptor: ~Copyable {
    let number: CInt

    init(number: CInt) { self.number = number }

    init(_ open: () -> CInt) throws(Errno) {
        number = open()
        guard number >= 0 else { throw Errno(rawValue: errno) }
    }

    deinit { close(number) }
}
