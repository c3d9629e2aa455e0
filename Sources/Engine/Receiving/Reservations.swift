import Ledger
import Staging
import Uploads

// Quotas of files that belong to no session: set aside before the first of a form has its name, counted when each has it.
//
// A file with a reservation bears a staging name from before the reservation is made until it gets its own. One that bears
// it still has not got its own: what is set aside for it is given back before that name goes. So whoever finds the
// reservation of a process that has died knows what became of its file.

extension Intake {
    /// Sets aside what files of the principal's quota take, all or none; none where there is no quota.
    func reserve(_ uploads: [HeldUpload], in area: borrowing StagingArea) throws(UploadError) -> [Reservation] {
        guard let bytesMax = mount.principalLimits.bytesMax, !uploads.isEmpty else { return [] }
        var reservations: [Reservation] = []
        do throws(UploadError) {
            for upload in uploads {
                let name = try stagingName(of: upload.file)
                reservations.append(Reservation(root: mount.root, staging: name, bytes: upload.spec.total))
            }
            try engine.ledger.reserve(
                reservations,
                bytesMax,
                of: mount.principal,
                on: mount.name,
                now: engine.now()
            )
        } catch {
            giveBack(reservations[...], in: area)
            throw error
        }
        return reservations
    }

    /// Gives back what was set aside for files that are not to get their names.
    func giveBack(_ reservations: ArraySlice<Reservation>, in area: borrowing StagingArea) {
        for reservation in reservations { engine.giveBack(reservation, in: area) }
    }
}

extension Engine {
    /// Counts a file that has got its name. Should that fail a sweep does it: what has its name already is not refused for
    /// it.
    func count(_ reservation: Reservation) {
        do { try ledger.settle(reservation, isPublished: true) } catch {
            postpone("count usage", of: "", in: reservation.root, error.reason)
        }
    }

    /// Gives back what was set aside for a file that is not to get its name, and removes the file. Should that fail a sweep
    /// does it.
    func giveBack(_ reservation: Reservation, in area: borrowing StagingArea) {
        do { try ledger.settle(reservation, isPublished: false) } catch {
            // As long as there may be a reservation, the file would seem to have its own name without the other.
            return postpone("give back usage", of: "", in: reservation.root, error.reason)
        }
        try? area.remove(reservation.staging)
    }

    /// Finds out what became of files whose processes have died before they settled their reservations.
    ///
    /// - Parameter root: of which root alone; `nil` for all.
    func settleReservations(of root: String? = nil) throws(UploadError) {
        for reservation in try ledger.reservations() where root == nil || reservation.root == root {
            do throws(UploadError) {
                let area = try area(reservation.root)
                if try isInUse(RestingFiles.nameInUse(for: reservation.staging), in: area) { continue }
                if try staged({ () throws(StagingError) in try area.holds(reservation.staging) }) {
                    giveBack(reservation, in: area)
                } else {
                    count(reservation)
                }
            } catch .stagingUnavailable {
                continue
            }
        }
    }
}
