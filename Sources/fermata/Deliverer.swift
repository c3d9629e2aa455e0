import Engine
import Foundation
import Ledger
import Logging

/// Tells programs of the site what they are to be told, on threads of its own.
///
/// A process that dies leaves its events to the others, or to its successor. The end of this process is the end of the
/// threads, and what they were telling is told again.
struct Deliverer {
    /// How many programs run at the same time.
    private static let threads = 4
    /// How often each thread looks, in microseconds.
    private static let pauseMicroseconds: UInt32 = 1_000_000

    let engine: Engine
    let logger: Logger

    func start() {
        for number in 0..<Self.threads {
            let thread = Thread { [self] in
                // One after the other, so that somebody looks four times a second.
                usleep(Self.pauseMicroseconds / UInt32(Self.threads) * UInt32(number))
                while true { deliver() }
            }
            thread.name = "deliverer"
            thread.start()
        }
    }

    private func deliver() {
        do {
            guard let delivery = try engine.deliverNext() else {
                usleep(Self.pauseMicroseconds)
                return
            }
            var metadata: Logger.Metadata = [
                "event": "\(delivery.event.id)", "program": "\(delivery.event.program)",
                "attempt": "\(delivery.event.attempts)",
            ]
            if !delivery.output.isEmpty { metadata["output"] = "\(delivery.output)" }
            if let failure = delivery.failure {
                metadata["reason"] = "\(failure)"
                logger.warning("event not delivered", metadata: metadata)
            } else {
                logger.info("event delivered", metadata: metadata)
            }
        } catch {
            logger.error("events can not be delivered", metadata: ["reason": "\(error)"])
            usleep(Self.pauseMicroseconds)
        }
    }
}
