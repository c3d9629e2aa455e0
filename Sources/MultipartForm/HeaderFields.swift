/// The fields of a header block, by their places.
struct HeaderFields {
    /// The block, unfolded.
    private(set) var block: [UInt8]
    private var fields: [(name: Range<Int>, value: Range<Int>)] = []

    /// - Throws: `headerMalformed`.
    init(_ block: [UInt8]) throws(MultipartError) {
        self.block = block
        var start = 0
        while start < block.count {
            let end = Self.lineEnd(block, from: start)
            if end + 2 < block.count, block[end + 2].isBlank {
                self = try HeaderFields(Self.unfolding(block))
                return
            }
            try take(start..<end)
            start = end + 2
        }
    }

    /// Where the trimmed value of a field stands; `nil` when there is none.
    ///
    /// - Parameter name: in lower case.
    /// - Throws: `headerRepeated`.
    func range(of name: String) throws(MultipartError) -> Range<Int>? {
        var found: Range<Int>?
        for field in fields where block.isSame(field.name, asLowercase: name) {
            if let found, block[found] != block[field.value] { throw .headerRepeated(name) }
            found = field.value
        }
        return found
    }

    /// Takes a line. One with a CR or LF of its own would mean different things to different readers; one that begins with
    /// dashes is a delimiter line in a header that has no end.
    private mutating func take(_ line: Range<Int>) throws(MultipartError) {
        var colon = line.lowerBound
        var (blanksAtEnd, hasBlanks, isMalformed) = (0, false, false)
        while colon < line.upperBound, block[colon] != UInt8(ascii: ":") {
            if block[colon].isBlank {
                blanksAtEnd += 1
            } else {
                if blanksAtEnd > 0 { hasBlanks = true }
                blanksAtEnd = 0
                if !(0x21...0x7E).contains(block[colon]) { isMalformed = true }
            }
            colon += 1
        }
        var index = colon
        while index < line.upperBound {
            if block[index] == 0x0D || block[index] == 0x0A { isMalformed = true }
            index += 1
        }
        let name = line.lowerBound..<colon - blanksAtEnd
        guard !isMalformed, colon < line.upperBound, let first = block[name].first, !first.isBlank,
            !block[name].starts(with: "--".utf8)
        else { throw .headerMalformed(clientText(block[line])) }
        if hasBlanks { return }
        fields.append((name, block.trimmingWhiteSpace(colon + 1..<line.upperBound)))
    }

    /// Where the next CRLF is, or the end.
    private static func lineEnd(_ block: [UInt8], from start: Int) -> Int {
        var index = start
        while index + 1 < block.count {
            if block[index] == 0x0D, block[index + 1] == 0x0A { return index }
            index += 1
        }
        return block.count
    }

    /// The block with each folded line behind the one before, separated by a space.
    private static func unfolding(_ block: [UInt8]) -> [UInt8] {
        var unfolded: [UInt8] = []
        var start = 0
        // What stands before `done` is in `unfolded`.
        var done = 0
        while start < block.count {
            let next = lineEnd(block, from: start) + 2
            guard next < block.count else { break }
            if block[next].isBlank {
                let line = block.trimmingWhiteSpace(next..<lineEnd(block, from: next))
                unfolded += block[done..<next - 2] + [0x20]
                done = line.lowerBound
            }
            start = next
        }
        return done == 0 ? block : unfolded + block[done...]
    }
}
