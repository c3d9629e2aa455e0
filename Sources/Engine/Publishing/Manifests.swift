import Foundation
import Ledger
import Staging
import Uploads

// Documents beside finished files (`FERMATA_MANIFEST`): `NAME.json` for `NAME`.
//
// 1. A manifest is there before the client hears that its file is; where that fails, the outbox writes it later.
// 2. It takes the place of nothing but an earlier manifest of the same name.
// 3. No file of a client takes the place of a manifest, or has the name of one: where numbers are added, a name is free only
//    if neither its manifest's name is taken nor it is that of another file's manifest, and the names of one root are given
//    one after the other; where files are replaced, names of manifests are refused.

extension Engine {
    /// The suffix of a manifest's name.
    static let manifestSuffix = ".json"
    /// The largest manifest in bytes: every byte of the fields escaped, and as much for the rest.
    private static let manifestBytesMax = 12 * FileDocument.fieldBytesMax

    /// The event that has a manifest written later.
    ///
    /// - Parameter key: of the file's own event.
    func manifestEvent(_ document: [UInt8], key: String, of file: NamedFile) -> NewEvent {
        NewEvent(
            key: key + Self.manifestSuffix,
            task: .writeManifest(file),
            document: String(decoding: document, as: UTF8.self),
            now: now()
        )
    }

    /// Puts a document beside a file; false when that must be tried again later.
    func publishManifest(_ document: [UInt8], of file: NamedFile) -> Bool {
        do throws(UploadError) {
            if let obstacle = try writeManifest(document, of: file) {
                postpone("write manifest", of: file.path, in: file.root, obstacle, fate: .givenUp)
            }
            return true
        } catch {
            postpone("write manifest", of: file.path, in: file.root, error.reason)
            return false
        }
    }

    /// Puts a document beside a file, or tells why that can never be done.
    func writeManifest(_ document: [UInt8], of file: NamedFile) throws(UploadError) -> String? {
        guard let path = RelativePath(parsing: file.path + Self.manifestSuffix) else {
            return "the name of the manifest would be too long"
        }
        let area = try area(file.root)
        // Another request or a sweep may be writing it at this moment.
        for _ in 0..<2 {
            let entry = try staged { () throws(StagingError) in try area.entry(at: path) }
            switch entry {
            case .nothing: break
            case .file:
                guard try isManifest(path, of: file.path, in: area) else {
                    return "\(path.text) is a file that is not its manifest"
                }
            case .folder: return "\(path.text) is a folder"
            case .blocked: return "a folder above it is a file or a link"
            }
            let isReplacing = entry == .file
            let naming = try staged { () throws(StagingError) in
                try Self.give(path, to: document, replacing: isReplacing, in: area)
            }
            switch naming {
            case .taken: continue
            case .named(nil): return nil
            case .named(let unsynced?): throw unsynced.uploadError
            }
        }
        return "\(path.text) is a file that is not its manifest"
    }

    private static func give(
        _ path: RelativePath,
        to document: [UInt8],
        replacing isReplacing: Bool,
        in area: borrowing StagingArea
    ) throws(StagingError) -> Naming {
        var manifest = try StagingFile.anonymous(in: area)
        try manifest.write(document.span, at: 0)
        try manifest.seal()
        try manifest.sync()
        guard isReplacing else { return try manifest.publishAnonymous(as: path, in: area) }
        let staging = StagingArea.makeName()
        try manifest.link(as: staging, in: area)
        return try area.publish(staging, as: path, replacing: true)
    }

    /// Writes a manifest that could not be written at once, if its file is still there.
    func writeManifestLater(_ document: String, of file: NamedFile) throws(UploadError) -> String? {
        guard let path = RelativePath(parsing: file.path) else { return "its path is unsafe" }
        let area = try area(file.root)
        let inode = try staged { () throws(StagingError) in try area.inode(ofPublished: path) }
        guard inode == file.inode else { return "the file is gone, or another has its name" }
        return try writeManifest(Array(document.utf8), of: file)
    }

    /// Whether what stands at a path is a manifest of the file of a name.
    private func isManifest(
        _ path: RelativePath,
        of name: String,
        in area: borrowing StagingArea
    ) throws(UploadError) -> Bool {
        let content = try staged { () throws(StagingError) in
            try area.content(ofPublished: path, bytesMax: Self.manifestBytesMax)
        }
        guard let content else { return false }
        guard let document = try? JSONDecoder().decode(ManifestHead.self, from: Data(content)) else { return false }
        return document.event == "published" && document.name.utf8.elementsEqual(name.utf8)
    }

    /// Refuses the path of a manifest for a file that would replace it.
    func requireNoManifest(at path: RelativePath, in area: borrowing StagingArea) throws(UploadError) {
        guard let name = path.name, let stem = ComponentName.stem(of: name, before: Self.manifestSuffix),
            let component = RelativePath(component: stem), let file = path.parent.appending(component)
        else { return }
        if try staged({ () throws(StagingError) in try area.entry(at: file) }) != .nothing { throw .isManifestName }
    }
}

/// What tells a manifest from other JSON.
private struct ManifestHead: Decodable {
    let event: String
    let name: String
}

extension UploadError {
    /// The name is one that a manifest may have.
    static let isManifestName = UploadError.refused(
        message: "names that end in \(Engine.manifestSuffix) are those of manifests here"
    )
}
