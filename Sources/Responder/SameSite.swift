import Dialects
import HTTPTypes
import Uploads

/// Tells requests that pages of other sites make a browser send, with the cookies and passwords of its user.
struct SameSite {
    /// The header fields that it looks at (Fetch Metadata; RFC 6454 7).
    static let fieldNames: [HTTPField.Name] = [.origin] + (secFetchSite.map { [$0] } ?? [])
    private static let secFetchSite = HTTPField.Name("Sec-Fetch-Site")

    /// Whether a request may have come from a page that is not welcome; programs send neither field.
    static func refuses(_ request: HTTPRequest, on mount: Mount) -> Bool {
        guard mount.requiresSameSite else { return false }
        let origin = request.headerFields[.origin]?.lowercased()
        if let origin, mount.origins.contains(Mount.anyOrigin) || mount.origins.holds(origin) { return false }
        return switch secFetchSite.flatMap({ request.headerFields[$0] })?.lowercased() {
        // What the browser knows itself does not depend on the host that a proxy has put in.
        case "same-origin", "none": false
        case "cross-site": true
        // A page of a neighbour (same-site), or a browser that does not say.
        default: origin.map { !isHost($0, of: request) } ?? false
        }
    }

    /// Whether an origin is the host that the request was sent to. Its scheme is left aside, as a proxy may have taken TLS
    /// off, and so is the port where the web server does not tell its own.
    private static func isHost(_ origin: String, of request: HTTPRequest) -> Bool {
        guard let colons = origin.firstRange(of: "://"), let host = request.authority?.lowercased() else {
            return false
        }
        let (originName, originPort) = divided(origin[colons.upperBound...])
        let (name, port) = divided(host[...])
        if originName != name { return false }
        guard let port else { return true }
        return port == originPort ?? (origin.hasPrefix("https:") ? "443" : "80")
    }

    /// A host and its port; an IPv6 address stands in brackets.
    private static func divided(_ authority: Substring) -> (name: Substring, port: Substring?) {
        guard let colon = authority.lastIndex(of: ":"), !authority[colon...].contains("]") else {
            return (authority, nil)
        }
        return (authority[..<colon], authority[colon...].dropFirst())
    }
}
