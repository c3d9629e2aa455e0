import Foundation
import Testing

/// What those see who look after the service, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(2)))
struct StatusTests {
    /// What prometheus_client makes of a text: each sample's name and labels, and its value.
    private func parse(_ text: String) throws -> [String: Double] {
        let file = FileManager.default.temporaryDirectory.appending(path: "fermata-metrics-\(UUID().uuidString)")
        try text.write(to: file, atomically: true, encoding: .utf8)
        defer { try? FileManager.default.removeItem(at: file) }
        let program = """
            import sys
            from prometheus_client.parser import text_fd_to_metric_families
            for family in text_fd_to_metric_families(open(sys.argv[1])):
                assert family.documentation and family.type != "unknown", family.name
                for sample in family.samples:
                    labels = ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))
                    print(sample.name + "{" + labels + "}", sample.value)
            """
        let result = try run("/usr/bin/python3", ["-c", program, file.path])
        try #require(result.status == 0, "\(text)")
        var samples: [String: Double] = [:]
        for line in result.output.split(separator: "\n") {
            let space = try #require(line.lastIndex(of: " "))
            samples[String(line[..<space])] = Double(line[line.index(after: space)...])
        }
        return samples
    }

    @Test("metrics in Prometheus' format count what happens, over a kill, too")
    func metrics() throws {
        let site = try Site()
        let client = DCloudClient(site: site, boundary: "b")
        _ = try client.segment("0-5/10", "01234")
        for _ in 0..<3 { _ = try client.upload(.file(Array("hello".utf8), fileName: "h.txt")) }
        site.killResponder()
        try site.restartResponder()
        let answer = try HTTPConnection(site.port).request("GET", "/fermata/metrics")
        #expect(answer.status == 200)
        #expect(answer.fields["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
        let samples = try parse(answer.body)
        #expect(samples["fermata_requests_total{dialect=dcloud,status=200}"] == 4)
        // Those that ask whether the site is ready are among them.
        #expect(try #require(samples["fermata_requests_total{dialect=dcloud,status=415}"]) >= 2)
        #expect(try #require(samples["fermata_request_duration_seconds_count{dialect=dcloud}"]) >= 6)
        #expect(try #require(samples["fermata_request_bytes_total{dialect=dcloud}"]) > 500)
        #expect(samples["fermata_uploads_open{}"] == 1)
        #expect(samples["fermata_uploads_open_bytes{}"] == 10)
        #expect(samples["fermata_events_due{}"] == 0)
        #expect(try #require(samples["fermata_sync_duration_seconds_count{}"]) >= 3)
        #expect(try #require(samples["fermata_ledger_write_duration_seconds_count{}"]) >= 2)
        #expect(try #require(samples["fermata_disk_available_bytes{root=\(site.files.path)}"]) > 0)
    }

    @Test("health is 200, or 503 when nothing can be stored; other paths and methods are refused")
    func health() throws {
        let site = try Site()
        let ok = try HTTPConnection(site.port).request("GET", "/fermata/healthz")
        #expect(ok.status == 200 && ok.body == "ok\n")
        #expect(try HTTPConnection(site.port).request("GET", "/fermata/nothing").status == 404)
        #expect(try HTTPConnection(site.port).post("/fermata/healthz", "text/plain", [1]).status == 405)
        try FileManager.default.removeItem(at: site.files)
        let ill = try HTTPConnection(site.port).request("GET", "/fermata/healthz")
        #expect(ill.status == 503 && ill.body.contains("not healthy"), "\(ill.body)")
    }

    @Test("the page shows which bytes are there, as the ledger has it, and follows without a reload")
    func page() throws {
        let site = try Site()
        let client = DCloudClient(site: site, boundary: "b")
        let bytes = [UInt8](repeating: 7, count: 25_000)
        for start in [0, 50_000] {
            let range = "\(start)-\(start + bytes.count)/100000"
            _ = try client.upload(.file(bytes, range: range, fileName: "<b>&.bin"))
        }
        // Without a script it is a table.
        let plain = try HTTPConnection(site.port).request("GET", "/fermata/")
        #expect(plain.status == 200)
        #expect(plain.body.contains("<td>&lt;b&gt;&amp;.bin</td><td>dcloud</td>"), "\(plain.body)")
        #expect(plain.body.contains("<td>50 %</td>"))
        let browser = try Browser()
        try browser.open("http://127.0.0.1:\(site.port)/fermata/")
        let strip = "document.querySelector('svg.strip')"
        #expect(try browser.run("return \(strip).getAttribute('aria-label')") as? String == "0-25000,50000-75000")
        let bars =
            "return [...\(strip).children].map((bar) => [bar.getAttribute('x'), bar.getAttribute('width')].join())"
        #expect(try browser.run(bars) as? [String] == ["0,250", "500,250"])
        _ = try client.upload(.file(bytes, range: "25000-50000/100000", fileName: "<b>&.bin"))
        try browser.wait("\(strip).getAttribute('aria-label') === '0-75000'")
        let binary = try #require(ProcessInfo.processInfo.environment["FERMATA_BINARY"])
        let shown = try run(binary, ["show", "1", "--state", site.directory.path + "/state"]).output
        #expect(shown.contains("range: 0-75000\n"))
        _ = try client.upload(.file(bytes, range: "75000-100000/100000", fileName: "<b>&.bin"))
        try browser.wait("document.body.innerText.includes('0 uploads')")
        let errors = try browser.consoleErrors()
        #expect(errors.isEmpty, "\(errors)")
    }
}
