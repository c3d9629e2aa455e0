import HTTPTypes
import MultipartForm
import Uploads

/// What the body of a request told, in whichever media type it came: scalar fields, and at most one file.
///
/// 1. Fields may also stand in the URL, or be members of a JSON object; the body wins, and of two values the last
///    (docs/dialects/README.md 0.3, 0.4).
/// 2. The part with the dialect's name for it is the file, wherever it stands. One of another name counts only in a form
///    without it, so its bytes wait in a file of their own; others are drained.
/// 3. Two files of the dialect's name are one too many: nobody knows which is meant.
struct RequestForm {
    /// A media type that a request may have.
    enum Media {
        case multipart
        case urlEncoded
        case json

        var name: String {
            switch self {
            case .multipart: "multipart/form-data"
            case .urlEncoded: "application/x-www-form-urlencoded"
            case .json: "application/json"
            }
        }
    }

    /// Why a request can not be read.
    enum Failure: Error, Hashable {
        /// The body is of another media type than it may be, or than it says.
        case mediaType(String)
        /// The body is of the right type but broken.
        case malformed(String)
        /// The body is larger than may be.
        case tooLarge(String)
        /// The client is gone.
        case cutOff
    }

    /// A file part.
    struct File {
        /// The client's own name; empty when it sent none.
        let fileName: String
        /// The media type; empty when the part has none.
        let mediaType: String
        /// Whether the part has a `filename` parameter.
        let hasFileName: Bool
        /// What became of its bytes; `nil` when they are drained, or have not ended yet.
        var result: Result<Receipt, UploadError>?

        init(_ header: PartHeader) {
            fileName = header.fileName ?? ""
            mediaType = header.contentType ?? ""
            hasFileName = header.hasFileName
        }

        /// A file input without a choice (docs/dialects/README.md 0.4), unless bytes come.
        var isNoChoice: Bool { hasFileName && fileName.isEmpty }
    }

    /// Where the bytes of a file part go.
    struct Destinations {
        /// Those of the file.
        let file: Destination
        /// Those of a part that is the file only if no other is.
        let substitute: Destination
    }

    /// How to read the body.
    let body: BodyPlan
    private(set) var failure: Failure?
    /// The document, when the body is one.
    private(set) var document: JSON?
    /// What the dialect calls the part of the file.
    private let fileField: String
    /// The part of that name.
    private var named: File?
    /// The first of the other files.
    private var substitute: File?
    /// Whether the bytes that come in are those of the part of the dialect's name.
    private var isNamed = false
    private let queryFields: [ByBytes: String]
    private var bodyFields: [ByBytes: String] = [:]
    private var contentRange: String?

    /// - Parameters:
    ///   - media: what the body may be, most usual first; empty for requests without one.
    ///   - fileField: what the dialect calls the part of the file.
    init(_ head: RequestHead, accepting media: [Media], fileField: String) {
        self.fileField = fileField
        let query = (try? FormURLEncoded.parse(Array(head.query.utf8))) ?? []
        queryFields = Dictionary(query.map { (ByBytes($0.name), $0.value) }) { $1 }
        contentRange = head.contentRange
        let type = head.contentType.map { MediaType(parsing: $0) }
        var body = BodyPlan.drain
        if media.contains(.multipart), type == .multipartForm, let contentType = head.contentType {
            do throws(MultipartError) { body = .multipart(try Boundary(contentType: contentType)) } catch {
                failure = .malformed("\(error)")
            }
        } else if media.contains(.urlEncoded), type == .formURLEncoded {
            body = .urlEncoded
        } else if media.contains(.json), type == .json {
            body = .document(bytesMax: JSONReader.bytesMax)
        } else if let last = media.last {
            let names = media.dropLast().map(\.name).joined(separator: ", ")
            failure = .mediaType("the body must be \(names.isEmpty ? "" : names + " or ")\(last.name)")
        }
        self.body = body
    }

    /// The file; `nil` when there is none.
    var file: File? { named ?? substitute }

    /// What tells that the file is a chunk in another library's protocol.
    var foreignChunk: ForeignChunk? {
        ForeignChunk(contentRange: contentRange, size: nil) { self[$0] }
    }

    /// The value of a field; `nil` when there is none.
    subscript(name: String) -> String? { bodyFields[ByBytes(name)] ?? queryFields[ByBytes(name)] }

    /// The integer of a field (docs/dialects/README.md 0.5); `nil` when there is none, or it is no integer.
    func natural(_ name: String) -> Int64? { self[name].flatMap { IntegerField.parse($0) } }

    /// Decides on a part: a field, the file, which goes where `destinations` say, or nothing of use.
    mutating func partBegins(
        _ header: PartHeader,
        scalarFields: Set<String>,
        destinations: () -> Destinations?
    ) -> PartPlan {
        guard failure == nil, let name = header.name else { return .drain }
        guard header.isFile(scalarFields: scalarFields) else { return .field }
        contentRange = contentRange ?? header.contentRange
        let file = File(header)
        isNamed = name.isSame(as: fileField)
        if isNamed {
            guard named == nil else {
                failure = .malformed("the form has more than one file \(fileField)")
                return .drain
            }
        } else if self.file != nil {
            return .drain
        }
        let destinations = destinations()
        if destinations != nil || !file.isNoChoice { if isNamed { named = file } else { substitute = file } }
        return destinations.map { .file(isNamed ? $0.file : $0.substitute) } ?? .drain
    }

    mutating func fieldEnded(_ field: FormField) {
        bodyFields[ByBytes(field.name)] = field.value
    }

    mutating func fileEnded(_ result: Result<Receipt, UploadError>) {
        guard var file = isNamed ? named : substitute else { return }
        file.result = result
        let isNothing = if file.isNoChoice, case .success(.held(_, 0, _)) = result { true } else { false }
        if isNamed { named = isNothing ? nil : file } else { substitute = isNothing ? nil : file }
    }

    mutating func documentEnded(_ bytes: [UInt8]) {
        do throws(JSONReader.Failure) {
            let json = try JSONReader.read(bytes)
            guard case .object(let members) = json else {
                failure = .malformed("the body must be a JSON object")
                return
            }
            document = json
            for (name, value) in members { bodyFields[ByBytes(name)] = value.fieldValue }
        } catch {
            failure = .malformed("the body is not JSON: \(error)")
        }
    }

    /// Takes how the body ended; the first failure stays.
    mutating func bodyEnded(_ ending: BodyEnding) {
        switch ending {
        case .whole: break
        case .cutOff:
            failure = failure ?? .cutOff
            // The file may have been still to come.
            substitute = nil
        case .malformed(.otherMedia): failure = failure ?? .mediaType("\(MultipartError.otherMedia)")
        case .malformed(let error):
            failure = failure ?? (error.isLimit ? .tooLarge("\(error)") : .malformed("\(error)"))
        case .tooLarge(let bytesMax):
            failure = failure ?? .tooLarge("the body may have at most \(bytesMax) bytes")
        }
    }
}

extension MediaType {
    /// `application/json` (RFC 8259 11).
    static let json = MediaType(parsing: "application/json")
}
