import Dialects
import FastCGI
import HTTPTypes
import Mounts
import Threading
import Uploads

/// A location of the web server, as its parameters describe it: its mount, and what of a request is looked at there.
struct Location: Sendable {
    private(set) var parameters: MountParameters
    /// The header fields that somebody looks at.
    let fields: [Request.ClientField]

    init(_ parameters: MountParameters) {
        self.parameters = parameters
        var names = parameters.dialect.headerFields + [.contentEncoding]
        if !parameters.mount.origins.isEmpty { names += CrossOrigin.fieldNames }
        if parameters.mount.requiresSameSite { names += SameSite.fieldNames }
        fields = names.map { Request.ClientField($0) }
    }

    /// The same for a request, which says who is uploading: of that only its bytes tell.
    func of(_ request: borrowing Request) -> Location {
        var location = self
        location.parameters = parameters.of { request.bytes($0) }
        return location
    }
}

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
        let location: Location
        let end: ContinuousClock.Instant
    }

    private let policy: MountPolicy
    private let entries = Locked<[Key: Entry]>([:])

    init(_ policy: MountPolicy) { self.policy = policy }

    /// The location that a request came to.
    func location(
        of request: borrowing Request,
        at now: ContinuousClock.Instant
    ) throws(MountError) -> Location {
        let key = Key(request)
        let known = entries.withLock { $0[key] }
        if let known, now < known.end { return known.location.of(request) }
        let location: Location
        if let known, known.location.parameters.stillHolds(policy) {
            location = known.location
        } else {
            let names = request.parameterNames(beginningWith: "FERMATA_")
            location = Location(try MountParameters({ request.parameter($0) }, names: names, policy))
        }
        entries.withLock { entries in
            if entries.count >= Self.mountsMax { entries.removeAll() }
            entries[key] = Entry(location: location, end: now + Self.lifetime)
        }
        return location.of(request)
    }
}
