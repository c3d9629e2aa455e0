import Foundation

/// nginx's configuration for a measurement: what is shipped, and a location for each stack.
struct NginxConfiguration {
    private let directory: String
    private let port: UInt16
    private let stacks: [Stack]
    /// What is shipped for every location of Fermata's.
    private let shippedParameters: String

    init(directory: String, port: UInt16, stacks: [Stack]) throws {
        self.directory = directory
        self.port = port
        self.stacks = stacks
        let shipped = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent().appending(path: "nginx/fermata_params.conf")
        shippedParameters = try String(contentsOf: shipped, encoding: .utf8)
    }

    /// Writes it; where it is.
    func write() throws -> String {
        let file = directory + "/nginx/nginx.conf"
        let keeping = stacks.filter(\.settings.keepsConnections)
        let upstreams = Set(keeping.map(\.responder)).map { responder in
            "upstream \(Self.upstream(responder)) { server unix:\(responder.socket(in: directory) ?? ""); keepalive 16; }"
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(directory)/nginx/temp/\($0);" }
        let text = """
            \(geteuid() == 0 ? "user root;" : "")
            daemon off; worker_processes 2; pid \(directory)/nginx.pid;
            events { worker_connections 1024; }
            http {
                access_log off; keepalive_requests 100000000; server_tokens off;
                \(temporary.joined(separator: " "))
                \(upstreams.joined(separator: "\n"))
                server {
                    listen 127.0.0.1:\(port);
                    \(stacks.map(location).joined(separator: "\n"))
                }
            }
            """
        try text.write(toFile: file, atomically: true, encoding: .utf8)
        return file
    }

    private static func upstream(_ responder: Stack.Responder) -> String {
        switch responder {
        case .none: "none"
        case .fermata: "fermata"
        case .baseline: "baseline"
        case .probe(let program, let arguments): "\(program)-\(arguments[0])"
        }
    }

    private func location(_ stack: Stack) -> String {
        let settings = stack.settings
        guard let socket = stack.responder.socket(in: directory) else {
            return """
                location /\(stack.name)/ {
                    alias \(directory)/files/; dav_methods PUT; client_max_body_size 0;
                    client_body_buffer_size \(settings.bodyBuffer); client_body_temp_path \(directory)/files/.fermata;
                }
                """
        }
        let parameters =
            shippedParameters
            .replacingOccurrences(
                of: "client_body_buffer_size   128k",
                with: "client_body_buffer_size \(settings.bodyBuffer)"
            )
            .replacingOccurrences(
                of: "fastcgi_request_buffering off",
                with: "fastcgi_request_buffering \(settings.isBuffering ? "on" : "off")"
            )
        let mount = stack.client.parameters.map { "fastcgi_param \($0) \"\($1)\";" }.joined(separator: " ")
        let pass = settings.keepsConnections ? Self.upstream(stack.responder) : "unix:\(socket)"
        return """
            location /\(stack.name) {
                \(parameters)
                fastcgi_split_path_info ^(/\(stack.name))(.*)$;
                fastcgi_param SCRIPT_NAME /\(stack.name);
                fastcgi_param PATH_INFO $fastcgi_path_info;
                fastcgi_param FERMATA_ROOT \(directory)/files;
                \(mount)
                \(settings.keepsConnections ? "fastcgi_keep_conn on;" : "")
                fastcgi_pass \(pass);
            }
            """
    }
}
