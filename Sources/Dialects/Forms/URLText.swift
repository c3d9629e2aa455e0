extension String {
    /// The text as a path in a URL: all but unreserved characters and `/` encoded (RFC 3986 2.3, 3.3).
    var percentEncodedPath: String { percentEncoded { $0 == UInt8(ascii: "/") } }

    /// The text as a value in the query of a URL, or as one component of its path.
    package var percentEncodedComponent: String { percentEncoded { _ in false } }

    private func percentEncoded(_ isKept: (UInt8) -> Bool) -> String {
        var text = ""
        for byte in utf8 {
            switch byte {
            case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                text.append(Character(Unicode.Scalar(byte)))
            case _ where isKept(byte):
                text.append(Character(Unicode.Scalar(byte)))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                text += digits.count == 1 ? "%0" + digits : "%" + digits
            }
        }
        return text
    }
}
