public import Uploads

/// Looks at the parameters of a mount as `serve` would, before any request comes.
public enum MountCheck {
    /// What is wrong with a mount.
    public struct Problem: Sendable {
        /// What, with the name of the parameter.
        public let description: String
        /// What to do.
        public let fix: String
    }

    /// The mount of parameters that the web server passes on, by their names; fails with what is told of a wrong one.
    public static func mount(
        _ parameters: [String: String],
        _ policy: MountPolicy
    ) throws(MountError) -> Mount {
        let names = parameters.keys.filter { $0.hasPrefix("FERMATA_") }.sorted()
        return try MountParameters({ parameters[$0] }, names: names, policy).mount
    }

    /// What is wrong with the parameters that a web server is to pass on, by their names.
    ///
    /// Values with variables of the web server are not looked at: nobody knows them before a request.
    public static func problems(_ parameters: [String: String], _ policy: MountPolicy) -> [Problem] {
        let fixed = parameters.filter { !$0.value.contains("$") }
        do throws(MountError) {
            let names = parameters.keys.filter { $0.hasPrefix("FERMATA_") }.sorted()
            _ = try MountParameters({ fixed[$0] }, names: names, policy)
        } catch {
            return [Problem(description: error.description, fix: "correct the fastcgi_param of this location")]
        }
        return []
    }
}
