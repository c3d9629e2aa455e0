import Foundation
import Fuzzing
import Testing

/// The corpora, and every input that ever broke a rule, tried once more.
@Suite(.serialized)
struct ReplayTests {
    @Test("no input of the corpus breaks a rule", .timeLimit(.minutes(5)), arguments: FuzzTarget.allCases)
    func replay(target: FuzzTarget) throws {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .appending(path: "Corpora/\(target)")
        let inputs = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
        #expect(!inputs.isEmpty)
        let run = try target.prepare()
        for input in inputs.sorted(by: { $0.path < $1.path }) {
            let bytes = [UInt8](try Data(contentsOf: input))
            #expect(throws: Never.self, "\(input.lastPathComponent)") { try run(bytes) }
        }
    }
}
