import HTTPTypes
import MultipartForm
import Uploads

/// One request in the DCloud Uploader protocol (docs/dialects/dcloud.md 1).
///
/// 1. Nothing is decided on the form as a whole before its end, as fields may follow files.
/// 2. The first failure is the one reported; parts before it stay committed, later ones are drained.
/// 3. A plain file never touches a session, unless a segment in the same request has its name (1.4.4).
struct DCloudExchange: Exchange {
    /// Fields of the protocol itself, never files whatever their media type (0.4).
    private static let scalarFields: Set<String> = ["server", "action", "boundary", "MAX_FILE_SIZE"]

    let mount: Mount
    let body: BodyPlan
    private let queryFields: [FormURLEncoded.Field]
    private let session: SessionKey?
    /// The fields of the request: all values of the site's own, the last one of the protocol's.
    private(set) var requestFields: [FormField] = []
    /// Where the protocol's own stand among them.
    private var scalarIndices: [ByBytes: Int] = [:]
    private let contentRange: String?
    private var rawBoundary: [UInt8]?
    private var formBytesMax: Int64?
    private var triedSegments = false
    private var pending: FilePart?
    private var files: [StoredPart] = []
    private(set) var failure: DCloudError?
    private(set) var plan = Plan.refuse
    /// The files to publish, all or none; `nil` when there are none.
    private var form: FormFiles?
    private var isCutOff = false

    /// What the request turned out to be.
    enum Plan {
        case query(CanonicalBoundary?)
        case cancel(CanonicalBoundary?)
        case upload
        case refuse
    }

    /// A file part whose bytes are coming in.
    private struct FilePart {
        let name: String
        let fileName: String
        /// Where it is stored.
        let path: RelativePath
        let mediaType: String
        let hasFileName: Bool
        let contentRange: String?
        let bytesMax: Int64
    }

    /// A file part whose bytes are stored.
    private enum StoredPart {
        case segment(FileProgress, isWhole: Bool)
        case plain(HeldFile, FileSpec, contentRange: String?)
    }

    init(_ head: RequestHead, on mount: Mount) {
        self.mount = mount
        contentRange = head.contentRange
        queryFields = (try? FormURLEncoded.parse(Array(head.query.utf8))) ?? []
        var body = BodyPlan.drain
        var session: SessionKey?
        var failure: DCloudError?
        let mediaType = head.contentType.map { MediaType(parsing: $0) }
        if head.request.method != .post {
            failure = .wrongMethod
        } else if mediaType == .formURLEncoded {
            body = .urlEncoded
        } else if mediaType == .multipartForm, let contentType = head.contentType {
            do throws(MultipartError) {
                let boundary = try Boundary(contentType: contentType)
                body = .multipart(boundary)
                session = CanonicalBoundary(parameter: boundary.bytes).map {
                    SessionKey(on: mount, id: $0.text)
                }
            } catch {
                failure = .partial("\(error)")
            }
        } else {
            failure = .wrongMediaType
        }
        self.body = body
        self.session = session
        self.failure = failure
    }

    /// The progress of the files that segments of this request went to.
    var touched: [FileProgress] {
        files.compactMap { file in
            if case .segment(let progress, _) = file { progress } else { nil }
        }
    }

    // MARK: The body

    mutating func partBegins(_ header: PartHeader, sizeHint: Int64?) -> PartPlan {
        guard failure == nil, let name = header.name else { return .drain }
        guard header.isFile(scalarFields: Self.scalarFields) else { return .field }
        do throws(DCloudError) {
            let destination = try destination(of: header, name: name)
            return .file(destination)
        } catch {
            failure = error
            return .drain
        }
    }

    private mutating func destination(of header: PartHeader, name: String) throws(DCloudError) -> Destination {
        let fileName = header.fileName ?? ""
        let mediaType = header.contentType ?? "application/octet-stream"
        let file = FilePart(
            name: name,
            fileName: fileName,
            path: RelativePath(fileName: fileName, on: mount),
            mediaType: mediaType,
            hasFileName: header.hasFileName,
            contentRange: header.contentRange ?? contentRange,
            bytesMax: min(mount.fileBytesMax, mount.partBytesMax, formBytesMax ?? .max)
        )
        let isNoFileChosen = header.hasFileName && fileName.isEmpty && header.range == nil
        // Whether it is none shows at its end.
        guard isNoFileChosen || allows(file) else { throw Self.wrongType }
        guard let text = header.range else {
            pending = file
            return .whole(bytesMax: file.bytesMax, isHashed: false)
        }
        guard let session else { throw .partial("the boundary can not name an upload") }
        triedSegments = true
        let parameter: RangeParameter
        do { parameter = try RangeParameter(parsing: text) } catch { throw .partial("\(error)") }
        guard let range = ByteRange(offset: parameter.start, end: parameter.end) else {
            throw .partial("the range starts after its end")
        }
        if parameter.total > mount.fileBytesMax { throw .tooLarge("at most \(mount.fileBytesMax) bytes") }
        if range.count > mount.partBytesMax { throw .tooLarge("at most \(mount.partBytesMax) bytes in a segment") }
        if let formBytesMax, parameter.total > formBytesMax { throw .overFormLimit("at most \(formBytesMax) bytes") }
        pending = file
        return .segment(session, spec(of: file, total: parameter.total), range)
    }

    mutating func fieldEnded(_ field: FormField, raw: [UInt8]) {
        guard failure == nil else { return }
        if let index = scalarIndices[ByBytes(field.name)] {
            requestFields[index] = field
        } else {
            if Self.scalarFields.holds(field.name) { scalarIndices[ByBytes(field.name)] = requestFields.count }
            requestFields.append(field)
        }
        switch field.name {
        case "boundary": rawBoundary = raw
        case "MAX_FILE_SIZE": formBytesMax = IntegerField.parse(field.value)
        case _: break
        }
    }

    mutating func fileEnded(_ result: Result<Receipt, UploadError>) {
        guard let file = pending.take() else {
            failure = failure ?? .partial("bytes came outside of a part")
            return
        }
        switch result {
        case .success(.committed(let progress, let isWhole)):
            files.append(.segment(progress, isWhole: isWhole))
        case .success(.held(let held, let count, _)):
            // A browser's file input without a choice (docs/dialects/README.md 0.4).
            if file.hasFileName, file.fileName.isEmpty, count == 0 { return }
            guard allows(file) else {
                failure = failure ?? Self.wrongType
                return
            }
            files.append(.plain(held, spec(of: file, total: count), contentRange: file.contentRange))
        case .failure(.tooLarge) where file.bytesMax == formBytesMax:
            failure = failure ?? .overFormLimit("at most \(file.bytesMax) bytes")
        case .failure(let error):
            failure = failure ?? DCloudError(error)
        }
    }

    private static let wrongType = DCloudError.refused("this type of file is not allowed")

    private func allows(_ file: FilePart) -> Bool {
        mount.allows(fileName: file.path.name ?? "", mediaType: file.mediaType)
    }

    private func spec(of file: FilePart, total: Int64) -> FileSpec {
        FileSpec(
            field: file.name,
            fileName: file.fileName,
            mediaType: file.mediaType,
            target: Target(file.path, ifTaken: .addNumber),
            total: total
        )
    }

    // MARK: The end of the request

    mutating func bodyEnded(_ ending: BodyEnding) -> Step {
        let commands = commands(after: ending)
        let exchange = self
        if case .cancel(let boundary) = plan { return cancel(boundary) }
        return .perform(commands) { results in
            guard !results.contains(where: \.isFailure), let form = exchange.form else {
                return exchange.end(results, isWhole: false)
            }
            return .perform(.publishForm(form)) { result in
                exchange.end(results + [result], isWhole: !result.isFailure)
            }
        }
    }

    /// Answers. After an error it helps to know what the session has now, to start anew.
    private func end(_ results: [Result<Outcome, UploadError>], isWhole: Bool) -> Step {
        let isRefused = !isWhole && (failure != nil || form != nil)
        guard let session, isRefused, triedSegments || form?.stored.isEmpty == false else {
            return .answer(answer(results))
        }
        return .perform(.outline(session)) { .answer(answer(results + [$0])) }
    }

    private mutating func commands(after ending: BodyEnding) -> [Command] {
        switch ending {
        case .whole: break
        case .cutOff:
            // Nobody hears of it, and what is whole is whole.
            isCutOff = failure == nil
            failure = failure ?? .partial("the body was cut off")
        case .malformed(.otherMedia): failure = failure ?? .mislabelled
        case .malformed(.noDelimiter): failure = failure ?? .noFile("the body has no parts")
        case .malformed(let error): failure = failure ?? DCloudError(error)
        case .tooLarge(let bytesMax): failure = failure ?? .tooLarge("at most \(bytesMax) bytes")
        }
        if failure == nil, files.isEmpty, let plan = controlPlan() {
            self.plan = plan
            return commands(for: plan)
        }
        if failure == nil {
            if case .urlEncoded = body { failure = .noFile("this is neither a query nor a form with a file") }
            if files.isEmpty, requestFields.isEmpty { failure = .noFile() }
        }
        if failure == nil, let chunk = foreignChunk() { failure = .partial("\(chunk)") }
        plan = .upload
        return uploadCommands()
    }

    /// A query or a cancellation, which have no files (docs/dialects/dcloud.md 1.2).
    private func controlPlan() -> Plan? {
        guard value("server")?.lowercased() == "uploader" else { return nil }
        switch value("action")?.lowercased() {
        case "query": return .query(namedBoundary)
        case "cancel" where mount.allowsCancel: return .cancel(namedBoundary)
        case _: return nil
        }
    }

    /// The boundary that a query or a cancellation names, in its body or in the URL.
    private var namedBoundary: CanonicalBoundary? {
        let raw = rawBoundary ?? queryFields.last { $0.name.isSame(as: "boundary") }?.rawValue
        return raw.flatMap { CanonicalBoundary(fieldValue: $0) }
    }

    /// What tells that a plain file is a chunk in another library's protocol.
    private func foreignChunk() -> ForeignChunk? {
        var values: [ByBytes: String]?
        for case .plain(_, let spec, let contentRange) in files {
            if requestFields.isEmpty, queryFields.isEmpty, contentRange == nil { continue }
            let known =
                values
                ?? Dictionary(
                    queryFields.map { (ByBytes($0.name), $0.value) }
                        + requestFields.map { (ByBytes($0.name), $0.value) }
                ) { $1 }
            values = known
            let chunk = ForeignChunk(contentRange: contentRange, size: spec.total) { known[ByBytes($0)] }
            if let chunk { return chunk }
        }
        return nil
    }

    /// The value of a field; the body wins over the URL (docs/dialects/README.md 0.4).
    private func value(_ name: String) -> String? {
        (requestFields.last { $0.name.isSame(as: name) }?.value
            ?? queryFields.last { $0.name.isSame(as: name) }?.value)
            .map { $0.trimmingWhiteSpace() }
    }

    private func commands(for plan: Plan) -> [Command] {
        switch plan {
        case .query(let boundary?) where mount.allowsResume: [.outline(key(boundary))]
        case .query, .cancel, .upload, .refuse: []
        }
    }

    func key(_ boundary: CanonicalBoundary) -> SessionKey {
        SessionKey(on: mount, id: boundary.text)
    }

    /// What is to be done before files are published, and which these are.
    private mutating func uploadCommands() -> [Command] {
        var commands: [Command] = []
        var plain: [HeldUpload] = []
        var wholeFields: [String] = []
        var wholeNames: Set<ByBytes> = []
        var hasSegments = false
        for file in files {
            guard case .segment(let progress, let isWhole) = file else { continue }
            hasSegments = true
            // Publishing a file again tells where it is, to a client that has lost the first answer.
            if isWhole, wholeNames.insert(ByBytes(progress.spec.field)).inserted {
                wholeFields.append(progress.spec.field)
            }
        }
        for file in files {
            guard case .plain(let held, let spec, _) = file, failure == nil else { continue }
            if let session, let total = totalOfSegments(like: spec), spec.total <= total {
                commands.append(.adopt(held, session, spec.with(total: total)))
                if wholeNames.insert(ByBytes(spec.field)).inserted { wholeFields.append(spec.field) }
            } else {
                plain.append(HeldUpload(held, spec))
            }
        }
        let continuesSession = hasSegments || files.isEmpty
        if let session, continuesSession, !requestFields.isEmpty { commands.append(.store(requestFields, session)) }
        // All or none: where one file of a form was refused, the others wait for their client to send it again.
        guard failure == nil || isCutOff else { return commands }
        var stored: [FileKey] = []
        if let session, !wholeFields.isEmpty {
            stored = wholeFields.map { FileKey(session, field: $0) }
            // The answer needs the session's fields, and nothing may fail between the names of the files and the answer.
            commands.append(.describe(session))
        }
        if !stored.isEmpty || !plain.isEmpty {
            form = FormFiles(stored: stored, held: plain, fields: requestFields)
        }
        return commands
    }

    /// The total that this request's segments of the same name and file name declare (docs/dialects/dcloud.md 1.4.4).
    private func totalOfSegments(like spec: FileSpec) -> Int64? {
        for case .segment(let progress, _) in files
        where progress.spec.field.isSame(as: spec.field) && progress.spec.fileName.isSame(as: spec.fileName) {
            return progress.spec.total
        }
        return nil
    }
}
