import Foundation
import Testing

/// Whatever the pages and the code refer to is there.
struct DocumentationTests {
    @Test("every relative link leads to a file and, where it names one, to a heading")
    func links() throws {
        let pages = try Project.pages()
        let anchors = Dictionary(uniqueKeysWithValues: pages.map { ($0.path, $0.anchors) })
        var count = 0
        for page in pages {
            let folder = URL(fileURLWithPath: "/" + page.path).deletingLastPathComponent()
            for link in page.links where !link.contains("://") && !link.hasPrefix("mailto:") {
                count += 1
                let pieces = link.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
                let target =
                    pieces[0].isEmpty
                    ? page.path : String(folder.appending(path: pieces[0]).standardizedFileURL.path.dropFirst())
                #expect(Project.exists(target), "\(page.path): \(link) leads nowhere")
                if pieces.count == 2 {
                    #expect(anchors[target]?.contains(pieces[1]) == true, "\(page.path): \(link) names no heading")
                }
            }
        }
        #expect(count > 30)
    }

    @Test("every citation of a page in the code leads to a page and a section that exist")
    func citations() throws {
        let pages = Dictionary(uniqueKeysWithValues: try Project.pages().map { ($0.path, $0) })
        let folders = [
            ("Sources", ["swift", "c", "h"]), ("Tests", ["swift"]), ("nginx", ["js", "conf"]), ("apache", ["conf"]),
        ]
        var count = 0
        for (folder, extensions) in folders {
            for file in try Project.files(in: folder, Set(extensions))
            where !file.hasPrefix("Tests/DocumentationTests/") {
                // A citation may go on in the next line of a comment.
                let written = try Project.text(file)
                guard written.contains(".md") else { continue }
                let text = written.replacing(/\n\s*(\/\/\/?|#) ?/, with: " ")
                for citation in text.matches(
                    of: /(docs\/[\w\/-]+\.md)((?:(?: |, | and | or |-| to )(?:D\d-\d+|\d+(?:\.\d+)+|\d+(?![\w.]\w)))*)/
                ) {
                    count += 1
                    let path = String(citation.1)
                    guard let page = pages[path] else {
                        Issue.record("\(file) cites \(path), which does not exist")
                        continue
                    }
                    for section in citation.2.matches(of: /D\d-\d+|\d+(?:\.\d+)*/) {
                        #expect(page.sections.contains(String(section.0)), "\(file) cites \(path) \(section.0)")
                    }
                }
                // The form in which the contract was cited before it had pages.
                #expect(
                    text.firstMatch(of: /[^\/\w](?:dialects|design)\.md/) == nil,
                    "\(file) cites a page without its path"
                )
            }
        }
        #expect(count > 100)
    }

    @Test("every code block says what it is; JSON is JSON, and shell is run by a test or marked")
    func blocks() throws {
        let known: Set = [
            "sh", "sh no-test", "json", "js no-test", "apache no-test", "nginx no-test", "text", "mermaid",
        ]
        for page in try Project.pages() {
            for block in page.blocks {
                #expect(known.contains(block.info), "\(page.path): a block is marked \"\(block.info)\"")
                guard block.info == "json" else { continue }
                let whole = [block.text]
                let lines = block.text.split(separator: "\n").map(String.init)
                #expect([whole, lines].contains { $0.allSatisfy(isJSON) }, "\(page.path): \(block.text)")
            }
        }
    }

    private func isJSON(_ text: String) -> Bool {
        (try? JSONSerialization.jsonObject(with: Data(text.utf8))) != nil
    }

    @Test("the README has at most 8 KB")
    func size() throws {
        #expect(try Project.text("README.md").utf8.count <= 8192)
    }
}
