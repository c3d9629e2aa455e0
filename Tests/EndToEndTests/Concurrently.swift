import Foundation

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
