import Foundation

/// A Markdown page, taken apart into its headings, its code blocks and the lines between them.
struct Page {
    /// Below the root of the repository, such as `docs/dialects/dcloud.md`.
    let path: String
    private(set) var prose: [String] = []
    private(set) var headings: [String] = []
    private(set) var blocks: [Block] = []

    struct Block {
        /// What stands behind the opening fence: a language, and `no-test` where tests do not run it.
        let info: String
        var text = ""
    }

    init(path: String) throws {
        self.path = path
        var block: Block?
        for line in try Project.text(path).split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("```") {
                if let ended = block {
                    blocks.append(ended)
                    block = nil
                } else {
                    block = Block(info: String(line.dropFirst(3)))
                }
            } else if block != nil {
                block?.text += line + "\n"
            } else {
                prose.append(String(line))
                let marks = line.prefix { $0 == "#" }.count
                if marks > 0, line.dropFirst(marks).first == " " { headings.append(String(line.dropFirst(marks + 1))) }
            }
        }
    }

    /// The anchors of the headings, as GitHub makes them: letters, digits, hyphens, and a number for a repetition.
    var anchors: Set<String> {
        var seen: [String: Int] = [:]
        return Set(
            headings.map { heading in
                let kept = heading.lowercased().filter { $0.isLetter || $0.isNumber || " -_".contains($0) }
                let anchor = kept.replacing(" ", with: "-")
                let count = seen[anchor, default: 0]
                seen[anchor] = count + 1
                return count == 0 ? anchor : "\(anchor)-\(count)"
            }
        )
    }

    /// The targets of the links and pictures outside of code.
    var links: [String] {
        prose.flatMap { line in line.replacing(/`[^`]*`/, with: "").matches(of: /\]\(([^)\s]+)\)/).map { String($0.1) }
        }
    }

    /// The sections that can be cited: the numbers of headings, and the codes that begin the rows of tables.
    var sections: Set<String> {
        var found = Set(headings.compactMap { $0.prefixMatch(of: #/(\d+(?:\.\d+)*)\.? /#).map { String($0.1) } })
        for line in prose {
            if let row = line.prefixMatch(of: /\| (D\d-\d+) \|/) { found.insert(String(row.1)) }
        }
        return found
    }
}
