import ArgumentParser
import Engine
import Ledger
import Uploads

/// `fermata show`: all that is known of an upload.
struct Show: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Show all that is known of an upload.",
        discussion: "Exits with 1 when there is none of this number."
    )

    @OptionGroup var stateDirectory: StateDirectory

    @Argument(help: "The number that list gives.")
    var id: Int64

    @Flag(help: "Print a JSON object.")
    var json = false

    /// The upload and what is in it, as JSON.
    private struct Details: Encodable {
        let upload: UploadReport
        let staging: String
        let ranges: [[Int64]]
        let parts: [Part]

        struct Part: Encodable {
            let number: Int
            let size: Int64
            let md5: String
        }
    }

    func run() throws {
        let engine = try stateDirectory.openExistingEngine()
        guard let found = try engine.details(of: id) else { throw CommandFailure("there is no upload \(id)") }
        let file = found.summary.file
        let details = Details(
            upload: try UploadReport(found.summary, engine),
            staging: "\(file.root)/\(RelativePath.stagingFolderName)/\(file.staging)",
            ranges: found.coverage.map { [$0.offset, $0.end] },
            parts: found.parts.map {
                Details.Part(number: $0.part.number, size: $0.part.size, md5: $0.part.digest.description)
            }
        )
        let fields = found.account?.fields ?? []
        if json { return print(try JSONLine.encode(details, with: ("fields", .fields(fields)))) }
        let upload = details.upload
        let lines: [(String, String)] = [
            ("id", String(upload.id)), ("state", upload.state), ("dialect", upload.dialect), ("mount", upload.mount),
            ("principal", upload.principal), ("upload", upload.upload), ("file name", upload.fileName),
            ("path", upload.path), ("root", upload.root), ("staging", details.staging),
            ("size", upload.size > 0 ? "\(upload.size) (\(Readable.bytes(Double(upload.size))))" : "not known yet"),
            ("committed", "\(upload.committedBytes) (\(Readable.percent(upload.fraction)))"),
            ("began", Readable.time(upload.createdAt)),
            ("last byte", upload.lastWrite.map { Readable.time($0) } ?? "-"),
            ("expires", Readable.time(upload.expiresAt)),
        ]
        for (name, value) in lines { print("\(name): \(value.shown)") }
        for range in details.ranges { print("range: \(range[0])-\(range[1])") }
        for part in details.parts { print("part: \(part.number), \(part.size) bytes, MD5 \(part.md5)") }
        for field in fields { print("field: \(field.name.shown) = \(field.value.shown)") }
    }
}
