import Foundation

/// Lines over a common axis, as an SVG file.
struct Plot {
    struct Point {
        let x: Double
        let y: Double
    }

    struct Line {
        let name: String
        let points: [Point]
    }

    let title: String
    /// What the axes measure.
    let x: String
    let y: String
    let lines: [Line]

    private static let (width, height, margin) = (800.0, 400.0, 60.0)
    private static let colours = ["#1b6ca8", "#c8553d", "#588157", "#6a4c93", "#b08900", "#444444"]

    /// The file's text. The vertical axis begins at 0.
    func svg() -> String {
        let points = lines.flatMap(\.points)
        let right = points.map(\.x).max() ?? 1
        let top = Self.round(points.map(\.y).max() ?? 1)
        func place(_ point: Point) -> String {
            let x = Self.margin + point.x / right * (Self.width - 2 * Self.margin)
            let y = Self.height - Self.margin - point.y / top * (Self.height - 2 * Self.margin)
            return String(format: "%.1f,%.1f", x, y)
        }
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" \
            font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="#ffffff"/>
            <text x="\(Self.margin)" y="24" font-size="15">\(title)</text>
            <text x="\(Self.width / 2)" y="\(Self.height - 12)" text-anchor="middle">\(x)</text>
            <text transform="translate(16 \(Self.height / 2)) rotate(-90)" text-anchor="middle">\(y)</text>

            """
        for step in 0...4 {
            let value = top * Double(step) / 4
            let ends = [Point(x: 0, y: value), Point(x: right, y: value)].map(place)
            let height = ends[0].split(separator: ",")[1]
            text += "<polyline points=\"\(ends.joined(separator: " "))\" stroke=\"#dddddd\" fill=\"none\"/>\n"
            text += "<text x=\"\(Self.margin - 6)\" y=\"\(height)\" text-anchor=\"end\">\(Int(value))</text>\n"
        }
        for (index, line) in lines.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let course = line.points.map(place).joined(separator: " ")
            let top = 44 + 16 * index
            text += "<polyline points=\"\(course)\" stroke=\"\(colour)\" stroke-width=\"1.5\" fill=\"none\"/>\n"
            text += "<text x=\"\(Self.width - Self.margin)\" y=\"\(top)\" text-anchor=\"end\" fill=\"\(colour)\">"
            text += "\(line.name)</text>\n"
        }
        let end = Int(right).formatted(.number.locale(Locale(identifier: "en_US")))
        text += "<text x=\"\(Self.width - Self.margin)\" y=\"\(Self.height - Self.margin + 16)\" text-anchor=\"end\">"
        return text + "\(end)</text>\n</svg>\n"
    }

    /// The next number of one digit, or twice or five times one.
    private static func round(_ value: Double) -> Double {
        let unit = pow(10, floor(log10(value)))
        return ([1, 2, 4, 6, 8, 10].first { $0 * unit >= value } ?? 10) * unit
    }
}
