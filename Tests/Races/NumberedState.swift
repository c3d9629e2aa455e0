import Digests
import Uploads

/// What the clients of an upload with numbered parts know of it.
struct NumberedState: Sendable {
    /// What was sent as a part.
    struct Version {
        let number: Int
        let bytes: [UInt8]
        let digest: String
    }

    /// A call that completes the upload.
    struct Completion {
        /// The versions of the parts, ascending by their numbers.
        let versions: [Int]
        var period: Period
        /// `nil` as long as nobody knows.
        var isAcknowledged: Bool?
    }

    var requests: NumberedRequests
    /// Its offsets are the numbers of parts.
    var history = History()
    var versions: [Int: Version] = [:]
    var completions: [Int: Completion] = [:]
    var confirmed: Set<String> = []
    var confirmations: Set<String> = []
    var number = 0
    var requestCount = 0
    var log: [String] = []

    mutating func nextNumber() -> Int {
        number += 1
        return number
    }

    /// Whether a completion may have happened by the end of a look.
    func mayBeFinished(during look: Period, besides own: Int? = nil) -> Bool {
        completions.contains {
            $0.key != own && $0.value.isAcknowledged != false && $0.value.period.began < look.ended
        }
    }

    func isFinished(before look: Period) -> Bool {
        completions.values.contains { $0.isAcknowledged == true && $0.period.precedes(look) }
    }
}

extension NumberedState {
    /// The version of a part that was acknowledged last.
    func latest(_ number: Int) -> Int? {
        history.attempts.filter { $0.value.isCertain && $0.value.covers(number) }
            .max { $0.value.period.ended < $1.value.period.ended }?.value.version
    }

    /// Whether an upload that is over explains a refusal.
    func isExplained(_ status: Int, _ period: Period) -> Bool {
        [404, 409].contains(status) && (history.mayBeGone(during: period) || mayBeFinished(during: period))
    }

    /// What is wrong with a list of parts.
    func faults(of parts: [NumberedRequests.Part], _ numbers: [Int], _ look: Period) -> [String] {
        var faults: [String] = []
        for part in parts {
            let sent = versions.filter { $0.value.number == part.number && $0.value.digest == part.digest }
            if sent.isEmpty { faults.append("part \(part.number) is \(part.digest), which nobody sent") }
            if !sent.keys.contains(where: { history.mayHold($0, at: part.number, during: look) }), !sent.isEmpty {
                faults.append("part \(part.number) is of version \(sent.keys.sorted()), which was replaced or refused")
            }
        }
        if mayBeFinished(during: look) { return faults }
        for number in numbers where !parts.contains(where: { $0.number == number }) {
            if !history.mayLack(at: number, during: look) {
                faults.append("part \(number) was acknowledged and is lost")
            }
        }
        return faults
    }

    /// What is wrong with a completion that was acknowledged.
    func faults(ofCompletion attempt: Int, _ look: Period) -> [String] {
        guard let own = completions[attempt] else { return [] }
        var faults: [String] = []
        for other in completions.values where other.isAcknowledged == true && other.versions != own.versions {
            faults.append("[\(attempt)] \(own.versions) and \(other.versions) are both told to be the file")
        }
        // Parts that came later do not count once it is finished.
        if mayBeFinished(during: look, besides: attempt) { return faults }
        for version in own.versions {
            guard let number = versions[version]?.number else { continue }
            if !history.mayHold(version, at: number, during: look) {
                faults.append("[\(attempt)] is made of version \(version), which was replaced")
            }
        }
        if history.isGone(before: look) { faults.append("[\(attempt)] what was removed is completed") }
        return faults
    }
}

/// The MD5 of bytes, as hexadecimal digits.
func md5(_ bytes: [UInt8]) -> String {
    let state = MD5()
    state.update(bytes.span)
    return state.finish().description
}
