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
        let fixed = parameters.filter { !$0.value.contains("$") }
        // What is never asked for is no parameter.
        var asked: Set<String> = []
        do throws(MountError) {
            _ = try MountParameters(
                { name in
                    asked.insert(name)
                    return fixed[name]
                },
                settings
            )
        } catch {
            return [Problem(description: error.description, fix: "correct the fastcgi_param of this location")]
        }
        let known = asked.filter { $0.hasPrefix("FERMATA_") }.sorted().joined(separator: ", ")
        return parameters.keys.sorted().filter { $0.hasPrefix("FERMATA_") && !asked.contains($0) }.map { name in
            Problem(description: "\(name) is no parameter", fix: "use one of \(known)")
        }
    }
}
