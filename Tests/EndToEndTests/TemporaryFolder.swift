import Foundation

/// A folder of a test's own. It goes with this object, and so does what is mounted in it.
final class TemporaryFolder {
    let url: URL

    /// The folder of the project, whose shipped files are tested.
    static var project: URL {
        URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
    }

    /// - Parameter name: one that is free by default.
    init(_ name: String? = nil) throws {
        url = URL(fileURLWithPath: "/tmp").appending(path: name ?? "fermata-test-\(UUID().uuidString.prefix(8))")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: false)
    }

    deinit {
        do {
            let mounts = try String(contentsOfFile: "/proc/mounts", encoding: .utf8)
            for line in mounts.split(separator: "\n") {
                let fields = line.split(separator: " ")
                if fields.count > 1, fields[1].hasPrefix(url.path + "/") {
                    try run("umount", ["-l", String(fields[1])])
                }
            }
            try FileManager.default.removeItem(at: url)
        } catch {
            print("left behind: \(url.path)")
        }
    }
}
