import Foundation
import Ledger
import Testing

/// The power goes: what the disk has at that moment is all that is left.
///
/// Ledger and files are on an ext4 file system in an image behind a loop device. The image is copied while the responder
/// goes on, which is what a disk holds when the power is cut: what was synced, and of the rest what the kernel happened to
/// have written. A responder that is started on the copy, in what it must take for another boot, has to know the truth.
@Suite(
    .serialized,
    .timeLimit(.minutes(10)),
    .enabled(if: geteuid() == 0 && FileManager.default.fileExists(atPath: "/dev/loop-control"), "needs loop devices")
)
struct PowerLossTests {
    private static let imageBytes = "64m"

    /// A state directory that is a mounted image.
    private static func mount(_ image: String, _ directory: URL) throws {
        let state = directory.appending(path: "state").path
        try FileManager.default.createDirectory(atPath: state, withIntermediateDirectories: true)
        try #require(try run("mount", ["-o", "loop,noatime", image, state]).status == 0, "the image can be mounted")
    }

    /// Nobody.
    private struct Nowhere: UploadServer {
        let files = URL(fileURLWithPath: "/nowhere")
        let port: UInt16 = 0

        func request(
            _ method: String,
            _ path: String,
            _ contentType: String?,
            _ body: [UInt8],
            _ fields: [String]
        ) throws -> HTTPConnection.Answer { throw HTTPConnection.Failure(what: "nobody is there") }
    }

    /// What a client knew at the moment of a power cut.
    private struct Moment {
        let image: String
        let acknowledged: Set<Int>
        let isFinished: Bool
    }

    @Test(
        "from every step of every dialect, what was synced is there, and the rest is asked for again",
        arguments: ContractDialect.allCases,
        ["publish", "segment"]
    )
    func cut(dialect: ContractDialect, durability: String) throws {
        let folder = "/tmp/fermata-power-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { #expect(throws: Never.self) { try FileManager.default.removeItem(atPath: folder) } }
        let image = folder + "/disk"
        try run("truncate", ["-s", Self.imageBytes, image])
        try #require(try run("mkfs.ext4", ["-q", "-F", image]).status == 0)
        // The ledger knows its root by its path, so all sites have the same.
        let name = "fermata-power-" + UUID().uuidString
        // Each site has another port.
        let parameters = ["FERMATA_DURABILITY": durability, "FERMATA_MOUNT": "m"]
        let mounts = ["/m": dialect.parameters.merging(parameters) { $1 }]
        var moments: [Moment] = []
        let known: any Conversation
        do {
            let site = try Site(mounts: mounts, prepare: { try Self.mount(image, $0) }, name: name)
            let conversation = dialect.conversation(site)
            var sent: Set<Int> = []
            func cutNow(isFinished: Bool = false) throws {
                let copy = folder + "/cut\(moments.count)"
                try run("cp", ["--sparse=always", image, copy])
                moments.append(Moment(image: copy, acknowledged: sent, isFinished: isFinished))
            }
            #expect(try conversation.begin().status == 200)
            try cutNow()
            for index in conversation.pieces.indices {
                // Half of a request, then the whole of it.
                _ = try conversation.request(index).begin(site.port, droppingLast: 5000 / (index + 1) % 900 + 100)
                try cutNow()
                #expect(try conversation.send(index).status == 200)
                sent.insert(index)
                try cutNow()
            }
            #expect(try conversation.finish().status == 200)
            for _ in 0..<2 { try cutNow(isFinished: true) }
            // The site ends with this block; what its client knows goes on.
            known = conversation.moved(to: Nowhere())
        }
        var lostCount = 0
        for (number, moment) in moments.enumerated() {
            let note: Comment = "\(dialect.rawValue), \(durability), moment \(number)"
            let site = try Site(
                mounts: mounts,
                prepare: { directory in
                    try Self.mount(moment.image, directory)
                    let ledger = try SQLiteLedger(stateDirectory: directory.path + "/state")
                    try ledger.setVerifiedBoot("another")
                },
                name: name
            )
            let later = known.moved(to: site)
            let path = site.files.appending(path: later.publishedPath).path
            let published = FileManager.default.contents(atPath: path)
            #expect(published == nil || published == ContractDialect.content, note)
            if moment.isFinished { #expect(published == ContractDialect.content, note) }
            if published == nil {
                let pieces = try later.acknowledgedPieces()
                if !moment.acknowledged.isSubset(of: pieces ?? []) { lostCount += 1 }
                if durability == "segment" { #expect(moment.acknowledged.isSubset(of: pieces ?? []), note) }
                if pieces == nil { #expect(try later.begin().status == 200, note) }
                // A client sends what is not acknowledged, and only that: what is must be true.
                for index in later.pieces.indices where pieces?.contains(index) != true {
                    #expect(try later.send(index).status == 200, note)
                }
                #expect(try later.finish().status == 200, note)
            }
            #expect(
                FileManager.default.contents(atPath: site.files.appending(path: later.publishedPath).path)
                    == ContractDialect.content,
                note
            )
        }
        Tally.powerCuts.add(moments.count)
        Tally.bytesCompared.add(moments.count * ContractDialect.content.count)
        Tally.tell()
        if durability == "publish" { #expect(lostCount > 0, "the cuts have taken what was not synced") }
    }
}
