import Uploads

/// What programs and manifests say of a file: JSON in UTF-8 (docs/hand-off.md).
struct FileDocument {
    /// How many bytes of data fields a document has at most, before they are escaped.
    static let fieldBytesMax = 1 << 20

    private var bytes: [UInt8] = []

    /// - Parameters:
    ///   - event: `whole` for a veto, else `published`.
    ///   - path: where the file can be read now; absolute.
    ///   - name: its path below the root: the one that it has, or the one that it would have if that is free.
    init(event: String, key: String, _ spec: FileSpec, _ account: FileAccount, path: String, name: String) {
        bytes.append(UInt8(ascii: "{"))
        append("event", event)
        append("key", key)
        append("mount", Mount.shortName(of: account.session.mount))
        append("principal", account.session.principal)
        append("upload", account.session.id)
        append("path", path)
        append("name", name)
        append("field", spec.field)
        append("fileName", spec.fileName)
        append("type", spec.mediaType)
        beginMember("size")
        bytes += String(spec.total).utf8
        append(account.fields)
        bytes.append(UInt8(ascii: "}"))
    }

    /// The document.
    var encoded: [UInt8] { bytes }

    /// Appends the data fields: a string for each name, or an array where there are several values. Those that have no room
    /// are counted.
    private mutating func append(_ fields: [FormField]) {
        var names: [[UInt8]] = []
        var values: [[UInt8]: [String]] = [:]
        var count = 0
        var leftOut = 0
        for field in fields {
            count += field.name.utf8.count + field.value.utf8.count
            if count > Self.fieldBytesMax {
                leftOut += 1
                continue
            }
            // Names are told apart by their bytes: strings that look alike are equal.
            let name = Array(field.name.utf8)
            if values[name] == nil { names.append(name) }
            values[name, default: []].append(field.value)
        }
        beginMember("fields")
        bytes.append(UInt8(ascii: "{"))
        for (index, name) in names.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(quoting: name)
            bytes.append(UInt8(ascii: ":"))
            append(values[name] ?? [])
        }
        bytes.append(UInt8(ascii: "}"))
        if leftOut > 0 {
            beginMember("fieldsLeftOut")
            bytes += String(leftOut).utf8
        }
    }

    private mutating func append(_ values: [String]) {
        if values.count == 1 { return append(quoting: Array(values[0].utf8)) }
        bytes.append(UInt8(ascii: "["))
        for (index, value) in values.enumerated() {
            if index > 0 { bytes.append(UInt8(ascii: ",")) }
            append(quoting: Array(value.utf8))
        }
        bytes.append(UInt8(ascii: "]"))
    }

    private mutating func append(_ name: String, _ value: String) {
        beginMember(name)
        append(quoting: Array(value.utf8))
    }

    private mutating func beginMember(_ name: String) {
        if bytes.count > 1 { bytes.append(UInt8(ascii: ",")) }
        append(quoting: Array(name.utf8))
        bytes.append(UInt8(ascii: ":"))
    }

    /// Appends a string (RFC 8259 7).
    private mutating func append(quoting text: [UInt8]) {
        bytes.append(UInt8(ascii: "\""))
        for byte in text {
            switch byte {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"):
                bytes.append(UInt8(ascii: "\\"))
                bytes.append(byte)
            case 0..<0x20, 0x7F:
                let digits = String(byte, radix: 16)
                bytes += ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8
            default: bytes.append(byte)
            }
        }
        bytes.append(UInt8(ascii: "\""))
    }
}
