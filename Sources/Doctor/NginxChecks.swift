import Dialects
public import Mounts

/// What is wrong with the locations of an nginx that pass uploads on.
public struct NginxChecks {
    private let configuration: NginxConfiguration
    private let policy: MountPolicy

    /// - Parameter policy: what `serve` is started with.
    public init(_ configuration: NginxConfiguration, _ policy: MountPolicy) {
        self.configuration = configuration
        self.policy = policy
    }

    /// What is wrong, location by location.
    public func diagnoses() -> [Diagnosis] {
        let locations = configuration.locations
        let mounts = locations.filter { $0.fastcgiParameters["FERMATA_DIALECT"] != nil }
        guard !mounts.isEmpty else {
            return [
                Diagnosis(
                    severity: .error,
                    place: "nginx",
                    problem: "no location has a FERMATA_DIALECT",
                    fix:
                        "include fermata/fermata.conf in the http block, and a location of fermata/locations in a server"
                )
            ]
        }
        let titles = Set(locations.map(\.title))
        return mounts.flatMap { self.diagnoses(of: $0, titles) }
    }

    private func diagnoses(of location: NginxConfiguration.Location, _ titles: Set<String>) -> [Diagnosis] {
        let place = "location " + location.title
        let parameters = location.fastcgiParameters
        var diagnoses: [Diagnosis] = []
        func add(_ severity: Diagnosis.Severity, _ problem: String, _ fix: String) {
            diagnoses.append(Diagnosis(severity: severity, place: place, problem: problem, fix: fix))
        }
        let include = "include fermata/fermata_params.conf in it"
        if location.arguments(of: "client_max_body_size") ?? ["1m"] != ["0"] {
            let size = location.arguments(of: "client_max_body_size")?.first ?? "1m"
            add(.error, "nginx itself refuses bodies of more than \(size)", "client_max_body_size 0; or " + include)
        }
        if location.arguments(of: "fastcgi_request_buffering") != ["off"] {
            add(
                .warning,
                "nginx spools each body before it passes it on: a cut upload keeps nothing",
                "fastcgi_request_buffering off; or " + include
            )
        }
        if location.arguments(of: "fastcgi_next_upstream") != ["off"] {
            add(.warning, "nginx may send an upload a second time", "fastcgi_next_upstream off; or " + include)
        }
        for name in ["REQUEST_METHOD", "CONTENT_TYPE", "CONTENT_LENGTH", "QUERY_STRING"] where parameters[name] == nil {
            add(.error, "\(name) is not passed on", include)
        }
        if parameters["SCRIPT_NAME"] == nil || parameters["PATH_INFO"] == nil {
            add(
                .error,
                "SCRIPT_NAME and PATH_INFO do not both say where the mount ends",
                "fastcgi_param SCRIPT_NAME and PATH_INFO as the files in fermata/locations have them"
            )
        }
        let dialect = parameters["FERMATA_DIALECT"].flatMap { policy.dialects[$0] }
        if dialect?.makesURLs == true, parameters["FERMATA_BASE_URL"] == nil,
            let host = parameters["HTTP_HOST"], host != "$http_host"
        {
            add(
                .error,
                "HTTP_HOST is \(host), which has no port: the URLs of parts lead nowhere on another port than 80 and 443",
                "FERMATA_BASE_URL with the server's own URL and the path; or leave HTTP_HOST out"
            )
        }
        if let base = parameters["FERMATA_BASE_URL"], base.contains("$host") || base.contains("$http_host") {
            add(
                .warning,
                "FERMATA_BASE_URL \(base) has no port, or no server where a client names none (HTTP/1.0)",
                "leave it out: Fermata makes the URL of what the client has asked for"
            )
        }
        for problem in MountCheck.problems(parameters, policy) { add(.error, problem.description, problem.fix) }
        if location.title.hasSuffix("/"), !location.title.contains("="), !location.title.contains("~"),
            dialect?.receivesAtMountURL == true,
            !titles.contains("= " + location.title.dropLast())
        {
            add(
                .warning,
                "nginx answers \(location.title.dropLast()) with a redirect, on which a POST loses its body",
                "add location = \(location.title.dropLast()) as the files in fermata/locations have it"
            )
        }
        switch location.arguments(of: "fastcgi_pass")?.first {
        case nil: add(.error, "nothing is passed on", "fastcgi_pass fermata;")
        case let target?:
            for server in configuration.servers(ofUpstream: target) ?? [target] {
                if let diagnosis = SocketCheck.diagnosis(server, place) { diagnoses.append(diagnosis) }
            }
        }
        return diagnoses
    }
}
