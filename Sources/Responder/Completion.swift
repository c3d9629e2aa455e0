import Dialects
import HTTPTypes
import Uploads

/// A file that a request has published, as the site's own code is told of it in the same request (docs/hand-off.md).
///
/// The answer carries a header field on which the web server goes on, internally, with a path of the site: nginx on
/// X-Accel-Redirect, Apache on Location (RFC 3875 6.2.2). What the site answers there is what the client gets.
struct Completion {
    /// How many bytes of data fields are passed on: nginx reads a responder's header into one buffer of 4 KiB or more.
    private static let fieldBytesMax = 2048

    private let file: PublishedFile
    private let fields: [FormField]

    init(_ file: PublishedFile, fields: [FormField]) {
        self.file = file
        self.fields = fields
    }

    /// The answer with the header field, if it tells of success.
    func redirecting(_ answer: Answer, on mount: Mount) -> Answer {
        guard answer.status == .ok, let name = HTTPField.Name(mount.completionField) else { return answer }
        return answer.with(mount.completionPath + "?" + query(mount), for: name)
    }

    private func query(_ mount: Mount) -> String {
        var pairs = [
            ("path", mount.root + "/" + file.path), ("name", file.path), ("field", file.spec.field),
            ("file_name", file.spec.fileName), ("type", file.spec.mediaType), ("size", String(file.spec.total)),
            ("mount", Mount.shortName(of: mount.name)), ("principal", mount.principal),
        ]
        var count = 0
        for field in fields {
            count += field.name.utf8.count + field.value.utf8.count
            // The rest is in the event and in the manifest.
            if count > Self.fieldBytesMax { break }
            pairs.append(("field." + field.name, field.value))
        }
        return pairs.map { $0.percentEncodedComponent + "=" + $1.percentEncodedComponent }.joined(separator: "&")
    }
}
