/// Undoes quoted-printable (RFC 2045 6.7), piece by piece and in constant memory.
///
/// `=XX` is a byte, with digits in either case; `=` at the end of a line joins it with the next one; blanks at the end of a
/// line, and of the data, were added on the way. Line ends stay what they are. A `=` before anything else is refused.
struct QuotedPrintableDecoder {
    /// How many blanks may follow each other: more cannot be in a line of 76 characters by far.
    static let blanksMax = 1_000

    private enum State {
        case text
        /// Behind blanks, and perhaps a CR, which are the line's end if LF or the end of the data follows.
        case blanks
        case blanksAndCR
        /// Behind `=`.
        case escape
        /// Behind `=` and a hexadecimal digit.
        case digit(UInt8)
        /// Behind `=` and blanks, or `=`, perhaps blanks, and a CR.
        case softBreak
        case softBreakCR
    }

    private var state = State.text
    private var blanks: [UInt8] = []

    /// Appends what some bytes stand for: at most as many, and blanks that were held back.
    mutating func decode(_ bytes: Span<UInt8>, into decoded: inout [UInt8]) throws(TransferFailure) {
        for index in bytes.indices { try take(bytes[index], &decoded) }
    }

    /// Ends the data, and with it the last line.
    mutating func finish(into decoded: inout [UInt8]) throws(TransferFailure) {
        switch state {
        case .text, .blanks: break
        case .blanksAndCR: release(&decoded, and: 0x0D)
        case .escape, .digit, .softBreak, .softBreakCR: throw .truncated
        }
    }

    private mutating func take(_ byte: UInt8, _ decoded: inout [UInt8]) throws(TransferFailure) {
        switch state {
        case .text:
            switch byte {
            case UInt8(ascii: "="): state = .escape
            case 0x20, 0x09:
                blanks.append(byte)
                state = .blanks
            case _: decoded.append(byte)
            }
        case .blanks:
            switch byte {
            case 0x20, 0x09:
                guard blanks.count < Self.blanksMax else { throw .blanks(max: Self.blanksMax) }
                blanks.append(byte)
            case 0x0D: state = .blanksAndCR
            case 0x0A:
                blanks.removeAll(keepingCapacity: true)
                decoded.append(byte)
                state = .text
            case _:
                release(&decoded)
                try take(byte, &decoded)
            }
        case .blanksAndCR:
            if byte == 0x0A {
                blanks.removeAll(keepingCapacity: true)
                decoded += [0x0D, 0x0A]
                state = .text
            } else {
                release(&decoded, and: 0x0D)
                try take(byte, &decoded)
            }
        case .escape:
            if let digit = byte.hexadecimalValue { state = .digit(digit) } else { try takeSoftBreak(byte) }
        case .digit(let high):
            guard let low = byte.hexadecimalValue else { throw .escape }
            decoded.append(high << 4 | low)
            state = .text
        case .softBreak: try takeSoftBreak(byte)
        case .softBreakCR:
            guard byte == 0x0A else { throw .escape }
            state = .text
        }
    }

    /// Takes a byte behind a `=` that is to be the last one of its line.
    private mutating func takeSoftBreak(_ byte: UInt8) throws(TransferFailure) {
        switch byte {
        case 0x20, 0x09: state = .softBreak
        case 0x0D: state = .softBreakCR
        case 0x0A: state = .text
        case _: throw .escape
        }
    }

    /// Hands on what was held back, as it is no end of a line.
    private mutating func release(_ decoded: inout [UInt8], and last: UInt8? = nil) {
        decoded += blanks
        if let last { decoded.append(last) }
        blanks.removeAll(keepingCapacity: true)
        state = .text
    }
}
