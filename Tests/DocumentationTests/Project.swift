import Foundation

/// The files of this repository, by their paths below its root.
enum Project {
    static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    static func text(_ path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    static func exists(_ path: String) -> Bool {
        FileManager.default.fileExists(atPath: root.appending(path: path).path)
    }

    /// The files below a folder that have one of these extensions, sorted.
    static func files(in folder: String, _ extensions: Set<String>) throws -> [String] {
        try FileManager.default.subpathsOfDirectory(atPath: root.appending(path: folder).path)
            .map { "\(folder)/\($0)" }
            .filter { extensions.contains(($0 as NSString).pathExtension) }
            .sorted()
    }

    /// Every page: those at the root and all of `docs`.
    static func pages() throws -> [Page] {
        let root = try FileManager.default.contentsOfDirectory(atPath: root.path).filter { $0.hasSuffix(".md") }
        return try (root.sorted() + files(in: "docs", ["md"])).map { try Page(path: $0) }
    }
}
