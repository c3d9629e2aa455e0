/// A form as clients send it.
enum Form {
    static let boundary = "----Race"

    struct Part {
        let head: String
        let bytes: [UInt8]

        static func field(_ name: String, _ value: String) -> Part {
            Part(head: #"Content-Disposition: form-data; name="\#(name)""#, bytes: Array(value.utf8))
        }

        static func file(_ bytes: [UInt8], name: String = "file", fileName: String, range: String? = nil) -> Part {
            let range = range.map { #"; range="\#($0)""# } ?? ""
            let head = #"Content-Disposition: form-data; name="\#(name)"; filename="\#(fileName)"\#(range)"#
            return Part(head: head + "\r\nContent-Type: application/octet-stream", bytes: bytes)
        }
    }

    static func request(
        _ parts: [Part],
        _ method: String = "POST",
        at path: String = "",
        boundary: String = boundary
    ) -> WebRequest {
        var body: [UInt8] = []
        for part in parts {
            body += "--\(boundary)\r\n\(part.head)\r\n\r\n".utf8
            body += part.bytes
            body += [13, 10]
        }
        body += "--\(boundary)--\r\n".utf8
        return WebRequest(
            method: method,
            path: path,
            contentType: "multipart/form-data; boundary=\(boundary)",
            body: body
        )
    }

    static func urlEncoded(_ text: String, at path: String = "") -> WebRequest {
        WebRequest(path: path, contentType: "application/x-www-form-urlencoded", body: Array(text.utf8))
    }

    static func json(_ text: String, at path: String) -> WebRequest {
        WebRequest(path: path, contentType: "application/json", body: Array(text.utf8))
    }
}

extension Manner {
    /// Now and then not at once.
    static func random(_ chance: inout Chance, _ request: WebRequest, cuts: Int, of count: Int = 100) -> Manner {
        let drawn = chance.number(0..<count)
        let after = chance.number(0..<request.body.count + 1)
        let pause = UInt32(chance.number(0..<20_000))
        if drawn < cuts { return .cut(after: after, chance.isOne(in: 2) ? 0 : pause) }
        return drawn < cuts + 8 ? .slow(after: after, pause) : .atOnce
    }
}
