import Dialects
import Foundation
import Uploads

/// What `--json` prints: an object on a line.
enum JSONLine {
    static func encode(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return shown(try encoder.encode(value))
    }

    /// JSON as a terminal may have it: no name moves the cursor or turns the direction of the line.
    private static func shown(_ json: some Sequence<UInt8>) -> String {
        var line = ""
        for scalar in String(decoding: Array(json), as: UTF8.self).unicodeScalars {
            if scalar.isShown {
                line.unicodeScalars.append(scalar)
            } else {
                for unit in String(scalar).utf16 {
                    let digits = String(unit, radix: 16)
                    line += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
                }
            }
        }
        return line
    }

    /// The same with a member whose own members are a client's, of which the encoder would merge some.
    static func encode(_ value: some Encodable, with member: (String, JSON)) throws -> String {
        guard case .object(let members) = try JSONReader.read(Array(encode(value).utf8)) else {
            throw CommandFailure("this can not be shown as JSON")
        }
        let json = JSON.object((members + [member]).sorted { $0.0 < $1.0 })
        return shown(json.encoded)
    }
}
