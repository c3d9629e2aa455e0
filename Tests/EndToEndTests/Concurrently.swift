import Foundation
import Synchronization

/// Calls a function on so many threads at the same time, and waits for all: libdispatch would run no more of them at a
/// time than there are cores.
func concurrently(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
    let ended = DispatchGroup()
    for index in 0..<count {
        ended.enter()
        Thread {
            body(index)
            ended.leave()
        }.start()
    }
    ended.wait()
}

/// The same for a function with results, in the order of the threads' numbers; it throws what the first one threw that did.
func results<Value: Sendable>(_ count: Int, _ body: @escaping @Sendable (Int) throws -> Value) throws -> [Value] {
    let all = Mutex<[Int: Result<Value, any Error>]>([:])
    concurrently(count) { index in
        let result = Result { try body(index) }
        all.withLock { $0[index] = result }
    }
    return try (0..<count).compactMap { index in try all.withLock { try $0[index]?.get() } }
}
