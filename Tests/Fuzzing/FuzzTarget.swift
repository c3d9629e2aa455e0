import Dialects

/// What is fuzzed: each target is a set of rules that must hold whatever the input.
public enum FuzzTarget: String, CaseIterable, Sendable {
    /// The multipart parser, on a body cut into blocks in several ways.
    case multipart
    /// The header block of a part, and the Content-Type of a request.
    case header
    /// The `range` parameter, and integer fields.
    case range
    /// JSON and the relaxed literal.
    case literal
    /// The parameters of a mount: a line of NAME=VALUE for each.
    case settings
    /// Requests in a dialect, handled from their bytes to the published file.
    case dcloud, fileid, parts, offset, signed

    /// Tries one input.
    public typealias Run = @Sendable (_ input: [UInt8]) throws -> Void

    /// Makes ready to try inputs, one at a time.
    public func prepare() throws -> Run {
        switch self {
        case .multipart: return checkMultipart
        case .header: return checkHeader
        case .range: return checkRange
        case .literal: return checkLiteral
        case .settings: return checkSettings
        case .dcloud, .fileid, .parts, .offset, .signed:
            guard let dialect = DialectRegistry.shipped[rawValue] else {
                throw BrokenRule(description: "there is no dialect \(rawValue)")
            }
            return try Requests(dialect).check
        }
    }
}

/// A rule that an input has broken.
struct BrokenRule: Error, CustomStringConvertible {
    let description: String
}

/// Says which rule is broken unless a condition holds.
func hold(_ condition: Bool, _ rule: @autoclosure () -> String) throws {
    guard condition else { throw BrokenRule(description: rule()) }
}
