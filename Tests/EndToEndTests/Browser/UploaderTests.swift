import Foundation
import Testing

/// The uploader in a real browser, before a real nginx.
@Suite(.serialized, .timeLimit(.minutes(10)))
struct UploaderTests {
    typealias Dialect = ContractDialect

    /// The size of the files that are interrupted.
    private static let fileBytes = 200 << 20
    /// The largest part or segment that a client sends.
    private static let partBytes: [Dialect: Int] = [
        .dcloud: 16 << 20, .fileid: 20 << 20, .parts: 16 << 20, .offset: 8 << 20, .signed: 8 << 20,
    ]
    /// What requests have beside the bytes of the file.
    private static let besidesBytes = 200_000

    private func makeFile(_ site: Site, _ name: String, _ count: Int = fileBytes) throws -> URL {
        let file = site.directory.appending(path: name)
        try run("sh", ["-c", "head -c \(count) /dev/urandom > \(file.path)"])
        return file
    }

    private func open(_ site: Site, _ dialect: Dialect, parallel: Int = 3) throws -> Browser {
        let browser = try Browser()
        try browser.open("http://127.0.0.1:\(site.port)/uploader/?dialect=\(dialect.rawValue)")
        try setParallel(browser, parallel)
        return browser
    }

    private func setParallel(_ browser: Browser, _ count: Int) throws {
        _ = try browser.run("document.getElementById('parallel').value = '\(count)'")
    }

    private func item(_ name: String) -> String { "document.querySelector('#uploads li[data-name=\"\(name)\"]')" }

    private func waitUntil(_ state: String, _ name: String, _ browser: Browser, seconds: Int = 60) throws {
        try browser.wait("\(item(name))?.dataset.state === '\(state)'", seconds: seconds)
    }

    /// The files that have appeared, with their sizes.
    private func stored(_ site: Site) throws -> [URL] {
        try FileManager.default.subpathsOfDirectory(atPath: site.files.path)
            .filter { !$0.hasPrefix(".fermata") && !$0.hasSuffix(".json") }
            .map { site.files.appending(path: $0) }
            .filter { !((try? $0.resourceValues(forKeys: [.isDirectoryKey]).isDirectory) ?? false) }
    }

    private func bytesReceived(_ site: Site, _ dialect: Dialect) throws -> Int {
        let metrics = try HTTPConnection(site.port).request("GET", "/fermata/metrics").body
        let name = "fermata_request_bytes_total{dialect=\"\(dialect.rawValue)\"} "
        let line = try #require(metrics.split(separator: "\n").first { $0.hasPrefix(name) })
        return try #require(Int(line.dropFirst(name.count)))
    }

    private func expectNoErrors(_ browser: Browser, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let errors = try browser.consoleErrors()
        #expect(errors.isEmpty, "\(errors)", sourceLocation: sourceLocation)
    }

    /// A site on which clients may cancel, in the dialects that can.
    private func cancellingSite() throws -> Site { try site("FERMATA_CANCEL on", in: [.dcloud, .parts]) }

    /// A site whose shipped locations have a parameter more.
    private func site(_ parameter: String, in dialects: [Dialect]) throws -> Site {
        try Site(servers: { directory in
            for name in dialects.map(\.rawValue) {
                let file = directory.appending(path: "fermata/locations/\(name).conf")
                try String(contentsOf: file, encoding: .utf8)
                    .replacingOccurrences(
                        of: "FERMATA_DIALECT \(name);",
                        with: "FERMATA_DIALECT \(name); fastcgi_param \(parameter);"
                    )
                    .write(to: file, atomically: true, encoding: .utf8)
            }
            return ""
        })
    }

    @Test("reloaded in the middle, it goes on: at most a part is sent twice", arguments: Dialect.allCases)
    func reload(dialect: Dialect) throws {
        let site = try Site()
        let file = try makeFile(site, "big.bin")
        let browser = try open(site, dialect, parallel: 1)
        try browser.limitNetwork(30 << 20)
        try browser.type(file.path, into: "#files")
        try browser.wait("\(item("big.bin"))?.querySelector('progress').value > 0.4")
        try browser.reload()
        try browser.wait("!document.getElementById('interrupted').hidden")
        #expect(try browser.text("#interrupted-list").contains("big.bin"))
        try browser.limitNetwork(nil)
        try setParallel(browser, 1)
        try browser.type(file.path, into: "#files")
        try waitUntil("finished", "big.bin", browser)
        let files = try stored(site)
        #expect(files.count == 1)
        #expect(try md5(try #require(files.first)) == md5(file))
        let twice = try bytesReceived(site, dialect) - Self.fileBytes
        let allowed = try #require(Self.partBytes[dialect]) + Self.besidesBytes
        #expect(twice <= allowed, "\(twice) bytes twice")
        #expect(try browser.run("return document.getElementById('interrupted').hidden") as? Bool == true)
        try expectNoErrors(browser)
    }

    @Test("the network is cut, then the server is away for a while: it goes on by itself", arguments: Dialect.allCases)
    func serverAway(dialect: Dialect) throws {
        let site = try Site()
        let file = try makeFile(site, "big.bin")
        let browser = try open(site, dialect)
        try browser.limitNetwork(30 << 20)
        try browser.type(file.path, into: "#files")
        try browser.wait("\(item("big.bin"))?.querySelector('progress').value > 0.2")
        try browser.cutNetwork()
        try waitUntil("offline", "big.bin", browser)
        try browser.limitNetwork(30 << 20)
        try browser.wait("\(item("big.bin"))?.querySelector('progress').value > 0.5")
        site.killResponder()
        try waitUntil("offline", "big.bin", browser)
        try browser.limitNetwork(nil)
        try site.restartResponder()
        try waitUntil("finished", "big.bin", browser)
        #expect(try md5(try #require(try stored(site).first)) == md5(file))
    }

    @Test(
        "paused and resumed, three files at once, cancelled: the buttons do what they say",
        arguments: Dialect.allCases
    )
    func buttons(dialect: Dialect) throws {
        let site = try cancellingSite()
        let files = try (1...3).map { try makeFile(site, "f\($0).bin", 20 << 20) }
        let browser = try open(site, dialect)
        try browser.limitNetwork(15 << 20)
        try browser.type(files.map(\.path).joined(separator: "\n"), into: "#files")
        try browser.wait("\(item("f1.bin"))?.querySelector('progress').value > 0.1")
        #expect(try browser.run("return document.querySelectorAll('#uploads li').length") as? Int == 3)
        try browser.click("li[data-name='f1.bin'] .pause")
        try waitUntil("paused", "f1.bin", browser)
        try browser.click("li[data-name='f3.bin'] .cancel")
        try waitUntil("cancelled", "f3.bin", browser)
        try browser.limitNetwork(nil)
        try waitUntil("finished", "f2.bin", browser)
        try browser.click("li[data-name='f1.bin'] .resume")
        try waitUntil("finished", "f1.bin", browser)
        let sums = try Set(stored(site).map { try md5($0) })
        #expect(try sums == [md5(files[0]), md5(files[1])])
        // What the server was told of takes no space any more; the other protocols have no word for it.
        let staged = try FileManager.default.contentsOfDirectory(atPath: site.files.path + "/.fermata")
            .filter { $0 != ".mark" }
        #expect(staged.isEmpty || dialect == .fileid || dialect == .offset, "\(staged)")
        try expectNoErrors(browser)
    }

    @Test("a folder keeps its paths where the protocol has paths; the conversation is shown when asked for")
    func folder() throws {
        let site = try Site()
        let folder = site.directory.appending(path: "album/deep")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        for name in ["album/one.bin", "album/deep/two.bin"] { _ = try makeFile(site, name, 10_000) }
        let browser = try open(site, .parts)
        _ = try browser.run("document.getElementById('settings').open = true")
        try browser.click("#show")
        try browser.type(site.directory.appending(path: "album").path, into: "#folder")
        try waitUntil("finished", "album/one.bin", browser)
        try waitUntil("finished", "album/deep/two.bin", browser)
        for name in ["album/one.bin", "album/deep/two.bin"] {
            #expect(try md5(site.files.appending(path: name)) == md5(site.directory.appending(path: name)))
        }
        let conversation = try browser.text("#exchanges")
        for text in [
            "POST /v1/multipart/parallel/uploadInit", "\"resourceKey\":\"album/one.bin\"", "\"isExist\":false",
        ] {
            #expect(conversation.contains(text), "\(conversation)")
        }
        #expect(try browser.run("return document.querySelectorAll('#exchanges li').length") as? Int == 6)
        try expectNoErrors(browser)
    }

    /// Two files that differ in their folder and in their bytes alone.
    private func makeTwins(_ site: Site, _ count: Int) throws -> [URL] {
        let twins = try ["a", "b"].map { name in
            let folder = site.directory.appending(path: "twins/\(name)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            return try makeFile(site, "twins/\(name)/x.bin", count)
        }
        for twin in twins { try run("touch", ["-d", "2026-01-02 03:04:05", twin.path]) }
        return twins
    }

    @Test("files of one name, size and time in two folders stay two files", arguments: Dialect.allCases)
    func twinsInFolders(dialect: Dialect) throws {
        let site = try Site()
        let twins = try makeTwins(site, 20 << 20)
        let browser = try open(site, dialect)
        try browser.limitNetwork(30 << 20)
        try browser.type(site.directory.appending(path: "twins").path, into: "#folder")
        for name in ["twins/a/x.bin", "twins/b/x.bin"] { try waitUntil("finished", name, browser) }
        #expect(try Set(stored(site).map { try md5($0) }) == Set(twins.map { try md5($0) }))
        // Where folders are lost, the page says so.
        let hasPaths = dialect == .parts || dialect == .offset
        #expect(try browser.run("return document.getElementById('flat').hidden") as? Bool == hasPaths)
        try expectNoErrors(browser)
    }

    @Test("files of one name, size and time that are chosen one by one stay two files", arguments: Dialect.allCases)
    func twinsAlone(dialect: Dialect) throws {
        let site = try Site()
        let twins = try makeTwins(site, 20 << 20)
        let browser = try open(site, dialect)
        try browser.limitNetwork(30 << 20)
        for twin in twins { try browser.type(twin.path, into: "#files") }
        try browser.wait("document.querySelectorAll('#uploads li[data-state=finished]').length === 2")
        #expect(try Set(stored(site).map { try md5($0) }) == Set(twins.map { try md5($0) }))
        try expectNoErrors(browser)
    }

    @Test("an interrupted upload does not go on with the bytes of another file", arguments: Dialect.allCases)
    func twinAfterReload(dialect: Dialect) throws {
        let site = try Site()
        let twins = try makeTwins(site, 100 << 20)
        let browser = try open(site, dialect, parallel: 1)
        try browser.limitNetwork(30 << 20)
        try browser.type(twins[0].path, into: "#files")
        try browser.wait("\(item("x.bin"))?.querySelector('progress').value > 0.5")
        try browser.reload()
        try browser.limitNetwork(nil)
        try browser.type(twins[1].path, into: "#files")
        try waitUntil("finished", "x.bin", browser)
        #expect(try stored(site).map { try md5($0) } == [md5(twins[1])])
    }

    @Test("a server that is frozen is given up and tried again")
    func frozen() throws {
        let site = try Site()
        let file = try makeFile(site, "big.bin", 100 << 20)
        let browser = try open(site, .dcloud)
        try browser.limitNetwork(20 << 20)
        try browser.type(file.path, into: "#files")
        try browser.wait("\(item("big.bin"))?.querySelector('progress').value > 0.3")
        site.freezeServer(true)
        defer { site.freezeServer(false) }
        // What fits into the buffers of the connection counts as sent: then the answer is waited for.
        try waitUntil("offline", "big.bin", browser, seconds: 90)
        site.freezeServer(false)
        try browser.limitNetwork(nil)
        try waitUntil("finished", "big.bin", browser)
        #expect(try md5(site.files.appending(path: "big.bin")) == md5(file))
    }

    @Test("the focus stays with an upload whose button goes, and goes on when it is removed")
    func focus() throws {
        let site = try Site()
        let files = try ["a.bin", "b.bin"].map { try makeFile(site, $0, 30 << 20) }
        let browser = try open(site, .dcloud)
        let focused =
            "const e = document.activeElement; return (e.closest('li')?.dataset.name ?? '') + ' ' + (e.className || e.id)"
        try browser.limitNetwork(5 << 20)
        try browser.type(files.map(\.path).joined(separator: "\n"), into: "#files")
        try waitUntil("running", "a.bin", browser)
        try browser.click("li[data-name='a.bin'] .pause")
        #expect(try browser.run(focused) as? String == "a.bin resume")
        try browser.click("li[data-name='a.bin'] .resume")
        #expect(try browser.run(focused) as? String == "a.bin pause")
        try browser.limitNetwork(nil)
        for name in ["a.bin", "b.bin"] { try waitUntil("finished", name, browser) }
        try browser.click("li[data-name='a.bin'] .cancel")
        #expect(try browser.run(focused) as? String == "b.bin cancel")
        try browser.click("li[data-name='b.bin'] .cancel")
        #expect(try browser.run(focused) as? String == " files")
    }

    @Test("a thousand files take no longer each than two hundred do")
    func manyFiles() throws {
        let site = try Site()
        func seconds(_ count: Int) throws -> Double {
            let folder = site.directory.appending(path: "many\(count)")
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
            for number in 1...count {
                try Data("file \(number) of \(count)".utf8).write(to: folder.appending(path: "\(count)-\(number).txt"))
            }
            let browser = try open(site, .dcloud)
            let start = ContinuousClock.now
            try browser.type(folder.path, into: "#folder")
            try browser.wait(
                "document.querySelectorAll('#uploads li[data-state=finished]').length === \(count)",
                seconds: 120
            )
            return (ContinuousClock.now - start) / .seconds(1)
        }
        let (few, many) = (try seconds(200), try seconds(1000))
        #expect(many / 1000 < 1.7 * few / 200, "\(few) s, then \(many) s")
    }

    @Test("what the server refuses is told in words", arguments: Dialect.allCases)
    func refused(dialect: Dialect) throws {
        let types = try site("FERMATA_TYPES png", in: [dialect])
        let visitor = try open(types, dialect)
        try visitor.type(try makeFile(types, "a.exe", 1000).path, into: "#files")
        try waitUntil("failed", "a.exe", visitor)
        let refusal = try visitor.text("li[data-name='a.exe'] .state")
        #expect(refusal.hasPrefix("Failed: ") && refusal.contains("type"), "\(refusal)")
        _ = try visitor.run("document.getElementById('language').value = 'zh'")
        _ = try visitor.run("document.getElementById('language').dispatchEvent(new Event('change'))")
        #expect(try visitor.text("li[data-name='a.exe'] .state").hasSuffix("不允许此类型的文件"))
        let full = try site("FERMATA_QUOTA 1m", in: [dialect])
        let browser = try open(full, dialect)
        try browser.type(try makeFile(full, "b.png", 3 << 20).path, into: "#files")
        try waitUntil("failed", "b.png", browser)
        let text = try browser.text("li[data-name='b.png'] .state")
        #expect(
            text == "Failed: The server has no space for it: " + text.dropFirst(40) && text.contains("quota"),
            "\(text)"
        )
        _ = try browser.run("document.getElementById('language').value = 'zh'")
        _ = try browser.run("document.getElementById('language').dispatchEvent(new Event('change'))")
        let chinese = try browser.text("li[data-name='b.png'] .state")
        #expect(chinese == "失败：服务器空间不足：您的 1.0 MiB 配额已用完", "\(chinese)")
        #expect(try browser.run("return document.documentElement.lang") as? String == "zh")
    }

    @Test("4 GiB go through a page whose memory stays as it is")
    func memory() throws {
        let site = try Site()
        let file = site.directory.appending(path: "huge.bin")
        try run("truncate", ["-s", "4G", file.path])
        let browser = try open(site, .dcloud)
        try browser.type(try makeFile(site, "first.bin", 10 << 20).path, into: "#files")
        try waitUntil("finished", "first.bin", browser)
        let (scripts, processes) = (try browser.scriptBytes(), try browser.processBytes())
        try browser.type(file.path, into: "#files")
        var peak = 0
        for share in [0.3, 0.6, 0.9] {
            try browser.wait("\(item("huge.bin"))?.querySelector('progress').value > \(share)", seconds: 200)
            peak = max(peak, try browser.processBytes())
        }
        try waitUntil("finished", "huge.bin", browser, seconds: 200)
        #expect(try browser.scriptBytes() < scripts + 8 << 20)
        #expect(peak < processes + 256 << 20, "\(processes >> 20) MiB, then \(peak >> 20)")
        let size = try FileManager.default.attributesOfItem(atPath: site.files.path + "/huge.bin")[.size] as? Int
        #expect(size == 4 << 30)
    }

    /// Rules of WCAG 2.2 AA that a script can check, each by its criterion.
    @Test("accessible: names, labels, languages, headings, contrast, focus", arguments: ["light", "dark"])
    func accessibility(scheme: String) throws {
        let site = try Site()
        let browser = try open(site, .dcloud)
        try browser.emulate(colorScheme: scheme)
        try browser.type(try makeFile(site, "a.bin", 1000).path, into: "#files")
        try waitUntil("finished", "a.bin", browser)
        let problems = try browser.run(
            """
            const problems = [];
            const shown = (element) => element.getClientRects().length > 0;
            const name = (element) => element.getAttribute("aria-label") || element.textContent.trim()
                || [...(element.labels ?? [])].map((label) => label.textContent.trim()).join(" ");
            for (const element of document.querySelectorAll("button, select, input, progress, summary")) {
                if (shown(element) && !name(element)) problems.push("4.1.2 no name: " + element.outerHTML);
            }
            if (!document.documentElement.lang) problems.push("3.1.1 no language");
            if (!document.title) problems.push("2.4.2 no title");
            const levels = [...document.querySelectorAll("h1, h2, h3")].filter(shown).map((one) => Number(one.tagName[1]));
            levels.forEach((level, index) => {
                if (level > (levels[index - 1] ?? 0) + 1) problems.push("1.3.1 a heading is left out");
            });
            const ids = [...document.querySelectorAll("[id]")].map((one) => one.id);
            if (new Set(ids).size !== ids.length) problems.push("an id is there twice");
            if (!document.querySelector("[aria-live]")) problems.push("4.1.3 nothing is announced");
            for (const section of document.querySelectorAll("[aria-labelledby]")) {
                if (!document.getElementById(section.getAttribute("aria-labelledby"))) problems.push("a label is missing");
            }
            const light = (color) => {
                const parts = color.match(/[0-9.]+/g).slice(0, 3).map((part) => part / 255)
                    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
                return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
            };
            const ground = (element) => {
                for (let one = element; one; one = one.parentElement) {
                    const color = getComputedStyle(one).backgroundColor;
                    if (!color.includes("rgba") || !color.endsWith(", 0)")) return color;
                }
                return "rgb(255, 255, 255)";
            };
            for (const element of document.querySelectorAll("h1, h2, p, span, button, label, summary, li")) {
                if (!shown(element) || !element.textContent.trim()) continue;
                const [one, other] = [light(getComputedStyle(element).color), light(ground(element))];
                const contrast = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
                if (contrast < 4.5) problems.push(`1.4.3 contrast ${contrast.toFixed(2)}: ${element.outerHTML.slice(0, 80)}`);
            }
            for (const button of [...document.querySelectorAll("button, .button")].filter(shown)) {
                const size = button.getBoundingClientRect();
                if (size.height < 24 || size.width < 24) problems.push("2.5.8 too small: " + button.outerHTML);
            }
            return problems;
            """
        )
        #expect(problems as? [String] == [])
        // 2.1.1: all that can be done can be done with the keyboard alone.
        let focused = try browser.tabStops(12)
        #expect(focused.contains("language") && focused.contains("files") && focused.contains("folder"), "\(focused)")
        #expect(focused.contains("cancel"), "\(focused)")
    }
}
