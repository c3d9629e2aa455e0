import ArgumentParser
import Digests
import Foundation

/// The secret that signs URLs, in a file of the state directory that only its owner can read.
enum KeyFile {
    /// The name of the file.
    static let name = "signing.key"

    /// Reads the key, making it at the first start. Of several processes that start at once, one makes it.
    static func open(in stateDirectory: String) throws -> SigningKey {
        let path = stateDirectory + "/" + name
        if !FileManager.default.fileExists(atPath: path) { try make(path) }
        let bytes = try Data(contentsOf: URL(fileURLWithPath: path))
        guard let key = SigningKey(bytes: Array(bytes)) else {
            throw ValidationError("\(path) is no key of \(SigningKey.byteCount) bytes; remove it to get a new one")
        }
        return key
    }

    /// The file appears with all of its bytes or not at all.
    private static func make(_ path: String) throws {
        let mask = umask(0o177)
        defer { umask(mask) }
        let draft = path + "-" + UUID().uuidString
        defer {
            // A draft that can not be removed is no harm: it is as secret as the key.
            try? FileManager.default.removeItem(atPath: draft)
        }
        try Data(SigningKey.randomBytes()).write(to: URL(fileURLWithPath: draft))
        let file = try FileHandle(forWritingTo: URL(fileURLWithPath: draft))
        try file.synchronize()
        try file.close()
        do { try FileManager.default.linkItem(atPath: draft, toPath: path) } catch {
            if !FileManager.default.fileExists(atPath: path) { throw error }
        }
    }
}
