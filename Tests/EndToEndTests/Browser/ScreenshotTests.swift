import Foundation
import Testing

/// Makes the pictures of the documentation; Tests/screenshots runs it.
@Suite struct ScreenshotTests {
    private static let folder = ProcessInfo.processInfo.environment["FERMATA_SCREENSHOTS"]

    @Test("pictures of the real pages", .enabled(if: folder != nil, "Tests/screenshots makes pictures"))
    func pictures() throws {
        let folder = URL(fileURLWithPath: try #require(Self.folder))
        let site = try Site()
        let sizes = ["holiday.mov": 90 << 20, "scans.zip": 60 << 20, "letter.pdf": 400_000]
        let files = try sizes.map { name, count in
            let file = site.directory.appending(path: name)
            try run("sh", ["-c", "head -c \(count) /dev/urandom > \(file.path)"])
            return file.path
        }
        let browser = try Browser()
        try browser.open("http://127.0.0.1:\(site.port)/uploader/?dialect=parts")
        try browser.limitNetwork(12 << 20)
        try browser.type(files.sorted().joined(separator: "\n"), into: "#files")
        try browser.wait("document.querySelector('#uploads progress').value > 0.5")
        try browser.screenshot().write(to: folder.appending(path: "uploader.png"))
        let client = DCloudClient(site: site, boundary: "b")
        for (start, count) in [(0, 200_000), (400_000, 100_000), (750_000, 50_000)] {
            let range = "\(start)-\(start + count)/1000000"
            _ = try client.upload(.file([UInt8](repeating: 7, count: count), range: range, fileName: "lecture.mp4"))
        }
        let status = try Browser()
        try status.open("http://127.0.0.1:\(site.port)/fermata/")
        try status.screenshot().write(to: folder.appending(path: "status.png"))
    }
}
