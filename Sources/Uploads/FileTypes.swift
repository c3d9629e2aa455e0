// Which files a mount takes (`FERMATA_TYPES`).

extension Mount {
    /// Whether a file of this name may be stored.
    ///
    /// The extension decides, whatever the client says of the type: it is what a web server goes by, and the last one of a name
    /// counts. Only what has none is taken at its client's word, and so is everything on a mount that lists no extension. A
    /// media type also opens the extension that it is called after: `image/webp` opens `a.webp` that is declared so.
    ///
    /// - Parameters:
    ///   - fileName: the name that it is stored under.
    ///   - mediaType: what its client calls it, a media type or, in some dialects, an extension.
    public func allows(fileName: String, mediaType: String) -> Bool {
        if types.isEmpty { return true }
        let declared = mediaType.prefix { $0 != ";" && $0 != " " }.lowercased()
        guard let fileExtension = ComponentName.fileExtension(fileName) else { return types.contains(declared) }
        if types.contains(fileExtension) { return true }
        guard declared.contains("/"), types.contains(declared) else { return false }
        return types.allSatisfy { $0.contains("/") } || declared.hasSuffix("/" + fileExtension)
    }
}
