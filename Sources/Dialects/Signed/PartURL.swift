import Digests
import MultipartForm
import Uploads

/// A URL to which anyone who has it may PUT one part (docs/dialects/signed.md 5.2).
///
/// It names the upload, its owner, the part and when it expires, and bears a signature over the method, the mount and
/// all of these. So it needs no cookie and no header, and one for another part or time can not be made up.
struct PartURL: Hashable {
    /// What the path of the mount is followed by.
    static let pathPrefix = ["multipart", "part"]

    let principal: String
    let taskID: String
    let uploadID: String
    let number: Int
    /// When it expires, in seconds since 1970.
    let expiresAt: Int64

    /// Why a URL does not authorise.
    enum Failure: Error {
        /// It is not one that this server has signed.
        case invalid
        /// Its time is over.
        case expired
    }

    init(principal: String, taskID: String, uploadID: String, number: Int, expiresAt: Int64) {
        self.principal = principal
        self.taskID = taskID
        self.uploadID = uploadID
        self.number = number
        self.expiresAt = expiresAt
    }

    /// Reads and checks a URL.
    ///
    /// - Parameters:
    ///   - components: the path behind the mount.
    ///   - query: what follows `?`, undecoded.
    init(
        components: [String],
        query: String,
        on mount: Mount,
        in context: RequestContext
    ) throws(Failure) {
        let prefix = Self.pathPrefix
        guard components.count == prefix.count + 3, Array(components.prefix(prefix.count)) == prefix,
            let number = IntegerField.parse(components[prefix.count + 2]), number <= Part.numberMax,
            let fields = try? FormURLEncoded.parse(Array(query.utf8))
        else { throw .invalid }
        let values = Dictionary(fields.map { (ByBytes($0.name), $0.value) }) { $1 }
        guard let expiresAt = values[ByBytes("expires")].flatMap({ IntegerField.parse($0) }),
            let signature = values[ByBytes("signature")]
        else { throw .invalid }
        self.init(
            principal: values[ByBytes("principal")] ?? "",
            taskID: components[prefix.count],
            uploadID: components[prefix.count + 1],
            number: Int(number),
            expiresAt: expiresAt
        )
        // One that was signed before the server belonged to the mount's name is as good until it expires.
        let names = [mount.name] + (Mount.formerName(of: mount.name).map { [$0] } ?? [])
        guard names.contains(where: { context.signingKey.isValid(signature, of: signedText($0)) }) else {
            throw .invalid
        }
        guard expiresAt > context.now else { throw .expired }
    }

    /// The URL below the mount's own, with its signature.
    func text(base: String, on mount: Mount, key: SigningKey) -> String {
        let path = (Self.pathPrefix + [taskID, uploadID, String(number)]).joined(separator: "/")
        let owner = principal.isEmpty ? "" : "&principal=" + principal.percentEncodedComponent
        return "\(base)/\(path)?expires=\(expiresAt)\(owner)&signature=\(key.signature(of: signedText(mount.name)))"
    }

    /// What the signature covers. Lengths keep two different URLs from having the same text.
    private func signedText(_ mountName: String) -> String {
        ["PUT", mountName, principal, taskID, uploadID, String(number), String(expiresAt)]
            .map { "\($0.utf8.count):\($0)" }.joined()
    }
}
