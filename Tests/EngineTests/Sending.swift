@testable import Engine

extension Intake {
    /// Takes bytes after which no more come for a while.
    func write(_ text: String) throws {
        try write(Array(text.utf8).span)
        pause()
    }
}
