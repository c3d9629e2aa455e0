import Foundation

/// What a client, and time, do to a server, as a text that can be read and changed:
///
///     POST /m/upload
///     Content-Type: application/json
///
///     {"uploadId":"{uploadId}"}
///     ~~~~
///     WAIT 3600
///     ~~~~
///     RESTART
///
/// `{name}` stands for what an earlier answer had as its member of that name: the last one, or with `{name.1}` the first
/// of its answer. A `Content-Length` that is too large says that the client goes before the end.
struct Conversation {
    /// How many steps count.
    static let stepsMax = 40

    enum Step {
        case request(Request)
        /// Seconds go by.
        case wait(Int64)
        /// The machine loses power and the server is started again.
        case restart
    }

    struct Request {
        let method: String
        let target: String
        let fields: [(name: String, value: String)]
        let body: [UInt8]
    }

    /// The texts of the steps.
    let texts: [[UInt8]]

    init(parsing input: [UInt8]) {
        let separator = Array("\n~~~~\n".utf8)
        texts = Data(input).split(separator: separator, maxSplits: Self.stepsMax - 1).map { Array($0) }
    }

    /// Reads a step; `nil` when it is none.
    ///
    /// - Parameter names: what stands for the names in it.
    static func step(_ text: [UInt8], knowing names: [String: String]) -> Step? {
        let text = filled(text, names)
        let (head, body) = divided(text)
        let lines = String(decoding: head, as: UTF8.self).split(separator: "\n").map {
            $0.hasSuffix("\r") ? $0.dropLast() : $0
        }
        guard let words = lines.first?.split(separator: " ", maxSplits: 1).map(String.init), let method = words.first
        else { return nil }
        let target = words.count > 1 ? words[1] : ""
        switch method {
        case "WAIT": return Int64(target).flatMap { (0...(1 << 32)).contains($0) ? .wait($0) : nil }
        case "RESTART": return .restart
        default: break
        }
        let fields: [(name: String, value: String)] = lines.dropFirst().compactMap { line in
            let field = line.split(separator: ":", maxSplits: 1)
            guard field.count == 2 else { return nil }
            return (String(field[0]), field[1].trimmingCharacters(in: .whitespaces))
        }
        return .request(Request(method: method, target: target, fields: fields, body: body))
    }

    /// What stands before the first empty line, and what behind it.
    private static func divided(_ text: [UInt8]) -> (head: [UInt8], body: [UInt8]) {
        let empty: [UInt8] = [0x0A, 0x0A]
        guard let range = Data(text).range(of: Data(empty)) else { return (text, []) }
        return (Array(text[..<range.lowerBound]), Array(text[range.upperBound...]))
    }

    /// A text with what stands for its names.
    private static func filled(_ text: [UInt8], _ names: [String: String]) -> [UInt8] {
        guard !names.isEmpty, text.contains(UInt8(ascii: "{")) else { return text }
        var filled: [UInt8] = []
        var rest = text[...]
        while let open = rest.firstIndex(of: UInt8(ascii: "{")) {
            filled += rest[..<open]
            rest = rest[open...]
            let inner = rest.dropFirst().prefix(40)
            if let close = inner.firstIndex(of: UInt8(ascii: "}")),
                let value = names[String(decoding: rest[(open + 1)..<close], as: UTF8.self)]
            {
                filled += value.utf8
                rest = rest[(close + 1)...]
            } else {
                filled.append(UInt8(ascii: "{"))
                rest = rest.dropFirst()
            }
        }
        return filled + rest
    }
}
