/// The delimiter CRLF `--` boundary, and the search for it.
///
/// It starts with its only CR, since a boundary has none. So where a match breaks off, no other match can have begun in
/// the bytes that did match, and nothing is looked at twice: the search is linear whatever the input.
struct Delimiter {
    /// How many of the delimiter's bytes are its CRLF.
    static let lineEndCount = 2

    /// The delimiter's bytes.
    let bytes: [UInt8]
    /// How far the search may move on for each byte at the end of its window (Horspool 1980): to where that byte's
    /// last occurrence in the delimiter, but for its end, comes to stand.
    private let shifts: [UInt8]

    init(_ boundary: Boundary) {
        let bytes = [0x0D, 0x0A, UInt8(ascii: "-"), UInt8(ascii: "-")] + boundary.bytes
        var shifts = [UInt8](repeating: UInt8(bytes.count), count: 256)
        for (index, byte) in bytes.dropLast().enumerated() { shifts[Int(byte)] = UInt8(bytes.count - 1 - index) }
        self.bytes = bytes
        self.shifts = shifts
    }

    /// How many places are looked at together.
    private static let stride = 64

    /// The first place in `block` from `start` where the delimiter stands, or where the block ends within what may
    /// become one; `matched` is how many of its bytes are there.
    ///
    /// Most strides have no CR with the delimiter's last byte at its distance. One that has is searched in the way of
    /// Horspool, so that input which is made of such pairs costs little more than that.
    func search(_ block: Span<UInt8>, from start: Int) -> (offset: Int, matched: Int)? {
        let last = bytes.count - 1
        let lastByte = bytes[last]
        var offset = start
        while offset + last < block.count {
            let end = min(offset + Self.stride, block.count - last)
            if end == offset + Self.stride, !Self.mayBegin(block, at: offset, lastByte, at: offset + last) {
                offset = end
            } else if let found = search(block, &offset, to: end) {
                return (found, bytes.count)
            }
        }
        while offset < block.count {
            if block[offset] == 0x0D {
                let matched = matchedPrefix(block, at: offset)
                if offset + matched == block.count { return (offset, matched) }
                offset += matched
            } else {
                offset += 1
            }
        }
        return nil
    }

    /// Whether the delimiter may begin in the stride at `offset`. The compiler makes vector instructions of this loop.
    private static func mayBegin(_ block: Span<UInt8>, at begin: Int, _ lastByte: UInt8, at end: Int) -> Bool {
        let first = block.extracting(begin..<begin + stride)
        let second = block.extracting(end..<end + stride)
        var difference: UInt8 = 255
        for index in 0..<stride { difference = min(difference, (first[index] ^ 0x0D) | (second[index] ^ lastByte)) }
        return difference == 0
    }

    /// Moves `offset` on to `end` or beyond, unless the delimiter stands between; then that place is returned.
    ///
    /// - Precondition: behind `end` the block has as many bytes as the delimiter, but for one.
    private func search(_ block: Span<UInt8>, _ offset: inout Int, to end: Int) -> Int? {
        let pattern = bytes.span
        let shifts = shifts.span
        let (count, last) = (pattern.count, pattern.count - 1)
        let lastByte = pattern[last]
        while offset < end {
            let byte = block[offset + last]
            if byte != lastByte {
                offset += Int(shifts[Int(byte)])
            } else if block[offset] == 0x0D {
                let matched = matchedPrefix(block, at: offset)
                if matched == count { return offset }
                // The bytes after the first that matched are no CR.
                offset += matched
            } else {
                // The delimiter begins with a CR, at the next one in the window if at all: a shift by the last byte's own
                // occurrences would be a byte at a time where a boundary repeats it.
                let windowEnd = offset + last
                offset += 1
                while offset < windowEnd, block[offset] != 0x0D { offset += 1 }
            }
        }
        return nil
    }

    /// How many bytes from `offset`, which holds a CR, are those of the delimiter; stops where either ends.
    private func matchedPrefix(_ block: Span<UInt8>, at offset: Int) -> Int {
        let pattern = bytes.span
        let count = min(pattern.count, block.count - offset)
        var matched = 1
        while matched < count, block[offset + matched] == pattern[matched] { matched += 1 }
        return matched
    }
}
