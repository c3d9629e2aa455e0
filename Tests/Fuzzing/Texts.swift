import Dialects
import Foundation
import MultipartForm
import Uploads

/// A header block is read without a word that was not in it, and means the same however it is folded.
@Sendable
func checkHeader(_ input: [UInt8]) throws {
    guard let header = try? PartHeader(input) else { return }
    let text = clientBytes(header)
    try hold(text.count <= 8 * input.count, "a header grows beyond its block")
    if header.range != nil || header.hasFileName {
        try hold(header.isFile(scalarFields: []), "a part with a range or a file name is a file")
    }
    if let name = header.fileName, let safe = FileName.sanitized(name) {
        try hold(
            !safe.isEmpty && safe != "." && safe != ".." && !safe.contains("/") && !safe.contains("\\"),
            "a safe name is one component: \(safe)"
        )
        try hold(FileName.sanitized(safe) == safe, "a safe name stays as it is: \(safe)")
    }
    let contentType = String(decoding: input, as: UTF8.self)
    if let boundary = try? Boundary(contentType: contentType) {
        try hold((1...Boundary.bytesMax).contains(boundary.bytes.count), "a boundary has from 1 byte to its limit")
        try hold(!boundary.bytes.contains(0x0D) && !boundary.bytes.contains(0x0A), "a boundary is on one line")
    }
}

private func clientBytes(_ header: PartHeader) -> [UInt8] {
    [header.name, header.fileName, header.contentType, header.range].compactMap(\.self)
        .flatMap(\.utf8)
}

/// What is a range has its numbers in order, and reads the same when it is written again.
@Sendable
func checkRange(_ input: [UInt8]) throws {
    let text = String(decoding: input, as: UTF8.self)
    if let range = try? RangeParameter(parsing: text) {
        try hold(
            0 <= range.start && range.start <= range.end && range.end <= range.total,
            "a range is in order: \(range)"
        )
        let again = try RangeParameter(parsing: "\(range.start)-\(range.end)/\(range.total)")
        try hold(again == range, "a range reads as it was written: \(range)")
    }
    if let number = IntegerField.parse(text) {
        try hold(number >= 0, "an integer field is not negative: \(number)")
        try hold(IntegerField.parse("\(number)") == number, "a number reads as it was written: \(number)")
    }
}

/// What is JSON is also a relaxed literal of the same value, which is read again from what is written of it, and which
/// Foundation can read.
@Sendable
func checkLiteral(_ input: [UInt8]) throws {
    let strict = try? JSONReader.read(input)
    let relaxed = try? JSONReader.read(input, .relaxed)
    if let strict {
        try hold(relaxed == strict, "JSON is a relaxed literal of the same value")
        // Foundation reads no number beyond a Double's range, though the grammar has it (RFC 8259 6).
        let isReadable = (try? JSONSerialization.jsonObject(with: Data(input), options: .fragmentsAllowed)) != nil
        try hold(isReadable || strict.hasInfiniteNumber, "what is read as JSON is JSON")
    }
    if let relaxed {
        for isHTML in [false, true] {
            let written = relaxed.encoded(asHTML: isHTML)
            try hold(try JSONReader.read(written) == relaxed, "a value is read as it was written")
            try hold(!written.contains(UInt8(ascii: "<")), "no browser takes JSON for HTML")
        }
    }
}

extension JSON {
    /// Whether there is a number in it that a Double can not hold.
    fileprivate var hasInfiniteNumber: Bool {
        switch self {
        case .number(let text): Double(text).map { !$0.isFinite } ?? true
        case .array(let elements): elements.contains(where: \.hasInfiniteNumber)
        case .object(let members): members.contains { $0.1.hasInfiniteNumber }
        case .string, .integer, .boolean, .null: false
        }
    }
}
