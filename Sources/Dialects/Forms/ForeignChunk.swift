import HTTPTypes
import MultipartForm
import Uploads

/// What says that the file of a request is a chunk, in the protocol of another upload library: all of its bytes together
/// are not the file.
///
/// Only what really says so counts. A form may have a field `chunks`, and a library sends its fields with a file of one
/// chunk, too.
struct ForeignChunk: CustomStringConvertible {
    /// What nginx-upload-module calls Content-Range.
    static let extendedContentRange = HTTPField.Name("X-Content-Range")
    /// The header fields that a dialect of forms looks at.
    static let headerFields: [HTTPField.Name] =
        [.contentType, .contentRange] + (extendedContentRange.map { [$0] } ?? [])

    /// Which library, or which field of the header.
    private let source: String

    /// What to tell the client.
    var description: String {
        "this is a chunk in the protocol of \(source), not a whole file; such chunks need a location with FERMATA_DIALECT chunks"
    }

    /// Looks for the marks of other libraries; `nil` when there are none.
    ///
    /// - Parameters:
    ///   - contentRange: the Content-Range field of the request or of the part.
    ///   - size: the size of the file in bytes, when it is known.
    ///   - value: gives the value of a field.
    init?(contentRange: String?, size: Int64?, _ value: (String) -> String?) {
        if let contentRange, !Self.isWhole(contentRange, size) {
            source = "Content-Range (jQuery File Upload and others)"
            return
        }
        func number(_ name: String) -> Int64? { value(name).flatMap { IntegerField.parse($0) } }
        for library in Self.libraries {
            if library.names.contains(where: { name, least in number(name) ?? 0 >= least }) {
                source = library.name
                return
            }
        }
        if Self.indices.contains(where: { number($0) != nil }), Self.counts.contains(where: { number($0) ?? 0 > 1 }) {
            source = "plupload, WebUploader or one like them"
            return
        }
        for (name, part, total) in Self.sizes {
            if let part = number(part), let total = number(total), part < total {
                source = name
                return
            }
        }
        if value("name") != nil, let size, let offset = number("offset"), let total = number("total"),
            size < total, offset <= total - size
        {
            source = "plupload"
            return
        }
        return nil
    }

    /// A library whose own names nobody else uses: from which value on each says that there is more than this chunk.
    private struct Library {
        let name: String
        let names: [(String, least: Int64)]
    }

    private static let libraries = [
        Library(name: "resumable.js", names: [("resumableTotalChunks", 2), ("resumableChunkNumber", 2)]),
        Library(name: "flow.js", names: [("flowTotalChunks", 2), ("flowChunkNumber", 2)]),
        Library(name: "Dropzone", names: [("dztotalchunkcount", 2), ("dzchunkindex", 1), ("dzchunkbyteoffset", 1)]),
        Library(name: "Fine Uploader", names: [("qqtotalparts", 2), ("qqpartindex", 1), ("qqpartbyteoffset", 1)]),
        Library(name: "ng-file-upload", names: [("_chunkNumber", 1)]),
    ]

    /// How libraries name the size of a chunk, and that of the file.
    private static let sizes = [
        ("resumable.js", "resumableCurrentChunkSize", "resumableTotalSize"),
        ("flow.js", "flowCurrentChunkSize", "flowTotalSize"), ("Fine Uploader", "qqchunksize", "qqtotalfilesize"),
        ("ng-file-upload", "_currentChunkSize", "_totalSize"), ("simple-uploader", "currentChunkSize", "totalSize"),
    ]

    /// What libraries and sites call the number of a chunk.
    private static let indices = [
        "chunk", "chunkIndex", "chunk_index", "chunkNumber", "chunk_number", "chunkSizeStart", "chunkId", "chunk_id",
    ]
    /// What they call how many there are.
    private static let counts = [
        "chunks", "chunkCount", "chunk_count", "totalChunks", "total_chunks", "chunksCount", "chunkTotal",
        "chunk_total",
    ]

    /// Whether a Content-Range field names all bytes of a file (RFC 9110 14.4).
    private static func isWhole(_ text: String, _ size: Int64?) -> Bool {
        let fields = text.trimmingWhiteSpace().split(separator: " ", maxSplits: 1)
        guard fields.count == 2, fields[0].lowercased() == "bytes" else { return false }
        let parts = fields[1].split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let ends = parts[0].split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, ends.count == 2, IntegerField.parse(String(ends[0])) == 0,
            let last = IntegerField.parse(String(ends[1])), let total = IntegerField.parse(String(parts[1]))
        else { return false }
        return last == total - 1 && size ?? total == total
    }
}
