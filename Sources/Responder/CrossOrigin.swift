import Dialects
import HTTPTypes
import Uploads

/// What a browser is told that shows a page of another origin (Fetch 3.2, "CORS protocol").
///
/// Without it the browser keeps answers from the page, and sends no PUT, PATCH or JSON at all.
struct CrossOrigin {
    /// The header fields that it looks at.
    static let fieldNames: [HTTPField.Name] = [
        .origin, .accessControlRequestMethod, .accessControlRequestHeaders,
    ]
    /// For how long a browser may remember what it was told before a request, in seconds: the longest that one accepts.
    private static let rememberSeconds = "7200"
    /// The longest list of header fields that is allowed, in bytes: it is sent back, in a header that must fit into the web
    /// server's buffer.
    private static let requestFieldsBytesMax = 1024

    private let request: HTTPRequest
    private let needs: CrossOriginNeeds
    private let origins: Set<String>

    init(_ request: HTTPRequest, _ needs: CrossOriginNeeds, on mount: Mount) {
        self.request = request
        self.needs = needs
        origins = mount.origins
    }

    /// The answer to a question that the browser asks by itself before the page's request; `nil` for any other request.
    var preflight: Answer? {
        guard !origins.isEmpty, request.method == .options, request.headerFields[.accessControlRequestMethod] != nil
        else { return nil }
        return Answer(.noContent, fields: [.cacheControl: "no-store"], code: "preflight")
    }

    /// An answer with what the browser needs to know.
    func extending(_ answer: Answer) -> Answer {
        if origins.isEmpty { return answer }
        // A cache must not give one origin's answer to another.
        var answer = answer.with("Origin", for: .vary)
        guard let origin = request.headerFields[.origin] else { return answer }
        if origins.contains(Mount.anyOrigin) {
            answer = answer.with(Mount.anyOrigin, for: .accessControlAllowOrigin)
        } else if origins.contains(origin.lowercased()) {
            // A browser's cookies and passwords go to sites that are named, never to all.
            answer = answer.with(origin, for: .accessControlAllowOrigin)
                .with("true", for: .accessControlAllowCredentials)
        } else {
            return answer
        }
        guard preflight != nil else {
            let fields = needs.exposedFields.map(\.rawName).joined(separator: ", ")
            return fields.isEmpty ? answer : answer.with(fields, for: .accessControlExposeHeaders)
        }
        if let fields = request.headerFields[.accessControlRequestHeaders],
            fields.utf8.count <= Self.requestFieldsBytesMax
        {
            answer = answer.with(fields, for: .accessControlAllowHeaders)
        }
        return answer.with(needs.methods.map(\.rawValue).joined(separator: ", "), for: .accessControlAllowMethods)
            .with(Self.rememberSeconds, for: .accessControlMaxAge)
    }
}
