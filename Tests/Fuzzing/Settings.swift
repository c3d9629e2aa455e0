import Dialects
import Mounts
import Uploads

/// Whatever the settings of a mount are, there is a mount whose arithmetic holds, or an error that names one of them.
@Sendable
func checkSettings(_ input: [UInt8]) throws {
    var parameters = [
        "FERMATA_DIALECT": "dcloud", "SCRIPT_NAME": "/m", "SERVER_NAME": "localhost", "SERVER_PORT": "80",
    ]
    for line in input.split(separator: UInt8(ascii: "\n")) {
        let pair = line.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
        guard pair.count == 2 else { continue }
        parameters[String(decoding: pair[0], as: UTF8.self)] = String(decoding: pair[1], as: UTF8.self)
    }
    let policy = MountPolicy(
        dialects: .shipped,
        allowedRoots: ["/tmp"],
        defaultRoot: "/var/lib/fermata/files",
        stateDirectory: "/var/lib/fermata",
        allowedPrograms: ["/bin/true"]
    )
    let mount: Mount
    do { mount = try MountCheck.mount(parameters, policy) } catch {
        let names = parameters.keys.filter { $0.hasPrefix("FERMATA_") }
        try hold(
            names.contains(where: error.description.contains) || error.description.hasPrefix("the name of the mount"),
            "an error names its setting: \(error)"
        )
        return
    }
    let now: Int64 = 1 << 40
    try hold(mount.expiry(at: now) > now, "a session lives for a while")
    try hold(now + mount.tombstoneSeconds >= now, "a tombstone is not over before it begins")
    try hold(now + mount.urlSeconds > now, "a URL is valid for a while")
    try hold(mount.fileBytesMax > 0 && mount.partBytesMax > 0 && mount.chunkBytes > 0, "limits let something through")
    try hold(mount.partBytesMin >= 0 && mount.disjointRangesMax > 0, "limits are not negative")
    try hold(mount.fileBytesMax + mount.partBytesMax + mount.chunkBytes > 0, "sums of sizes do not overflow")
    try hold(mount.root == "/var/lib/fermata/files" || mount.root.hasPrefix("/tmp"), "a root is an allowed one")
    try hold([nil, "/bin/true"].contains(mount.handOff.hook), "a program is an allowed one")
    try hold([nil, "/bin/true"].contains(mount.handOff.veto), "a program is an allowed one")
    for text in [mount.name, mount.baseURL, mount.completionPath, mount.keyPrefix] {
        let isOneLine = !text.unicodeScalars.contains { $0.value < 0x20 || $0.value == 0x7F }
        try hold(isOneLine, "what goes into header fields and names is one line")
    }
}
