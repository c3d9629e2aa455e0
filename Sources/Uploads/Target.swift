/// Where a file is to appear below the root.
public struct Target: Hashable, Sendable {
    /// The path, which has at least one component.
    public let path: RelativePath
    /// What becomes of a file that is there already.
    public let ifTaken: IfTaken

    /// What to do when a path is taken.
    public enum IfTaken: Hashable, Sendable {
        /// Leave that file, and add a number to this one's name.
        case addNumber
        /// Put this file in its place, in one step.
        case replace
    }

    /// A target of a path, which must not be the root.
    public init(_ path: RelativePath, ifTaken: IfTaken) {
        precondition(path.name != nil)
        self.path = path
        self.ifTaken = ifTaken
    }
}
