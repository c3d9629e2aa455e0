import Engine
import Foundation
import Ledger
import Uploads

/// An upload as the commands tell of it.
struct UploadReport: Encodable {
    let id: Int64
    let dialect: String
    let mount: String
    /// The server of a mount that is named by its path; `nil` of one that has a name of its own.
    let server: String?
    let principal: String
    let upload: String
    let fileName: String
    /// Where it is to appear, or has appeared, below the root.
    let path: String
    let root: String
    let state: String
    /// 0 as long as nobody knows it.
    let size: Int64
    let committedBytes: Int64
    let createdAt: Int64
    let expiresAt: Int64
    /// `nil` when its file is not there any more.
    let lastWrite: Int64?

    init(_ summary: UploadSummary, _ engine: Engine) throws {
        let file = summary.file
        id = file.id
        dialect = summary.dialect
        mount = Mount.shortName(of: summary.session.mount)
        server = Mount.server(of: summary.session.mount)
        principal = summary.session.principal
        upload = summary.session.id
        fileName = file.spec.fileName
        root = file.root
        size = file.spec.total
        committedBytes = summary.committedBytes
        createdAt = summary.createdAt
        expiresAt = summary.expiresAt
        switch file.phase {
        case .reserved, .open: (state, path) = ("open", file.spec.target.path.text)
        case .publishing(let name, _): (state, path) = ("publishing", name)
        case .published(let name): (state, path) = ("finished", name)
        case .cancelled: (state, path) = ("cancelled", file.spec.target.path.text)
        }
        lastWrite = try engine.lastWrite(to: file)
    }

    /// Whether it takes bytes, or is about to be finished.
    var isOpen: Bool { state == "open" || state == "publishing" }

    /// How much of it is committed, 0 to 1; `nil` as long as nobody knows its size.
    var fraction: Double? { size > 0 ? Double(committedBytes) / Double(size) : state == "finished" ? 1 : nil }

    /// How fast it came, in bytes a second, on average from its beginning to its last byte.
    var rate: Double? { lastWrite.map { Double(committedBytes) / Double(max($0 - createdAt, 1)) } }

    /// For how long no byte has come, in seconds.
    func idle(at now: Int64) -> Int64? { lastWrite.map { max(0, now - $0) } }
}

/// Numbers as people read them.
enum Readable {
    /// `1.5 GiB`.
    static func bytes(_ count: Double) -> String {
        var (value, unit) = (count, 0)
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        while value >= 1024, unit < units.count - 1 {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(Int(value)) B" : String(format: "%.1f ", value) + units[unit]
    }

    /// `42s`, `7m`, `3h`, `2d`.
    static func seconds(_ count: Int64) -> String {
        switch count {
        case ..<120: "\(count)s"
        case ..<7200: "\(count / 60)m"
        case ..<172_800: "\(count / 3600)h"
        default: "\(count / 86_400)d"
        }
    }

    /// `42 %`.
    static func percent(_ fraction: Double?) -> String { fraction.map { "\(Int($0 * 100)) %" } ?? "?" }

    /// A time as RFC 3339 has it, in UTC.
    static func time(_ seconds: Int64) -> String {
        Date(timeIntervalSince1970: TimeInterval(seconds)).formatted(.iso8601)
    }
}
