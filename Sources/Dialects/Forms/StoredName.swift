import MultipartForm
package import Uploads

extension RelativePath {
    /// The name under which a client's file is stored: its own where that is safe, else a new one
    /// (docs/dialects/README.md 0.4).
    ///
    /// It begins with no dot unless the mount allows it; where it is cut its extension stays.
    package init(fileName: String, on mount: Mount) {
        let name = FileName.sanitized(fileName)
            .flatMap { mount.allowsDotFiles ? $0 : ComponentName.visible($0) }
            .flatMap { ComponentName.fitted($0) }
        self =
            name.flatMap { RelativePath(component: $0) } ?? RelativePath(generated: FileName.generated(like: fileName))
    }

    private init(generated name: String) {
        guard let path = RelativePath(component: name) else { preconditionFailure("a generated name is safe") }
        self = path
    }
}
