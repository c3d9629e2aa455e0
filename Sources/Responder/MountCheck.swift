/// Looks at the parameters of a mount as `serve` would, before any request comes.
public enum MountCheck {
    /// What is wrong with a mount.
    public struct Problem: Sendable {
        /// What, with the name of the parameter.
        public let description: String
        /// What to do.
        public let fix: String
    }

    /// What is wrong with the parameters that a web server is to pass on, by their names.
    ///
    /// Values with variables of the web server are not looked at: nobody knows them before a request.
    public static func problems(_ parameters: [String: String], _ settings: ResponderSettings) -> [Problem] {
        let own = parameters.filter { $0.key.hasPrefix("FERMATA_") }
        var problems = own.keys.sorted().filter { !MountParameters.names.contains($0) }.map { name in
            Problem(
                description: "\(name) is no parameter",
                fix: "use one of \(MountParameters.names.joined(separator: ", "))"
            )
        }
        let fixed = parameters.filter { !$0.value.contains("$") }
        do throws(MountError) { _ = try MountParameters({ fixed[$0] }, settings) } catch {
            problems.append(Problem(description: error.description, fix: "correct the fastcgi_param of this location"))
        }
        return problems
    }
}
