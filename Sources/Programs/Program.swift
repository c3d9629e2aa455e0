import SystemPackage

/// Runs a program of the site's: a document on its standard input, a limit on its time, the start of what it says.
///
/// It has the user of this process, but none of its descriptors and none of its blocked signals, and of its environment the
/// time zone alone: beside TZ it gets a usual PATH, and LANG as C.UTF-8. What it starts in turn belongs to its process group, which ends with it when its time is up.
public enum Program {
    /// How much of what a program says is kept, in bytes; the rest is read and dropped.
    public static let outputBytesMax = 4 << 10

    /// How a program ended.
    public struct Ending: Hashable, Sendable {
        /// Its exit status, 0-255; `nil` when a signal ended it.
        public let status: Int?
        /// What it wrote to standard output and standard error, at most `outputBytesMax` bytes.
        public let output: String
    }

    /// Why there is no ending to tell.
    public enum Failure: Error, Hashable, Sendable, CustomStringConvertible {
        /// The program could not be started.
        case notStarted(path: String, reason: String)
        /// It was ended after so many seconds.
        case tookTooLong(path: String, seconds: Int)

        public var description: String {
            switch self {
            case .notStarted(let path, let reason): "\(path) could not be started: \(reason)"
            case .tookTooLong(let path, let seconds): "\(path) was ended after \(seconds) s"
            }
        }
    }

    /// Runs a program to its end.
    ///
    /// - Parameters:
    ///   - path: an absolute path; it gets no arguments.
    ///   - input: what it reads from standard input.
    ///   - seconds: how long it may take.
    public static func run(_ path: String, input: [UInt8], seconds: Int) throws(Failure) -> Ending {
        let child: Child
        do throws(Errno) { child = try Child.start(path, input: input) } catch {
            throw .notStarted(path: path, reason: error.description)
        }
        guard let ending = child.ending(withinSeconds: seconds) else {
            throw .tookTooLong(path: path, seconds: seconds)
        }
        return ending
    }
}
