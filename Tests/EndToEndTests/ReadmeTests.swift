import Foundation
import Testing

/// The shell blocks of the README and of docs, pasted into a shell as they stand; those marked `sh no-test` are left out.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ReadmeTests {
    @Test("each conversation ends with a file that is the same")
    func conversations() throws {
        let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let docs = project.appending(path: "docs").path
        let pages = try FileManager.default.subpathsOfDirectory(atPath: docs).filter { $0.hasSuffix(".md") }.sorted()
        let site = try Site()
        var conversations = 0
        for page in ["README.md"] + pages.map({ "docs/\($0)" }) {
            let text = try String(contentsOf: project.appending(path: page), encoding: .utf8)
            let blocks = text.components(separatedBy: "```sh\n").dropFirst()
                .compactMap { $0.components(separatedBy: "```").first }
            for (number, block) in blocks.enumerated() {
                let folder = site.directory.appending(path: "tour/\(page)/\(number)")
                try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
                try FileManager.default.createSymbolicLink(
                    at: folder.appending(path: "data"),
                    withDestinationURL: site.directory.appending(path: "state")
                )
                try FileManager.default.copyItem(
                    at: project.appending(path: "README.md"),
                    to: folder.appending(path: "README.md")
                )
                let script =
                    "cd \(folder.path)\n"
                    + block.replacingOccurrences(of: "127.0.0.1:8080", with: "127.0.0.1:\(site.port)")
                let output = try run("bash", ["-c", script]).output
                #expect(output.hasSuffix("the same\n"), "\(page): \(output)")
                conversations += 1
            }
        }
        #expect(conversations >= 5)
    }
}
