import HTTPTypes
import MultipartForm
import Uploads

/// What the body of a request told, in whichever media type it came: scalar fields, and at most one file.
///
/// Fields may also stand in the URL, or be members of a JSON object; the body wins, and of two values the last
/// (docs/dialects/README.md 0.3, 0.4). Further files are let pass.
struct RequestForm {
    /// A media type that a request may have.
    enum Media {
        case multipart
        case urlEncoded
        case json
    }

    /// Why a request can not be read.
    enum Failure: Error, Hashable {
        /// The body is of another media type.
        case mediaType
        /// The body is of the right type but broken.
        case malformed(String)
        /// A part of the body is larger than may be.
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
    }

    /// How to read the body.
    let body: BodyPlan
    private(set) var failure: Failure?
    private(set) var file: File?
    /// The document, when the body is one.
    private(set) var document: JSON?
    private let queryFields: [String: String]
    private var bodyFields: [String: String] = [:]

    /// - Parameter media: what the body may be; empty for requests without one.
    init(_ head: RequestHead, accepting media: Set<Media>) {
        let query = (try? FormURLEncoded.parse(Array(head.query.utf8))) ?? []
        queryFields = Dictionary(query.map { ($0.name, $0.value) }, uniquingKeysWith: { $1 })
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
        } else if !media.isEmpty {
            failure = .mediaType
        }
        self.body = body
    }

    /// The value of a field; `nil` when there is none.
    subscript(name: String) -> String? { bodyFields[name] ?? queryFields[name] }

    /// The integer of a field (docs/dialects/README.md 0.5); `nil` when there is none, or it is no integer.
    func natural(_ name: String) -> Int64? { self[name].flatMap { IntegerField.parse($0) } }

    /// Decides on a part: a field, the file, which goes where `destination` says, or nothing of use.
    mutating func partBegins(
        _ header: PartHeader,
        scalarFields: Set<String>,
        destination: () -> Destination?
    ) -> PartPlan {
        guard failure == nil, header.name != nil else { return .drain }
        guard header.isFile(scalarFields: scalarFields) else { return .field }
        guard file == nil else { return .drain }
        file = File(
            fileName: header.fileName ?? "",
            mediaType: header.contentType ?? "",
            hasFileName: header.hasFileName
        )
        return destination().map { .file($0) } ?? .drain
    }

    mutating func fieldEnded(_ field: FormField) {
        bodyFields[field.name] = field.value
    }

    mutating func fileEnded(_ result: Result<Receipt, UploadError>) {
        // A file input without a choice (docs/dialects/README.md 0.4).
        if let file, file.hasFileName, file.fileName.isEmpty, case .success(.held(_, 0, _)) = result {
            self.file = nil
        } else {
            file?.result = result
        }
    }

    mutating func documentEnded(_ bytes: [UInt8]) {
        do throws(JSONReader.Failure) {
            let json = try JSONReader.read(bytes)
            guard case .object(let members) = json else {
                failure = .malformed("the body must be a JSON object")
                return
            }
            document = json
            for (name, value) in members { bodyFields[name] = value.fieldValue }
        } catch {
            failure = .malformed("the body is not JSON: \(error)")
        }
    }

    /// Takes how the body ended; the first failure stays.
    mutating func bodyEnded(_ ending: BodyEnding) {
        switch ending {
        case .whole: break
        case .cutOff: failure = failure ?? .cutOff
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
