import Foundation
import Testing

/// A headless Chromium, led by chromedriver (W3C WebDriver); both end with this object.
final class Browser {
    private static let elementKey = "element-6066-11e4-a52e-4f735466cecf"

    private let driver: Process
    private let port: UInt16
    private let profile: TemporaryFolder
    private var session = ""

    init() throws {
        port = try Site.freePort()
        profile = try TemporaryFolder()
        driver = Process()
        driver.executableURL = URL(fileURLWithPath: "/usr/bin/chromedriver")
        driver.arguments = ["--port=\(port)", "--log-level=SEVERE"]
        driver.standardOutput = FileHandle.nullDevice
        driver.standardError = FileHandle.nullDevice
        try ApacheSite.startUnblocked(driver)
        do { try begin() } catch {
            stop()
            throw error
        }
    }

    deinit { stop() }

    private func stop() {
        _ = try? command("DELETE", "", nil)
        driver.terminate()
        driver.waitUntilExit()
    }

    private func begin() throws {
        var arguments = [
            "--headless=new", "--user-data-dir=\(profile.url.path)", "--disable-gpu", "--disable-dev-shm-usage",
            "--window-size=900,1100",
        ]
        // Chromium's sandbox does not work for root.
        if geteuid() == 0 { arguments.append("--no-sandbox") }
        let capabilities: [String: Any] = [
            "capabilities": [
                "alwaysMatch": [
                    "browserName": "chrome", "unhandledPromptBehavior": "accept",
                    "goog:chromeOptions": ["args": arguments, "binary": "/usr/bin/chromium"],
                    "goog:loggingPrefs": ["browser": "ALL"],
                ]
            ]
        ]
        for attempt in 0..<100 {
            do {
                let value = try send("POST", "/session", capabilities) as? [String: Any]
                session = try #require(value?["sessionId"] as? String)
                return
            } catch let error as HTTPConnection.Failure {
                // The driver does not listen yet.
                if attempt == 99 { throw error }
                usleep(100_000)
            }
        }
    }

    // MARK: Commands

    private func send(_ method: String, _ path: String, _ value: [String: Any]?) throws -> Any? {
        let body = try value.map { Array(try JSONSerialization.data(withJSONObject: $0)) } ?? []
        let answer = try HTTPConnection(port).request(method, path, "application/json", body)
        let result = try answer.json["value"]
        try #require(answer.status == 200, "\(method) \(path): \(answer.body)")
        return result
    }

    @discardableResult
    private func command(_ method: String, _ path: String, _ value: [String: Any]? = [:]) throws -> Any? {
        try send(method, "/session/\(session)\(path)", value)
    }

    func open(_ url: String) throws { try command("POST", "/url", ["url": url]) }

    /// How large the window is, in CSS pixels.
    func setWindow(width: Int, height: Int) throws {
        try command(
            "POST",
            "/goog/cdp/execute",
            [
                "cmd": "Emulation.setDeviceMetricsOverride",
                "params": ["width": width, "height": height, "deviceScaleFactor": 1, "mobile": false],
            ]
        )
    }

    func reload() throws { try command("POST", "/refresh") }

    /// What a script returns.
    func run(_ script: String, _ arguments: [Any] = []) throws -> Any? {
        try command("POST", "/execute/sync", ["script": script, "args": arguments])
    }

    /// What an asynchronous script gives to its last argument.
    func runAsynchronously(_ script: String, _ arguments: [Any] = []) throws -> Any? {
        try command("POST", "/execute/async", ["script": script, "args": arguments])
    }

    private func element(_ selector: String) throws -> String {
        let value = try command("POST", "/element", ["using": "css selector", "value": selector]) as? [String: Any]
        return try #require(value?[Self.elementKey] as? String)
    }

    func click(_ selector: String) throws { try command("POST", "/element/\(try element(selector))/click") }

    /// Types into an element; a file input takes paths, one a line.
    func type(_ text: String, into selector: String) throws {
        try command("POST", "/element/\(try element(selector))/value", ["text": text])
    }

    func text(_ selector: String) throws -> String {
        try #require(try command("GET", "/element/\(try element(selector))/text", nil) as? String)
    }

    /// Waits for a script to return something that is true.
    func wait(_ script: String, seconds: Int = 60, sourceLocation: SourceLocation = #_sourceLocation) throws {
        for _ in 0..<(seconds * 20) {
            if try run("return Boolean(\(script))") as? Bool == true { return }
            usleep(50_000)
        }
        let page = try run("return document.body.innerText") as? String
        Issue.record("not in \(seconds) s: \(script)\n\(page ?? "")", sourceLocation: sourceLocation)
        throw HTTPConnection.Failure(what: "wait")
    }

    /// How fast the network is, in bytes a second; `nil` for as fast as it can be.
    func limitNetwork(_ bytesPerSecond: Int?) throws {
        if let bytesPerSecond {
            try setNetwork(isOffline: false, bytesPerSecond)
        } else {
            try command("DELETE", "/chromium/network_conditions", nil)
        }
    }

    /// Has the page reach nobody, and breaks what is under way.
    func cutNetwork() throws { try setNetwork(isOffline: true, 0) }

    private func setNetwork(isOffline: Bool, _ bytesPerSecond: Int) throws {
        let conditions: [String: Any] = [
            "offline": isOffline, "latency": 0, "download_throughput": bytesPerSecond,
            "upload_throughput": bytesPerSecond,
        ]
        try command("POST", "/chromium/network_conditions", ["network_conditions": conditions])
    }

    /// What is seen of the page, as PNG.
    func screenshot() throws -> Data {
        let text = try #require(try command("GET", "/screenshot", nil) as? String)
        return try #require(Data(base64Encoded: text))
    }

    /// Has the page think that its user wants light or dark colours.
    func emulate(colorScheme: String) throws {
        let feature = ["name": "prefers-color-scheme", "value": colorScheme]
        try command(
            "POST",
            "/goog/cdp/execute",
            ["cmd": "Emulation.setEmulatedMedia", "params": ["features": [feature]]]
        )
    }

    /// The ids, or classes, of what has the focus one after the other as the Tab key is pressed.
    func tabStops(_ count: Int) throws -> [String] {
        _ = try run("document.activeElement.blur()")
        return try (0..<count).map { _ in
            let key = ["type": "keyDown", "value": "\u{E004}"]
            let actions = [
                ["type": "key", "id": "keyboard", "actions": [key, ["type": "keyUp", "value": "\u{E004}"]]]
            ]
            try command("POST", "/actions", ["actions": actions])
            let active = try run("return document.activeElement.id || document.activeElement.className")
            return active as? String ?? ""
        }
    }

    /// How much memory the page's scripts have in use, after what they need no more is gone, in bytes.
    func scriptBytes() throws -> Int {
        try command("POST", "/goog/cdp/execute", ["cmd": "HeapProfiler.collectGarbage", "params": [:]])
        try command("POST", "/goog/cdp/execute", ["cmd": "Performance.enable", "params": [:]])
        let result = try command("POST", "/goog/cdp/execute", ["cmd": "Performance.getMetrics", "params": [:]])
        let metrics = try #require((result as? [String: Any])?["metrics"] as? [[String: Any]])
        let used = metrics.first { $0["name"] as? String == "JSHeapUsedSize" }?["value"] as? Double
        return Int(try #require(used))
    }

    /// The memory of all of the browser's processes together, in bytes; what they share counts once.
    func processBytes() throws -> Int {
        let pattern = "user-data-dir=\(profile.url.path)"
        let processes = try EndToEndTests.run("pgrep", ["-f", pattern]).output.split(separator: "\n")
        return processes.reduce(0) { sum, process in
            let rollup = (try? String(contentsOfFile: "/proc/\(process)/smaps_rollup", encoding: .utf8)) ?? ""
            let line = rollup.split(separator: "\n").first { $0.hasPrefix("Pss:") }
            return sum + (line?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0) * 1024
        }
    }

    /// What the page has said on its console that is an error.
    func consoleErrors() throws -> [String] {
        let entries = try command("POST", "/se/log", ["type": "browser"]) as? [[String: Any]] ?? []
        return entries.filter { $0["level"] as? String == "SEVERE" }.compactMap { $0["message"] as? String }
    }
}
