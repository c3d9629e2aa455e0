import Foundation
public import Uploads

/// Delivers events to hook programs, on threads of its own.
///
/// A process that dies leaves its events to the others, or to its successor. The end of this process is the end of the
/// threads, and what they were telling is told again.
public struct Deliverer: Sendable {
    /// How many programs run at the same time.
    private static let threads = 4
    /// How often each thread looks, in microseconds.
    private static let pauseMicroseconds: UInt32 = 1_000_000

    private let engine: Engine
    private let report: @Sendable (Result<Engine.Delivery, UploadError>) -> Void

    /// - Parameter report: is told of each attempt, and of each look for an event that failed, on any of the threads.
    public init(
        _ engine: Engine,
        report: @escaping @Sendable (Result<Engine.Delivery, UploadError>) -> Void
    ) {
        self.engine = engine
        self.report = report
    }

    public func start() {
        for number in 0..<Self.threads {
            let thread = Thread { [self] in
                // One after the other, so that somebody looks four times a second.
                usleep(Self.pauseMicroseconds / UInt32(Self.threads) * UInt32(number))
                while true {
                    if !deliver() { usleep(Self.pauseMicroseconds) }
                }
            }
            thread.name = "deliverer"
            thread.start()
        }
    }

    /// Delivers what has been due for longest; false when nothing is due, or the ledger cannot say.
    func deliver() -> Bool {
        do throws(UploadError) {
            guard let delivery = try engine.deliverNext() else { return false }
            report(.success(delivery))
            return true
        } catch {
            report(.failure(error))
            return false
        }
    }
}
