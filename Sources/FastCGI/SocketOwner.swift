public import Glibc

/// The owner, and perhaps the group, of a unix socket.
public struct SocketOwner: Hashable, Sendable {
    /// The owner's user number.
    public let user: uid_t
    /// The group's number; `nil` leaves it as it is.
    public let group: gid_t?

    /// Why a text names no owner.
    public struct Invalid: Error, CustomStringConvertible {
        /// What is wrong.
        public let description: String
    }

    /// Reads `user` or `user:group`, by name.
    public init(parsing text: String) throws(Invalid) {
        let names = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        guard let entry = unsafe getpwnam(names[0]) else {
            throw Invalid(description: "there is no user '\(names[0])'")
        }
        user = unsafe entry.pointee.pw_uid
        if names.count == 1 {
            group = nil
        } else if let entry = unsafe getgrnam(names[1]) {
            group = unsafe entry.pointee.gr_gid
        } else {
            throw Invalid(description: "there is no group '\(names[1])'")
        }
    }
}
