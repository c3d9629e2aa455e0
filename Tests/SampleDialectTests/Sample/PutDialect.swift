import Dialects
import Foundation
import HTTPTypes
import Uploads

/// A dialect to copy from: `PUT MOUNT/NAME` stores its body under that name, or one like it (RFC 9110 9.3.4), as `curl -T`
/// sends files.
///
/// 1. 201, `{"name":"…"}` and Location: the whole body is stored. What is cut off is stored nowhere.
/// 2. 400: the path is not one safe name. 403: the type of file is not allowed. 405: another method.
/// 3. Everything else that fails: `{"detail":"…"}` with a status of `Refusal`.
struct PutDialect: Dialect {
    let name = "put"
    let summary = "a file is the body of a PUT"
    let settings = [Self.overwrite]
    static let overwrite = Setting(
        own: "FERMATA_PUT_OVERWRITE",
        .flag,
        usual: "off",
        "whether a file of the same name is replaced"
    )
    let crossOrigin = CrossOriginNeeds(methods: [.put], exposedFields: [.location])
    let receivesAtMountURL = false

    func exchange(for request: RequestHead, on mount: Mount, in context: RequestContext) -> any Exchange {
        PutExchange(request, on: mount)
    }

    func answer(to failure: ServiceFailure, on mount: Mount) -> Answer { Answer(Refusal(failure), on: mount) }
}

/// One request in it.
struct PutExchange: Exchange {
    let mount: Mount
    private let method: HTTPRequest.Method
    private let mediaType: String
    private let path: RelativePath?
    private var received: Result<Receipt, UploadError>?

    init(_ head: RequestHead, on mount: Mount) {
        self.mount = mount
        method = head.request.method
        mediaType = head.request.headerFields[.contentType] ?? ""
        path = RelativePath(component: String(head.pathInfo.drop { $0 == "/" }).removingPercentEncoding ?? "")
    }

    private var refusal: Answer? {
        if method != .put {
            return Answer(
                .methodNotAllowed,
                .object([("detail", .string("use PUT"))]),
                type: mount.answerType,
                code: "405",
                allow: "PUT"
            )
        }
        guard let path, let name = path.name, mount.allowsDotFiles || !name.hasPrefix(".") else {
            return Answer(Refusal(.unclear(message: "the path must be one name")), on: mount)
        }
        if mount.allows(fileName: name, mediaType: mediaType) { return nil }
        return Answer(Refusal(.refused(message: "this type of file is not allowed")), on: mount)
    }

    var body: BodyPlan {
        refusal == nil ? .file(.whole(bytesMax: mount.fileBytesMax, isHashed: false)) : .drain
    }

    mutating func fileEnded(_ result: Result<Receipt, UploadError>) { received = result }

    mutating func bodyEnded(_ ending: BodyEnding) -> Step {
        if let refusal { return .answer(refusal) }
        let mount = mount
        func refuse(_ error: UploadError) -> Step { .answer(Answer(Refusal(error), on: mount)) }
        guard let path, ending == .whole else { return refuse(.unclear(message: "the body was cut off")) }
        switch received {
        case .success(.held(let held, let count, _)):
            let replaces = PutDialect.overwrite.value(in: mount).text == "on"
            let spec = FileSpec(
                field: "file",
                fileName: path.name ?? "",
                mediaType: mediaType,
                target: Target(path, ifTaken: replaces ? .replace : .addNumber),
                total: count
            )
            let form = FormFiles(stored: [], held: [HeldUpload(held, spec)], fields: [])
            return .perform(.publishForm(form)) { result in
                switch result {
                case .success(.publishedForm(let files, _)) where files.count == 1:
                    .answer(Answer(files[0], on: mount))
                case .success: refuse(.superseded)
                case .failure(let error): refuse(error)
                }
            }
        case .failure(let error): return refuse(error)
        case .success, nil: return refuse(.unclear(message: "there is no body"))
        }
    }
}

extension Answer {
    fileprivate init(_ refusal: Refusal, on mount: Mount) {
        self.init(
            refusal.status,
            .object([("detail", .string(refusal.message))]),
            type: mount.answerType,
            code: String(refusal.status.code),
            failure: refusal.failure
        )
    }

    fileprivate init(_ file: PublishedFile, on mount: Mount) {
        let created = Answer(.created, .object([("name", .string(file.path))]), type: mount.answerType, code: "201")
        self = created.with(mount.publicURL + "/" + file.path, for: .location)
    }
}
