import Engine
import HTTPTypes
import Metrics
import Uploads

/// What a mount with `FERMATA_STATUS on` answers: what those ask who look after the service. It is to be reached by them
/// alone (nginx/locations/status.conf).
struct StatusPages: Sendable {
    let engine: Engine
    let meters: Meters
    let defaultRoot: String
    /// The directories that roots may lie in.
    let allowedRoots: [String]

    /// The answer to a request for a path below the mount.
    func answer(_ method: String, _ path: String) -> (status: HTTPResponse.Status, fields: HTTPFields, body: String) {
        guard method == "GET" || method == "HEAD" else {
            return (.methodNotAllowed, [.allow: "GET, HEAD"], "use GET\n")
        }
        switch path {
        case "/": return table()
        case "/metrics": return metrics()
        case "/healthz": return health()
        default: return (.notFound, Self.plain, "there are /, /metrics and /healthz\n")
        }
    }

    private static let plain: HTTPFields = [.contentType: "text/plain; charset=utf-8", .cacheControl: "no-store"]

    /// 200 when uploads can be taken wherever they may go, 503 with a line for each place that takes none otherwise.
    private func health() -> (HTTPResponse.Status, HTTPFields, String) {
        let roots: [SurveyedRoot]
        do { roots = try survey().roots } catch {
            return (.serviceUnavailable, Self.plain, "not healthy: \(error)\n")
        }
        let problems = roots.compactMap { root in root.problem.map { "not healthy: \(root.path): \($0)".shown + "\n" } }
        return problems.isEmpty
            ? (.ok, Self.plain, "ok\n") : (.serviceUnavailable, Self.plain, problems.joined())
    }

    private func survey() throws(UploadError) -> Survey { try engine.survey(defaultRoot, and: allowedRoots) }

    private func table() -> (HTTPResponse.Status, HTTPFields, String) {
        do {
            let table = StatusTable(
                survey: try survey(),
                uploads: try engine.overview(max: StatusTable.uploadsMax),
                errors: meters.errors(),
                now: engine.now()
            )
            let fields: HTTPFields = [
                .contentType: "text/html; charset=utf-8", .cacheControl: "no-store",
                .contentSecurityPolicy: "default-src 'self'",
            ]
            return (.ok, fields, table.html)
        } catch {
            return (.serviceUnavailable, Self.plain, "the ledger can not be read: \(error)\n")
        }
    }

    private func metrics() -> (HTTPResponse.Status, HTTPFields, String) {
        var text = Exposition()
        text.add(meters)
        do {
            let survey = try survey()
            text.begin("fermata_uploads_open", .gauge, "Uploads that take bytes.")
            text.add("fermata_uploads_open", survey.openUploads)
            text.begin("fermata_uploads_open_bytes", .gauge, "Bytes that these are to have.")
            text.add("fermata_uploads_open_bytes", survey.declaredBytes)
            text.begin("fermata_events_due", .gauge, "Events that are to be delivered.")
            text.add("fermata_events_due", survey.dueEvents)
            text.begin("fermata_root_usable", .gauge, "1 where a root takes files, 0 where something keeps them out.")
            for root in survey.roots {
                text.add("fermata_root_usable", [("root", root.path)], root.problem == nil ? 1 : 0)
            }
            let spaces = survey.roots.compactMap { root in root.space.map { (root.path, $0) } }
            text.begin("fermata_disk_available_bytes", .gauge, "Space that may still be written, by root.")
            for (path, space) in spaces { text.add("fermata_disk_available_bytes", [("root", path)], space.available) }
            text.begin("fermata_disk_bytes", .gauge, "Space in all, by root.")
            for (path, space) in spaces { text.add("fermata_disk_bytes", [("root", path)], space.total) }
        } catch {
            return (.serviceUnavailable, Self.plain, "the ledger can not be read: \(error)\n")
        }
        return (.ok, [.contentType: Exposition.mediaType, .cacheControl: "no-store"], text.text)
    }
}
