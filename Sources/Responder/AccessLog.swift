import Dialects
import HTTPTypes
public import Logging
import Mounts
import Uploads

/// Writes a line for each request, beside what the logger writes and in the same form.
///
/// It is written for every segment, so it takes no detour over the dictionary of a logger.
public struct AccessLog: Sendable {
    private let level: Logger.Level

    /// A log of requests at this level and above: those that the storage failed are errors, the others information.
    public init(level: Logger.Level) {
        self.level = level
    }

    /// Writes the line of one request.
    ///
    /// - Parameters:
    ///   - bytes: the size of the body.
    ///   - microseconds: for how long it was handled.
    ///   - isHeard: whether the answer was sent.
    func record(
        _ head: RequestHead,
        on parameters: MountParameters,
        _ answer: Answer,
        bytes: Int64,
        microseconds: Int,
        isHeard: Bool
    ) {
        let level = answer.failure == nil ? Logger.Level.info : .error
        guard level >= self.level else { return }
        var line = LogLine(level, "request")
        line.append("bytes", Int(bytes))
        line.append("code", answer.code)
        line.append("dialect", parameters.dialect.name)
        if let failure = answer.failure { line.append("failure", "\(failure)") }
        line.append("heard", isHeard ? "true" : "false")
        line.append("method", head.request.method.rawValue)
        line.append("mount", parameters.mount.name)
        line.append("status", answer.status.code)
        line.append("us", microseconds)
        line.write()
    }
}
