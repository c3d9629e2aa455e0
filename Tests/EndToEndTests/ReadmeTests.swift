import Foundation
import Testing

/// The conversations of the README, pasted into a shell as they stand.
@Suite(.serialized, .timeLimit(.minutes(5)))
struct ReadmeTests {
    @Test("each conversation ends with a file that is the same")
    func conversations() throws {
        let project = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let readme = try String(contentsOf: project.appending(path: "README.md"), encoding: .utf8)
        let blocks = readme.components(separatedBy: "```sh\n").dropFirst()
            .compactMap { $0.components(separatedBy: "```").first }
        let preparation = try #require(blocks.first { $0.contains("head -c 10000000") })
        let conversations = blocks.filter { $0.contains("URL=http://127.0.0.1:8080") }
        #expect(conversations.count == 5)
        let site = try Site()
        let folder = site.directory.appending(path: "tour")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            at: folder.appending(path: "data"),
            withDestinationURL: site.directory.appending(path: "state")
        )
        try FileManager.default.copyItem(
            at: project.appending(path: "README.md"),
            to: folder.appending(path: "README.md")
        )
        for conversation in conversations {
            let script =
                "cd \(folder.path)\n" + preparation
                + conversation.replacingOccurrences(of: "127.0.0.1:8080", with: "127.0.0.1:\(site.port)")
            let output = try run("bash", ["-c", script]).output
            #expect(output.hasSuffix("the same\n"), "\(output)")
        }
    }
}
