import Foundation
import Testing

/// What those see who look after the service, through a real nginx.
@Suite(.serialized, .timeLimit(.minutes(5)))
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
        #expect(samples["fermata_root_usable{root=\(site.files.path)}"] == 1)
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

    @Test("each root and each --allow-root counts for health and has its disk in the metrics")
    func roots() throws {
        let site = try Site(
            mounts: ["/m": ["FERMATA_ROOT": "DIR/allowed/root"]],
            arguments: ["--allow-root", "DIR/allowed"],
            prepare: { directory in
                try FileManager.default.createDirectory(
                    at: directory.appending(path: "allowed/root"),
                    withIntermediateDirectories: true
                )
            }
        )
        let allowed = site.directory.path + "/allowed"
        func samples() throws -> [String: Double] {
            try parse(try HTTPConnection(site.port).request("GET", "/fermata/metrics").body)
        }
        #expect(try #require(samples()["fermata_disk_bytes{root=\(allowed)}"]) > 0)
        #expect(try samples()["fermata_disk_bytes{root=\(allowed)/root}"] == nil, "nobody has used it yet")
        _ = try DCloudClient(site: site, path: "/m").segment("0-4/10", "0123")
        #expect(try #require(samples()["fermata_disk_bytes{root=\(allowed)/root}"]) > 0)
        #expect(try HTTPConnection(site.port).request("GET", "/fermata/healthz").status == 200)
        try FileManager.default.moveItem(atPath: allowed + "/root", toPath: allowed + "/away")
        for words in ["the directory is not there", "the mark that Fermata gave it is not there"] {
            let ill = try HTTPConnection(site.port).request("GET", "/fermata/healthz")
            #expect(ill.status == 503 && ill.body.hasPrefix("not healthy: \(allowed)/root: \(words)"), "\(ill.body)")
            #expect(try samples()["fermata_root_usable{root=\(allowed)/root}"] == 0)
            #expect(try samples()["fermata_root_usable{root=\(allowed)}"] == 1)
            #expect(try HTTPConnection(site.port).request("GET", "/fermata/").body.contains(words))
            // As the mount point of a disk that is not mounted.
            try? FileManager.default.createDirectory(atPath: allowed + "/root", withIntermediateDirectories: false)
        }
        try FileManager.default.removeItem(atPath: allowed)
        let gone = try HTTPConnection(site.port).request("GET", "/fermata/healthz")
        #expect(gone.status == 503 && gone.body.contains("not healthy: \(allowed): the directory"), "\(gone.body)")
    }

    @Test("a full disk of a root is told", .enabled(if: geteuid() == 0, "a disk is mounted"))
    func fullRoot() throws {
        let folder = try TemporaryFolder()
        let disk = folder.url.appending(path: "disk")
        try FileManager.default.createDirectory(at: disk, withIntermediateDirectories: false)
        try #require(try run("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", disk.path]).status == 0)
        defer { #expect(throws: Never.self) { try run("umount", ["-l", disk.path]) } }
        let site = try Site(mounts: ["/m": ["FERMATA_ROOT": disk.path]], arguments: ["--allow-root", disk.path])
        #expect(try DCloudClient(site: site, path: "/m").upload(.file([1, 2, 3])).status == 200)
        #expect(try HTTPConnection(site.port).request("GET", "/fermata/healthz").status == 200)
        try run("sh", ["-c", "cat /dev/zero > \(disk.path)/filler"])
        let ill = try HTTPConnection(site.port).request("GET", "/fermata/healthz")
        #expect(ill.status == 503 && ill.body.hasPrefix("not healthy: \(disk.path): "), "\(ill.body)")
        try FileManager.default.removeItem(at: disk.appending(path: "filler"))
        #expect(try HTTPConnection(site.port).request("GET", "/fermata/healthz").status == 200)
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
        #expect(plain.body.contains(#"<td class="text">&lt;b&gt;&amp;.bin</td><td>dcloud</td>"#), "\(plain.body)")
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

    @Test("a refresh of the page keeps what is selected, the focus and the rows that are there")
    func refresh() throws {
        let site = try Site()
        let clients = ["b", "c"].map { DCloudClient(site: site, boundary: $0) }
        for client in clients { _ = try client.segment("0-4/10", "0123", fileName: "\(client.boundary).bin") }
        let browser = try Browser()
        try browser.open("http://127.0.0.1:\(site.port)/fermata/")
        _ = try browser.run(
            """
            const row = [...document.querySelectorAll("tr[data-id]")].find((row) => row.innerText.includes("c.bin"));
            getSelection().selectAllChildren(row.cells[0]);
            row.closest(".wide").focus();
            window.row = row;
            """
        )
        // The row before it goes, another comes, and its own strip changes.
        _ = try clients[0].segment("4-10/10", "456789", fileName: "b.bin")
        _ = try clients[1].segment("6-8/10", "67", fileName: "c.bin")
        _ = try DCloudClient(site: site, boundary: "d").segment("0-4/10", "0123", fileName: "d.bin")
        try browser.wait("document.body.innerText.includes('d.bin')")
        try browser.wait("window.row.querySelector('svg').getAttribute('aria-label') === '0-4,6-8'")
        #expect(try browser.run("return getSelection().toString()") as? String == "c.bin")
        #expect(try browser.run("return window.row.isConnected") as? Bool == true)
        #expect(try browser.run("return document.activeElement.className") as? String == "wide")
        let names = "return [...document.querySelectorAll('tr[data-id]')].map((row) => row.cells[0].innerText)"
        #expect(try browser.run(names) as? [String] == ["c.bin", "d.bin", "b.bin"])
    }

    @Test("no column of the page breaks within a word, however narrow the window is", arguments: [360, 1100])
    func narrow(width: Int) throws {
        let site = try Site()
        _ = try DCloudClient(site: site, boundary: "b").segment("0-0/100000", "", fileName: "holiday pictures.zip")
        _ = try DCloudClient(site: site, boundary: "c").segment("0-4/100000", "0123", fileName: "a long name.bin")
        let browser = try Browser()
        try browser.setWindow(width: width, height: 800)
        try browser.open("http://127.0.0.1:\(site.port)/fermata/")
        let problems = try browser.run(
            """
            const problems = [];
            for (const cell of document.querySelectorAll("th, td")) {
              const walker = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT);
              while (walker.nextNode()) {
                const text = walker.currentNode;
                // A path has no place to break but within: it must only have room.
                if (cell.innerText.startsWith("/")) continue;
                for (const word of text.data.matchAll(/\\S+/g)) {
                  const range = document.createRange();
                  range.setStart(text, word.index);
                  range.setEnd(text, word.index + word[0].length);
                  if (range.getClientRects().length !== 1) problems.push(word[0]);
                }
              }
              if (cell.matches(".text:not(:empty)") && cell.clientWidth < 100) problems.push("narrow: " + cell.innerText);
            }
            if (document.documentElement.scrollWidth > innerWidth) problems.push("the page scrolls sideways");
            for (const strip of document.querySelectorAll("svg.strip")) {
              if (!strip.getAttribute("aria-label")) problems.push("a strip without a name");
            }
            return problems;
            """
        )
        #expect(problems as? [String] == [])
    }
}
