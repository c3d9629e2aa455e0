import MultipartForm
import Uploads

/// The members of a JSON call (docs/dialects/signed.md 5), each read with a message that names it.
struct CallArguments {
    private let json: JSON

    init(_ json: JSON) {
        self.json = json
    }

    /// A string that must be there and not be empty.
    func text(_ name: String) throws(SignedError) -> String {
        guard let text = json[name]?.text, !text.isEmpty else { throw .badRequest("\(name) is required, as a string") }
        return text
    }

    /// A string that may be missing.
    func optionalText(_ name: String) -> String? { json[name]?.text }

    /// An integer of 0 ... 2^63-1 that must be there.
    func natural(_ name: String) throws(SignedError) -> Int64 {
        guard let number = json[name]?.natural else {
            throw .badRequest("\(name) is required, as an integer in digits alone")
        }
        return number
    }

    /// An integer that may be missing.
    func optionalNatural(_ name: String) throws(SignedError) -> Int64? {
        switch json[name] {
        case nil, .null: nil
        case _: try natural(name)
        }
    }

    /// The list of parts, sorted: objects of part_number and etag, or arrays of the two (docs/dialects/signed.md D3-6).
    func claims() throws(SignedError) -> [PartClaim] {
        guard case .array(let entries) = json["parts"], !entries.isEmpty else {
            throw .badRequest("parts is required, as an array of part_number and etag")
        }
        guard entries.count <= Part.numberMax else {
            throw .badRequest("parts may have at most \(Part.numberMax) entries")
        }
        var claims: [PartClaim] = []
        for entry in entries {
            let (number, etag): (JSON?, JSON?) =
                if case .array(let pair) = entry, pair.count == 2 { (pair[0], pair[1]) } else {
                    (entry["part_number"], entry["etag"])
                }
            guard let number = number?.natural, number <= Part.numberMax else {
                throw .badRequest("part_number must be an integer of 1 to \(Part.numberMax), in digits alone")
            }
            guard let digest = etag?.text.flatMap({ MD5Digest(parsing: $0) }) else {
                throw .badRequest("etag of part \(number) is not one that this server has given")
            }
            claims.append(PartClaim(number: Int(number), digest: digest))
        }
        return claims.sorted { $0.number < $1.number }
    }

    /// All members as they came, each of which but those that name objects must be a scalar (docs/dialects/signed.md
    /// 5.6).
    func metadata() throws(SignedError) -> JSON {
        guard case .object(let members) = json else { throw .badRequest("the body must be a JSON object") }
        var last: [(String, JSON)] = []
        var indices: [ByBytes: Int] = [:]
        for (name, value) in members {
            switch value {
            case .array, .object: throw .badRequest("\(name) must be a string, a number, true, false or null")
            case .string, .integer, .number, .boolean, .null: break
            }
            if let index = indices[ByBytes(name)] {
                last[index].1 = value
            } else {
                indices[ByBytes(name)] = last.count
                last.append((name, value))
            }
        }
        return .object(last)
    }
}
