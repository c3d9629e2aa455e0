/// Something that is wrong, and what to do about it.
public struct Diagnosis: Hashable, Sendable {
    /// How bad it is.
    public enum Severity: String, Sendable {
        /// Uploads fail, or lose bytes.
        case error
        /// It works, but not as well as it could.
        case warning
    }

    /// How bad it is.
    public let severity: Severity
    /// Where, such as `location /FileUploader/`.
    public let place: String
    /// What.
    public let problem: String
    /// What to do.
    public let fix: String
}
