import ArgumentParser

/// The command line.
@main
struct Fermata: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "fermata",
        abstract: "Resumable uploads for any nginx or Apache site, as a FastCGI responder.",
        discussion: """
            The web server keeps TLS, authentication and routing, and says with FERMATA_* parameters which upload
            protocol a location speaks and where its files go. See nginx/fermata.conf.
            """,
        version: "0.1.0",
        subcommands: [
            Serve.self, List.self, Show.self, Watch.self, Remove.self, Events.self, Usage.self,
            Sweep.self, Check.self, Diagnose.self, AdoptRoot.self, ListSettings.self,
        ],
        defaultSubcommand: Serve.self
    )
}
