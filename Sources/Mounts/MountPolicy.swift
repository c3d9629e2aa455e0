public import Dialects
import Foundation

/// What `serve` was started with, as far as mounts depend on it.
public struct MountPolicy: Sendable {
    /// What mounts may speak.
    public let dialects: DialectRegistry
    /// Directories below which a `FERMATA_ROOT` may lie; absolute, without symbolic links.
    public let allowedRoots: [String]
    /// The settings that a mount may have.
    let table: SettingTable
    /// The root of mounts that name none.
    public let defaultRoot: String
    /// The state directory, which no root may be, or hold; absolute, without symbolic links.
    let stateDirectory: String?
    /// The programs that a mount may name.
    let allowedPrograms: Set<String>
    /// What published paths are prefixed with in answers.
    let publicURL: String

    /// - Parameters:
    ///   - dialects: what mounts may speak.
    ///   - allowedRoots: directories below which a `FERMATA_ROOT` may lie; the default root always may.
    ///   - defaultRoot: the root of mounts that name none.
    ///   - publicURL: what published paths are prefixed with in answers; empty leaves them relative.
    ///   - stateDirectory: where ledger and keys are; `nil` when they are nowhere.
    ///   - allowedPrograms: the programs that `FERMATA_HOOK` and `FERMATA_VETO` may name.
    public init(
        dialects: DialectRegistry,
        allowedRoots: [String],
        defaultRoot: String,
        publicURL: String = "",
        stateDirectory: String? = nil,
        allowedPrograms: [String] = []
    ) {
        self.dialects = dialects
        table = SettingTable(dialects)
        self.stateDirectory = stateDirectory.map(realPath)
        self.allowedPrograms = Set(allowedPrograms)
        self.allowedRoots = (allowedRoots + [defaultRoot]).map(realPath)
        self.defaultRoot = realPath(defaultRoot)
        self.publicURL = publicURL
    }
}

/// The path without symbolic links, `.` and `..`, as far as it exists.
func realPath(_ path: String) -> String {
    URL(fileURLWithPath: path).resolvingSymlinksInPath().path
}
