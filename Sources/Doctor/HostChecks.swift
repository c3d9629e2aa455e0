import Foundation
import Staging

/// What is wrong with directories, disks and limits.
public enum HostChecks {
    /// How much space there should be, in bytes.
    private static let spaceMin: Int64 = 1 << 30
    /// How many descriptors a request needs.
    private static let descriptorsPerRequest = 6

    /// What is wrong with the state directory.
    public static func diagnoses(state: String) -> [Diagnosis] {
        var isFolder: ObjCBool = false
        guard unsafe FileManager.default.fileExists(atPath: state, isDirectory: &isFolder), isFolder.boolValue else {
            return [
                error("--state \(state)", "the directory is not there", "make it, and give it to the user of serve")
            ]
        }
        guard unsafe access(state, R_OK | W_OK | X_OK) == 0 else {
            return [
                error(
                    "--state \(state)",
                    "this user may not write to it",
                    "run doctor as the user of serve; if it is that, chown the directory to it"
                )
            ]
        }
        return space(of: state, "--state \(state)")
    }

    /// A ledger that can not be opened.
    public static func brokenLedger(_ reason: String) -> Diagnosis {
        error("ledger", reason, "run doctor as the user of serve; a ledger that is damaged is for the last backup")
    }

    /// A root that is not used, and what to do about it.
    public static func unavailable(root: String, _ problem: String, _ remedy: String) -> Diagnosis {
        error("root \(root)", problem, remedy)
    }

    /// What is wrong with a root that belongs to the ledger, or may.
    public static func diagnoses(root: String) -> [Diagnosis] {
        let place = "root \(root)"
        guard FileManager.default.fileExists(atPath: root) else {
            return [error(place, "the directory is not there", "make it, and give it to the user of serve")]
        }
        do {
            let area = try StagingArea.open(root: root)
            let file = try StagingFile.anonymous(in: area)
            try file.reserve(total: 4096)
        } catch {
            return [
                Self.error(
                    place,
                    "no file can be staged in it: \(error)",
                    "give it to the user of serve, on a file system with O_TMPFILE such as ext4, XFS, Btrfs or tmpfs"
                )
            ]
        }
        return space(of: root, place)
    }

    private static func space(of path: String, _ place: String) -> [Diagnosis] {
        guard let space = DiskSpace(of: path), space.available < spaceMin else { return [] }
        return [
            Diagnosis(
                severity: .warning,
                place: place,
                problem: "only \(space.available >> 20) MiB are left",
                fix: "make space; uploads that do not fit are refused with 507, and nothing is lost"
            )
        ]
    }

    /// What is wrong with the limits of processes.
    public static func diagnoses(workers: Int) -> [Diagnosis] {
        var limit = rlimit()
        guard unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 else { return [] }
        let wanted = workers * descriptorsPerRequest + 64
        guard limit.rlim_max < rlim_t(wanted) else { return [] }
        return [
            Diagnosis(
                severity: .warning,
                place: "open files",
                problem: "\(limit.rlim_max) may be open, \(workers) workers need \(wanted)",
                fix: "LimitNOFILE=\(wanted) in the service, or ulimit -Hn \(wanted), or fewer --workers"
            )
        ]
    }

    private static func error(_ place: String, _ problem: String, _ fix: String) -> Diagnosis {
        Diagnosis(severity: .error, place: place, problem: problem, fix: fix)
    }
}
