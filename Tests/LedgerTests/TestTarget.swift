import Uploads

extension Target {
    /// A target of a safe path.
    static func test(_ path: String, ifTaken: IfTaken = .addNumber) -> Target {
        guard let path = RelativePath(parsing: path), path.name != nil else {
            preconditionFailure("\(path) is not safe")
        }
        return Target(path, ifTaken: ifTaken)
    }
}
