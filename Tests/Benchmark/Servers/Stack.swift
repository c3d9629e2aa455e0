/// A way to upload: a client's protocol, nginx's settings, and who answers behind it.
struct Stack: Sendable {
    var name: String
    let client: Client
    var responder: Responder
    var settings = Settings()
    /// The stacks that its cost is given as a multiple of.
    var references: [String] = []

    /// Who answers behind nginx.
    enum Responder: Hashable, Sendable {
        /// Nobody: nginx stores files itself.
        case none
        case fermata
        /// Another build of Fermata.
        case baseline
        /// A C probe, with the arguments after its directory.
        case probe(program: String, arguments: [String])
    }

    /// Settings of nginx's location.
    struct Settings: Sendable {
        var bodyBuffer = "128k"
        var isBuffering = false
        /// Whether connections to the responder are kept.
        var keepsConnections = false
    }

    /// - Parameters:
    ///   - hasProbes: whether there are C probes.
    ///   - hasBaseline: whether there is another build of Fermata; each stack then has a twin with that one.
    static func all(hasProbes: Bool, hasBaseline: Bool) -> [Stack] {
        let stacks = all(hasProbes: hasProbes)
        if !hasBaseline { return stacks }
        return stacks.flatMap { stack -> [Stack] in
            guard stack.responder == .fermata else { return [stack] }
            var (stack, twin) = (stack, stack)
            twin.name += "-baseline"
            twin.responder = .baseline
            stack.references.insert(twin.name, at: 0)
            return [twin, stack]
        }
    }

    private static func all(hasProbes: Bool) -> [Stack] {
        let multipart = "c-multipart"
        let multipartMD5 = "c-multipart-md5"
        let raw = "c-raw"
        let rawMD5 = "c-raw-md5"
        var keeping = Settings()
        keeping.keepsConnections = true
        var stacks = [Stack(name: "nginx-dav-put", client: .dav, responder: .none)]
        if hasProbes {
            let direct = { (mode: String) in
                Responder.probe(program: "resp_direct", arguments: [mode, "read", "16", "262144"])
            }
            let libfcgi = { (mode: String) in
                Responder.probe(program: "resp_libfcgi", arguments: [mode, "16", "65536"])
            }
            stacks += [
                Stack(name: multipart, client: .probe, responder: direct("mpart")),
                Stack(name: multipartMD5, client: .probe, responder: direct("mpartmd5")),
                Stack(name: raw, client: .raw, responder: libfcgi("write")),
                Stack(name: rawMD5, client: .raw, responder: libfcgi("md5")),
            ]
        }
        stacks += [
            Stack(name: "dcloud", client: .dcloud, responder: .fermata, references: [multipart]),
            Stack(
                name: "dcloud-keep",
                client: .dcloud,
                responder: .fermata,
                settings: keeping,
                references: ["dcloud", multipart]
            ),
            Stack(name: "fileid", client: .fileid, responder: .fermata, references: [multipart, multipartMD5]),
            Stack(name: "parts", client: .parts, responder: .fermata, references: [multipart, multipartMD5]),
            Stack(name: "offset", client: .offset, responder: .fermata, references: [raw, multipart]),
            Stack(name: "signed", client: .signed, responder: .fermata, references: [raw, rawMD5]),
        ]
        stacks += [16, 64, 256, 1024].map { kibibytes in
            var settings = Settings()
            settings.bodyBuffer = "\(kibibytes)k"
            return Stack(
                name: "dcloud-\(kibibytes)k",
                client: .dcloud,
                responder: .fermata,
                settings: settings,
                references: ["dcloud"]
            )
        }
        var buffering = Settings()
        buffering.isBuffering = true
        stacks.append(
            Stack(
                name: "dcloud-buffered",
                client: .dcloud,
                responder: .fermata,
                settings: buffering,
                references: ["dcloud"]
            )
        )
        return stacks
    }
}
