import MultipartForm
import Uploads

extension JSON {
    /// The last member of a name; `nil` when there is none, or this is no object.
    subscript(name: String) -> JSON? {
        guard case .object(let members) = self else { return nil }
        return members.last { $0.0.isSame(as: name) }?.1
    }

    /// The text of a string.
    var text: String? {
        guard case .string(let text) = self else { return nil }
        return text
    }

    /// An integer of 0 ... 2^63-1, which may be sent as a decimal string (docs/dialects/README.md 0.3).
    var natural: Int64? {
        switch self {
        case .integer(let number): number >= 0 ? number : nil
        case .string(let text): IntegerField.parse(text)
        case .number, .boolean, .null, .array, .object: nil
        }
    }

    /// A scalar as a form would have it.
    package var fieldValue: String? {
        switch self {
        case .string(let text), .number(let text): text
        case .integer(let number): String(number)
        case .boolean(let flag): flag ? "true" : "false"
        case .null, .array, .object: nil
        }
    }
}
