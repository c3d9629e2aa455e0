import Dialects
import HTTPTypes
import Uploads

/// The files that a request has published, as the site's own code is told of them in the same request (docs/hand-off.md).
///
/// The answer carries a header field on which the web server goes on, internally, with a path of the site: nginx on
/// X-Accel-Redirect, Apache on Location (RFC 3875 6.2.2). What the site answers there is what the client gets.
///
/// It is for the answers that tell a client that its own files are published: where a form, a last piece or a completion
/// made them so, and repeats of these. No call that only looks at finished files or confirms them is redirected.
struct Completion {
    /// The most bytes that the field has, encoded. nginx reads a responder's header into one buffer of `fastcgi_buffer_size`
    /// bytes, 4 KiB unless it is told otherwise, and Apache into lines of 8 KiB; a header that does not fit is a 502, for a
    /// file that is stored.
    static let fieldBytesMax = 3072
    /// How much of that is for the names of what is left out, in bytes.
    private static let leftOutBytesMax = 256

    private let files: [PublishedFile]
    private let fields: [FormField]

    /// - Parameters:
    ///   - files: at least one.
    ///   - fields: the data fields that came with them.
    init(_ files: [PublishedFile], fields: [FormField]) {
        self.files = files
        self.fields = fields
    }

    /// The answer with the header field, if it tells of success.
    func redirecting(_ answer: Answer, on mount: Mount) -> Answer {
        guard answer.status == .ok, let name = HTTPField.Name(mount.completionField) else { return answer }
        return answer.with(mount.completionPath + "?" + query(mount), for: name)
    }

    /// What is told, the most important first, as far as there is room: what has none is named in `left_out`.
    private func query(_ mount: Mount) -> String {
        var pairs = [
            ("files", String(files.count)), ("mount", Mount.shortName(of: mount.name)), ("principal", mount.principal),
        ]
        for (index, file) in files.enumerated() {
            let suffix = index == 0 ? "" : ".\(index)"
            pairs += [("name" + suffix, file.path), ("size" + suffix, String(file.spec.total))]
        }
        for (index, file) in files.enumerated() {
            let suffix = index == 0 ? "" : ".\(index)"
            pairs += [
                ("path" + suffix, mount.root + "/" + file.path), ("field" + suffix, file.spec.field),
                ("file_name" + suffix, file.spec.fileName), ("type" + suffix, file.spec.mediaType),
            ]
        }
        pairs += fields.map { ("field." + $0.name, $0.value) }
        var room = Self.fieldBytesMax - mount.completionPath.utf8.count - 1
        var text = ""
        var leftOut = ""
        var leftOutCount = 0
        for (name, value) in pairs {
            let name = name.percentEncodedComponent
            let pair = "&" + name + "=" + value.percentEncodedComponent
            if pair.utf8.count <= room - Self.leftOutBytesMax {
                text += pair
                room -= pair.utf8.count
                continue
            }
            leftOutCount += 1
            let listed = (leftOut.isEmpty ? "&left_out=" : ",") + name
            if leftOut.utf8.count + listed.utf8.count <= Self.leftOutBytesMax - Self.countBytesMax { leftOut += listed }
        }
        if leftOutCount > 0 { text += "&left_out_count=\(leftOutCount)" + leftOut }
        return String(text.dropFirst())
    }

    /// The room for `&left_out_count=` and a number.
    private static let countBytesMax = 40
}
