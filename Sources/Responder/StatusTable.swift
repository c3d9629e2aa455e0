import Engine
import Uploads

/// The uploads that there are, as a page that needs no script: a table, with a strip for each file that shows which of its
/// bytes are there. A script may ask for it anew and show what has changed (nginx/www/status.js).
struct StatusTable {
    /// How many uploads are shown; there may be many more.
    static let uploadsMax = 200
    /// How wide a strip is, in units of its own.
    private static let stripWidth = 1000.0

    let survey: Survey
    let uploads: [UploadOverview]
    /// How many answers there were of each status of 400 and above, by protocol.
    let errors: [(protocol: String, status: Int, count: UInt64)]
    /// In seconds since 1970.
    let now: Int64

    var html: String {
        let open = uploads.filter { !$0.isFinished }
        let finished = uploads.filter(\.isFinished).reversed()
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta name="color-scheme" content="light dark">
            <title>Fermata: status</title>
            <link rel="icon" href="/uploader/icon.svg" type="image/svg+xml">
            <link rel="stylesheet" href="/uploader/style.css">
            <script type="module" src="/uploader/status.js"></script>
            </head>
            <body>
            <header><h1>Fermata: status</h1></header>
            <main id="status">
            <p>\(survey.openUploads) uploads, \(Self.bytes(survey.declaredBytes)) in all;
            \(survey.dueEvents) events to be delivered.</p>
            \(section("In progress", open.map(row), Self.openHeads))
            \(section("Finished lately", finished.map(finishedRow), ["Name", "Protocol", "Who", "Size"]))
            \(section("Errors", errors.map(errorRow), ["Protocol", "Status", "Answers"]))
            \(section("Disks", survey.roots.map(diskRow), ["Root", "Available", "In all", "Takes files"]))
            </main>
            </body>
            </html>

            """
    }

    private static let openHeads = ["Name", "Protocol", "Who", "Which bytes are there", "Done", "Speed", "Idle"]

    /// A heading and a table, which scrolls by itself where it is wider than the window, also by keys.
    private func section(_ title: String, _ rows: [String], _ heads: [String]) -> String {
        if rows.isEmpty { return "<h2>\(title)</h2>\n<p>None.</p>" }
        let head = heads.map { "<th scope=\"col\">\($0)</th>" }.joined()
        return """
            <h2>\(title)</h2>
            <div class="wide" role="region" aria-label="\(title)" tabindex="0"><table><thead><tr>\(head)</tr></thead><tbody>
            \(rows.joined(separator: "\n"))
            </tbody></table></div>
            """
    }

    // MARK: Rows

    /// A row; an upload is known by its number when the page is made anew.
    private func row(_ cells: [Cell], id: Int64? = nil) -> String {
        "<tr\(id.map { " data-id=\"\($0)\"" } ?? "")>" + cells.map(\.html).joined() + "</tr>"
    }

    private enum Cell {
        /// A text of somebody else's, which may be long.
        case text(String)
        /// What is short, or markup of ours.
        case own(String)

        var html: String {
            switch self {
            case .text(let text): "<td class=\"text\">\(StatusTable.escaped(text))</td>"
            case .own(let html): "<td>\(html)</td>"
            }
        }
    }

    private func row(_ upload: UploadOverview) -> String {
        let done =
            upload.size > 0 ? "\(100 * upload.committedBytes / upload.size) %" : Self.bytes(upload.committedBytes)
        let seconds = max(1, (upload.lastWrite ?? now) - upload.createdAt)
        let idle = upload.lastWrite.map { "\(max(0, now - $0)) s" } ?? "-"
        return row(
            [
                .text(upload.name), .own(upload.dialect), .text(upload.principal), .own(strip(upload)), .own(done),
                .own(Self.bytes(upload.committedBytes / seconds) + "/s"), .own(idle),
            ],
            id: upload.id
        )
    }

    private func finishedRow(_ upload: UploadOverview) -> String {
        row(
            [.text(upload.name), .own(upload.dialect), .text(upload.principal), .own(Self.bytes(upload.size))],
            id: upload.id
        )
    }

    private func errorRow(_ error: (protocol: String, status: Int, count: UInt64)) -> String {
        row([.own(error.protocol), .own("\(error.status)"), .own("\(error.count)")])
    }

    private func diskRow(_ root: SurveyedRoot) -> String {
        row([
            .text(root.path), .own(root.space.map { Self.bytes($0.available) } ?? "-"),
            .own(root.space.map { Self.bytes($0.total) } ?? "-"), root.problem.map { .text($0) } ?? .own("yes"),
        ])
    }

    /// The ranges of a file that are there, from its start on the left to its end on the right.
    private func strip(_ upload: UploadOverview) -> String {
        let end = max(upload.size, upload.ranges.last?.end ?? 0, 1)
        let unit = Self.stripWidth / Double(end)
        let bars = upload.ranges.map { range in
            let (x, width) = (Double(range.offset) * unit, max(Double(range.count) * unit, 1))
            return "<rect x=\"\(Int(x))\" width=\"\(Int(width.rounded(.up)))\" height=\"10\"/>"
        }
        let ranges = upload.ranges.prefix(20).map { "\($0.offset)-\($0.end)" }.joined(separator: ",")
        let text = ranges.isEmpty ? "none" : ranges
        return """
            <svg class="strip" role="img" aria-label="\(text)" viewBox="0 0 \(Int(Self.stripWidth)) 10" \
            preserveAspectRatio="none">\(bars.joined())</svg>
            """
    }

    // MARK: Text

    fileprivate static func escaped(_ text: String) -> String {
        text.shown.replacing("&", with: "&amp;").replacing("<", with: "&lt;").replacing(">", with: "&gt;")
            .replacing("\"", with: "&quot;")
    }

    private static func bytes(_ count: Int64) -> String {
        var (value, unit) = (Double(count), 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return "\(unit == 0 ? value : (value * 10).rounded() / 10) \(units[unit])".replacing(".0 ", with: " ")
    }
}
