import Engine
import HTTPTypes
import Metrics

/// What a mount with `FERMATA_STATUS on` answers: what those ask who look after the service. It is to be reached by them
/// alone (nginx/locations/status.conf).
struct StatusPages: Sendable {
    let engine: Engine
    let meters: Meters
    let defaultRoot: String

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

    /// 200 when uploads can be taken, 503 with the reason otherwise.
    private func health() -> (HTTPResponse.Status, HTTPFields, String) {
        do { try engine.checkHealth(root: defaultRoot) } catch {
            return (.serviceUnavailable, Self.plain, "not healthy: \(error)\n")
        }
        return (.ok, Self.plain, "ok\n")
    }

    private func table() -> (HTTPResponse.Status, HTTPFields, String) {
        do {
            let table = StatusTable(
                survey: try engine.survey(and: defaultRoot),
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
            let survey = try engine.survey(and: defaultRoot)
            text.begin("fermata_uploads_open", .gauge, "Uploads that take bytes.")
            text.add("fermata_uploads_open", survey.openUploads)
            text.begin("fermata_uploads_open_bytes", .gauge, "Bytes that these are to have.")
            text.add("fermata_uploads_open_bytes", survey.declaredBytes)
            text.begin("fermata_events_due", .gauge, "Events that are to be delivered.")
            text.add("fermata_events_due", survey.dueEvents)
            text.begin("fermata_disk_available_bytes", .gauge, "Space that may still be written, by root.")
            for root in survey.roots {
                text.add("fermata_disk_available_bytes", [("root", root.path)], root.availableBytes)
            }
            text.begin("fermata_disk_bytes", .gauge, "Space in all, by root.")
            for root in survey.roots { text.add("fermata_disk_bytes", [("root", root.path)], root.totalBytes) }
        } catch {
            return (.serviceUnavailable, Self.plain, "the ledger can not be read: \(error)\n")
        }
        return (.ok, [.contentType: Exposition.mediaType, .cacheControl: "no-store"], text.text)
    }
}
