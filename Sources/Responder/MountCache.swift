import FastCGI
import Threading

/// Keeps what was read of the parameters of mounts, as the requests of one location all have the same.
///
/// What a location says is the key, so a change of it counts at once; what it names on the disk, such as a link on the way
/// to its root, is looked at anew after a second.
final class MountCache: Sendable {
    /// How many mounts are kept.
    private static let mountsMax = 256
    /// For how long the disk is not looked at.
    private static let lifetime = Duration.seconds(1)

    /// What a location says, but for who is uploading.
    private struct Key: Hashable {
        /// The size that it seldom exceeds, in bytes.
        private static let usualBytes = 512

        private var bytes: [UInt8] = []

        init(_ request: borrowing Request) {
            bytes.reserveCapacity(Self.usualBytes)
            request.appendParameters(beginningWith: "FERMATA_", except: "FERMATA_PRINCIPAL", to: &bytes)
            for name in ["SCRIPT_NAME", "SERVER_NAME", "SERVER_PORT"] {
                bytes += (request.parameter(name) ?? "").utf8
                bytes.append(0)
            }
        }

        func hash(into hasher: inout Hasher) {
            unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
        }
    }

    private struct Entry {
        let parameters: MountParameters
        let end: ContinuousClock.Instant
    }

    private let settings: ResponderSettings
    private let entries = Locked<[Key: Entry]>([:])

    init(_ settings: ResponderSettings) { self.settings = settings }

    /// The mount of a request.
    func parameters(
        of request: borrowing Request,
        at now: ContinuousClock.Instant
    ) throws(MountError) -> MountParameters {
        let key = Key(request)
        let known = entries.withLock { $0[key] }
        if let known, now < known.end { return known.parameters.of(request) }
        let parameters: MountParameters
        if let known, known.parameters.stillHolds(settings) {
            parameters = known.parameters.of(request)
        } else {
            // Of the request's own principal only its bytes tell who it is.
            parameters = try MountParameters(
                { request.parameter($0) },
                names: request.parameterNames(beginningWith: "FERMATA_"),
                settings
            ).of(request)
        }
        entries.withLock { entries in
            if entries.count >= Self.mountsMax { entries.removeAll() }
            entries[key] = Entry(parameters: parameters, end: now + Self.lifetime)
        }
        return parameters
    }
}
