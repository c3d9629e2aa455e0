public import Dialects
import Digests
import Foundation
public import Uploads

/// A mount that can not be served: a line for the log that names the parameter, and a 500 for the client.
public struct MountError: Error, CustomStringConvertible {
    /// What is wrong, with the name of the parameter.
    public let description: String
    /// In whose words the client is told; `nil` where that is what is wrong.
    public let dialect: (any Dialect)?

    public init(description: String, dialect: (any Dialect)? = nil) {
        self.description = description
        self.dialect = dialect
    }
}

/// The mount of a request: its dialect, and what `FERMATA_*` parameters say of it (docs/settings.md).
public struct MountParameters: Sendable {
    /// The parameter of requests for the status pages, which have no mount.
    public static let statusName = "FERMATA_STATUS"
    /// The longest name of a mount in bytes.
    private static let nameBytesMax = 1024

    public let dialect: any Dialect
    public private(set) var mount: Mount
    /// The root as the location spells it; `nil` where it names none.
    private let root: String?

    /// - Parameters:
    ///   - parameter: gives the value of a parameter of the web server's own.
    ///   - names: the names of those that begin with `FERMATA_`: one that nobody asks for is a slip.
    public init(
        _ parameter: (String) -> String?,
        names: [String],
        _ policy: MountPolicy
    ) throws(MountError) {
        let dialect = try Self.dialect(parameter, policy.dialects)
        do throws(MountError) {
            let known = policy.table.names.union([Self.statusName])
            if let name = names.first(where: { !known.contains($0) }) {
                throw MountError(description: Self.unknown(name, known))
            }
            try self.init(dialect, parameter, policy)
        } catch {
            throw MountError(description: error.description, dialect: dialect)
        }
    }

    private static func dialect(
        _ parameter: (String) -> String?,
        _ registry: DialectRegistry
    ) throws(MountError) -> any Dialect {
        let setting = CommonSettings.dialect.name
        guard let name = try Self.setting(setting, parameter) else {
            throw MountError(description: "\(setting) is not set: add a fastcgi_param for it to the location")
        }
        guard let dialect = registry[name] else {
            let names = registry.names.joined(separator: ", ")
            throw MountError(description: "\(setting) '\(name)' is unknown: use one of \(names)")
        }
        return dialect
    }

    /// What is told of a parameter that there is not.
    static func unknown(_ name: String, _ known: Set<String>) -> String {
        let wanted = name.uppercased()
        let nearest = known.sorted().min { EditDistance.between($0, wanted) < EditDistance.between($1, wanted) }
        return "\(name) is no parameter" + (nearest.map { ": did you mean \($0)?" } ?? "")
    }

    private init(
        _ dialect: any Dialect,
        _ parameter: (String) -> String?,
        _ policy: MountPolicy
    ) throws(MountError) {
        self.dialect = dialect
        root = try Self.setting(CommonSettings.root.name, parameter)
        var mount = dialect.mount(
            name: try Self.name(parameter),
            principal: Self.principal { parameter($0).map { Array($0.utf8) } },
            root: try Self.root(root, policy)
        )
        mount.publicURL = policy.publicURL
        for setting in policy.table.settings where setting.isPlain {
            guard let text = try Self.setting(setting.name, parameter) else { continue }
            guard setting.set(text, in: &mount) else {
                throw MountError(description: "\(setting.name) '\(text)' is not \(setting.form)")
            }
        }
        mount.handOff.hook = try Self.program(CommonSettings.hook.name, parameter, policy)
        mount.handOff.veto = try Self.program(CommonSettings.veto.name, parameter, policy)
        self.mount = mount
    }

    /// Whether what the location names is on the disk what it was when this was read.
    public func stillHolds(_ policy: MountPolicy) -> Bool {
        do throws(MountError) {
            guard try Self.root(root, policy) == mount.root else { return false }
        } catch { return false }
        return [mount.handOff.hook, mount.handOff.veto].allSatisfy { program in
            program.map { FileManager.default.isExecutableFile(atPath: $0) } ?? true
        }
    }

    /// The same for another request, which differs in who is uploading alone.
    ///
    /// - Parameter bytes: gives the bytes of a parameter of the web server's own.
    public func of(_ bytes: (String) -> [UInt8]?) -> MountParameters {
        var parameters = self
        parameters.mount.principal = Self.principal(bytes)
        return parameters
    }

    /// Who is uploading. An expression of the administrator's own may be a token, so only its hash is kept
    /// (docs/dialects/README.md 0.9); when it is set but empty the principal is empty, as REMOTE_USER may be a name that
    /// nobody has checked.
    ///
    /// - Parameter bytes: gives the bytes of a parameter, as names in two character sets are two names.
    static func principal(_ bytes: (String) -> [UInt8]?) -> String {
        guard let expression = bytes(CommonSettings.principal.name) else {
            return bytes("REMOTE_USER").map(name(of:)) ?? ""
        }
        return expression.isEmpty ? "" : sha256(expression)
    }

    /// A name as text. In one that is no UTF-8 each byte beyond ASCII is a NUL and two digits: no parameter holds a NUL, so
    /// no other name is written so.
    private static func name(of bytes: [UInt8]) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        return bytes.map { byte in
            byte < 0x80 ? String(Unicode.Scalar(byte)) : "\0" + String(byte, radix: 16, uppercase: true)
        }.joined()
    }

    /// The value of a setting, within the bounds of all of them.
    private static func setting(
        _ name: String,
        _ parameter: (String) -> String?
    ) throws(MountError) -> String? {
        guard let text = value(name, parameter) else { return nil }
        let isPlain = !text.unicodeScalars.contains { $0.properties.generalCategory == .control }
        guard isPlain, text.utf8.count <= SettingBounds.valueBytesMax else {
            throw MountError(
                description: "\(name) has more than \(SettingBounds.valueBytesMax) bytes, or a control character"
            )
        }
        return text
    }

    /// A program that this process may run.
    private static func program(
        _ name: String,
        _ parameter: (String) -> String?,
        _ policy: MountPolicy
    ) throws(MountError) -> String? {
        guard let text = try setting(name, parameter) else { return nil }
        guard text.hasPrefix("/"), FileManager.default.isExecutableFile(atPath: text) else {
            throw MountError(description: "\(name) '\(text)' is not an absolute path of a program")
        }
        guard policy.allowedPrograms.contains(text) else {
            throw MountError(
                description: "\(name) '\(text)' is not allowed: start fermata with --allow-program \(text)"
            )
        }
        return text
    }

    /// A parameter; one that is empty counts as not set, as nginx passes empty variables.
    private static func value(_ name: String, _ parameter: (String) -> String?) -> String? {
        parameter(name).flatMap { $0.isEmpty ? nil : $0 }
    }

    /// The administrator's own name; else the server and the path, so that two servers of one path are two mounts.
    private static func name(_ parameter: (String) -> String?) throws(MountError) -> String {
        let name: String
        if let own = try setting(CommonSettings.name.name, parameter) {
            guard !own.hasPrefix(Mount.defaultNamePrefix) else {
                throw MountError(description: "FERMATA_MOUNT '\(own)' begins with two slashes, as default names do")
            }
            name = own
        } else {
            name = Mount.defaultName(
                server: parameter("SERVER_NAME") ?? "",
                port: parameter("SERVER_PORT") ?? "",
                path: parameter("SCRIPT_NAME") ?? ""
            )
        }
        guard name.utf8.count <= nameBytesMax,
            !name.unicodeScalars.contains(where: { $0.properties.generalCategory == .control })
        else {
            throw MountError(
                description:
                    "the name of the mount must have at most \(nameBytesMax) bytes and no control characters: set FERMATA_MOUNT"
            )
        }
        return name
    }

    private static func root(_ text: String?, _ policy: MountPolicy) throws(MountError) -> String {
        guard let text else { return try safe(policy.defaultRoot, policy) }
        guard text.hasPrefix("/") else {
            throw MountError(description: "FERMATA_ROOT '\(text)' is not an absolute path")
        }
        // A root that is not there is allowed by its name; opening it fails later, with the dialect's own answer.
        let path = realPath(text)
        guard policy.allowedRoots.contains(where: { isPath(path, below: $0) }) else {
            throw MountError(description: "FERMATA_ROOT '\(text)' is not allowed: start fermata with --allow-root")
        }
        return try safe(path, policy)
    }

    /// A root in which nobody can reach the ledger and the keys: neither the state directory nor one above it, nor one in it
    /// but below its own folder for files.
    private static func safe(_ root: String, _ policy: MountPolicy) throws(MountError) -> String {
        guard let state = policy.stateDirectory else { return root }
        guard !isPath(state, below: root), !isPath(root, below: state) || isPath(root, below: policy.defaultRoot)
        else {
            throw MountError(
                description:
                    "FERMATA_ROOT '\(root)' holds the ledger and the keys of --state \(state): use another directory"
            )
        }
        return root
    }

    private static func isPath(_ path: String, below folder: String) -> Bool {
        path == folder || path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
    }
}
