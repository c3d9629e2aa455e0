/// What a dialect wants done once it knows the whole request.
public enum Command: Hashable, Sendable {
    // MARK: Sessions

    /// Say how far a session is.
    case describe(SessionKey)
    /// Say how far a session is, without the values of its data fields.
    case outline(SessionKey)
    /// Issue a number that was never issued before on this state directory.
    case issueNumber
    /// Begin an upload, or go on with it.
    case open(NewUpload)
    /// Store data fields in a session, when there is one.
    case store([FormField], SessionKey)
    /// Store a data field in a session that has none of its name, with others; say what value it has then. Of requests that
    /// do so at once one wins.
    case claim(FormField, with: [FormField], SessionKey)
    /// Remove a session and its bytes.
    case remove(SessionKey)
    /// Give up a file that is not published; one that nobody knows is fine.
    case cancel(FileKey)

    // MARK: Bytes that a request holds

    /// Take a held file's bytes for the segment that starts at 0.
    case adopt(HeldFile, SessionKey, FileSpec)
    /// Commit a held file as a numbered part, if it has the digest that the client sent with it.
    case commitPart(HeldFile, FileKey, number: Int, expected: MD5Digest?)
    /// Commit held bytes at an offset, which must be the committed one; at 0 the file starts anew.
    case append(HeldFile, FileKey, offset: Int64)
    /// Publish the files of a form: all, or none where one of them is refused.
    case publishForm(FormFiles)

    // MARK: Finished files

    /// Publish a session's file if it is whole.
    case publish(FileKey)
    /// Make a file of the listed parts, which are in ascending order without repetition, and publish it.
    case assemble(FileKey, [PartClaim], AssemblyRules)
    /// Publish a small file of these bytes.
    case publishContent([UInt8], Target)

    // MARK: The root

    /// Say what stands at a path.
    case lookUp(RelativePath)
    /// Make a folder with those above it; folders that are there are fine.
    case makeFolder(RelativePath)
}

/// An upload that is to begin.
public struct NewUpload: Hashable, Sendable {
    /// Its session and file.
    public let key: FileKey
    /// What the client declares of the file.
    public let spec: FileSpec
    /// Data fields to store in the session.
    public let fields: [FormField]
    /// How the bytes come.
    public let kind: Kind

    /// How the bytes of an upload come.
    public enum Kind: Hashable, Sendable {
        /// In ranges of a file of a known size. An open upload of the same size goes on; any other starts anew.
        case ranges
        /// In numbered parts. The upload is a new one, with a key of its own.
        case parts(PartLayout)
    }

    /// An upload of a file.
    public init(_ key: FileKey, _ spec: FileSpec, fields: [FormField], kind: Kind) {
        self.key = key
        self.spec = spec
        self.fields = fields
        self.kind = kind
    }
}

/// The files of a form, which are published together.
public struct FormFiles: Hashable, Sendable {
    /// Files of the session; one that is not whole any more is left out.
    public let stored: [FileKey]
    /// Files that the request holds.
    public let held: [HeldUpload]
    /// The data fields that came with them.
    public let fields: [FormField]

    /// Files that are published in this order, those of the session first.
    public init(stored: [FileKey], held: [HeldUpload], fields: [FormField]) {
        self.stored = stored
        self.held = held
        self.fields = fields
    }
}

/// A held file that is to be published as it is.
public struct HeldUpload: Hashable, Sendable {
    /// Its bytes.
    public let file: HeldFile
    /// What its client says of it.
    public let spec: FileSpec

    /// A held file with its declaration.
    public init(_ file: HeldFile, _ spec: FileSpec) {
        self.file = file
        self.spec = spec
    }
}

/// What a command came to.
public enum Outcome: Hashable, Sendable {
    /// There is nothing to tell.
    case done
    /// A session's progress; `nil` when there is no such session.
    case described(SessionProgress?)
    /// A session's outline; `nil` when there is no such session.
    case outlined(SessionOutline?)
    /// The value of the field that was to be claimed, this request's or an earlier one's; `nil` when there is no such session.
    case claimed(value: String?)
    /// The number is issued: 1 ... 2^53-1.
    case number(Int64)
    /// The file has its final name.
    case published(PublishedFile)
    /// The files of a form have their names, all of them or those before the first that could not be given one.
    case publishedForm([PublishedFile], failure: UploadError?)
    /// The bytes have their place.
    case received(Receipt)
    /// What stands at the path.
    case found(PathEntry)
}

/// What stands at a path below the root.
public enum PathEntry: Hashable, Sendable {
    /// Nothing.
    case nothing
    /// A file, or anything else that a file can take the place of.
    case file
    /// A folder.
    case folder
    /// One of the folders above is a file or a symbolic link.
    case blocked
}
