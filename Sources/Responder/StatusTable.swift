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
            <h2>In progress</h2>
            \(table(open.map(row), ["Name", "Protocol", "Who", "Which bytes are there", "Done", "Speed", "Idle"]))
            <h2>Finished lately</h2>
            \(table(finished.map(finishedRow), ["Name", "Protocol", "Who", "Size"]))
            <h2>Errors</h2>
            \(table(errors.map(errorRow), ["Protocol", "Status", "Answers"]))
            <h2>Disks</h2>
            \(table(survey.roots.map(diskRow), ["Root", "Available", "In all"]))
            </main>
            </body>
            </html>

            """
    }

    // MARK: Rows

    private func table(_ rows: [String], _ heads: [String]) -> String {
        if rows.isEmpty { return "<p>None.</p>" }
        let head = heads.map { "<th scope=\"col\">\($0)</th>" }.joined()
        return "<table><thead><tr>\(head)</tr></thead><tbody>\n\(rows.joined(separator: "\n"))\n</tbody></table>"
    }

    private func row(_ upload: UploadOverview) -> String {
        let done =
            upload.size > 0 ? "\(100 * upload.committedBytes / upload.size) %" : Self.bytes(upload.committedBytes)
        let seconds = max(1, (upload.lastWrite ?? now) - upload.createdAt)
        let idle = upload.lastWrite.map { "\(max(0, now - $0)) s" } ?? "-"
        let cells = [
            Self.escaped(upload.name), upload.dialect, Self.escaped(upload.principal), strip(upload), done,
            Self.bytes(upload.committedBytes / seconds) + "/s", idle,
        ]
        return "<tr data-id=\"\(upload.id)\">" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
    }

    private func finishedRow(_ upload: UploadOverview) -> String {
        let cells = [
            Self.escaped(upload.name), upload.dialect, Self.escaped(upload.principal), Self.bytes(upload.size),
        ]
        return "<tr>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
    }

    private func errorRow(_ error: (protocol: String, status: Int, count: UInt64)) -> String {
        "<tr><td>\(error.protocol)</td><td>\(error.status)</td><td>\(error.count)</td></tr>"
    }

    private func diskRow(_ root: Survey.Root) -> String {
        let cells = [Self.escaped(root.path), Self.bytes(root.availableBytes), Self.bytes(root.totalBytes)]
        return "<tr>" + cells.map { "<td>\($0)</td>" }.joined() + "</tr>"
    }

    /// The ranges of a file that are there, from its start on the left to its end on the right.
    private func strip(_ upload: UploadOverview) -> String {
        let end = max(upload.size, upload.ranges.last?.end ?? 0, 1)
        let unit = Self.stripWidth / Double(end)
        let bars = upload.ranges.map { range in
            let (x, width) = (Double(range.offset) * unit, max(Double(range.count) * unit, 1))
            return "<rect x=\"\(Int(x))\" width=\"\(Int(width.rounded(.up)))\" height=\"10\"/>"
        }
        let text = upload.ranges.prefix(20).map { "\($0.offset)-\($0.end)" }.joined(separator: ",")
        return """
            <svg class="strip" role="img" aria-label="\(text)" viewBox="0 0 \(Int(Self.stripWidth)) 10" \
            preserveAspectRatio="none">\(bars.joined())</svg>
            """
    }

    // MARK: Text

    private static func escaped(_ text: String) -> String {
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
