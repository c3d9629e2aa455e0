import Ledger
import Staging
import Uploads

// Quotas of files that belong to no session: set aside before the first of a form has its name, counted when each has it.

extension Intake {
    /// Sets aside what files of the principal's quota take, all or none; none where there is no quota.
    func reserve(_ sizes: [Int64]) throws(UploadError) -> [Reservation] {
        guard let bytesMax = mount.principalLimits.bytesMax else { return [] }
        let reservations = sizes.map { Reservation(key: StagingArea.makeName(), bytes: $0) }
        try engine.ledger.reserve(
            reservations,
            bytesMax,
            of: mount.principal,
            on: mount.name,
            now: engine.now()
        )
        return reservations
    }

    /// Counts the file of a reservation, or gives the bytes back. Should that fail they come back by themselves, in time:
    /// what has its name already is not refused for it.
    func settle(_ reservation: Reservation?, isPublished: Bool) {
        guard let reservation else { return }
        do { try engine.ledger.settle(reservation, isPublished: isPublished) } catch {
            let operation = isPublished ? "count usage" : "give back usage"
            engine.postpone(operation, of: "", in: mount.root, error.reason, fate: .givenUp)
        }
    }
}
