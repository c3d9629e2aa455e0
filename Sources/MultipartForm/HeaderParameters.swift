/// The value of a structured header field: a first token and parameters behind semicolons, read as leniently as clients
/// write them (docs/dialects/README.md 0.4).
///
/// 1. Inside quotes only `\"` and `\\` are escapes, as others are Windows paths.
/// 2. A quote that is not followed by optional white space and `;` or the end is a character of the value, as some
///    clients do not escape.
/// 3. `\"` before `;` or the end is an escape only where the next quote without a backslash closes the value; else it is
///    the end of a value whose last character is a backslash: `filename="C:\"; range="0-4/10"`.
/// 4. A value that seems to hold further parameters, since its quote is not closed, is refused. So is a parameter given
///    twice with different values.
/// 5. The first token may be missing: `name="file"; filename="a"`.
struct HeaderParameters {
    private let bytes: [UInt8]
    private var parameters: [Parameter] = []
    /// Whether a parameter is of an extended form, such as `filename*` or `filename*0`.
    private(set) var hasExtended = false

    /// Where a parameter stands.
    private struct Parameter {
        let name: Range<Int>
        /// The value, without the quotes around it.
        let value: Range<Int>
        let hasEscapes: Bool
    }

    /// The parameters of a field whose value is a range of these bytes; all of them by default.
    ///
    /// - Throws: `parameterUnclosed`.
    init(_ bytes: [UInt8], in range: Range<Int>? = nil) throws(MultipartError) {
        let range = range ?? bytes.indices
        self.bytes = bytes
        var scanner = ParameterScanner(bytes: bytes, index: range.lowerBound, end: range.upperBound)
        _ = scanner.take { $0 == UInt8(ascii: ";") || $0 == UInt8(ascii: "=") }
        if scanner.isAt(UInt8(ascii: "=")) { scanner.index = range.lowerBound } else { scanner.skip() }
        while !scanner.isAtEnd {
            let name = bytes.trimmingWhiteSpace(
                scanner.take { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ";") }
            )
            let hasValue = scanner.isAt(UInt8(ascii: "="))
            let behindName = scanner.index
            scanner.skip()
            if bytes[name].contains(UInt8(ascii: "*")) { hasExtended = true }
            guard hasValue else {
                if !name.isEmpty {
                    parameters.append(Parameter(name: name, value: behindName..<behindName, hasEscapes: false))
                }
                continue
            }
            _ = scanner.take { !$0.isWhiteSpace }
            if scanner.isAt(UInt8(ascii: "\"")) {
                guard let quoted = scanner.takeQuoted() else { throw .parameterUnclosed(clientText(bytes[name])) }
                parameters.append(Parameter(name: name, value: quoted.value, hasEscapes: quoted.hasEscapes))
            } else {
                let value = bytes.trimmingWhiteSpace(scanner.take { $0 == UInt8(ascii: ";") })
                scanner.skip()
                parameters.append(Parameter(name: name, value: value, hasEscapes: false))
            }
        }
    }

    /// The raw value of a parameter, unquoted; `nil` when there is none.
    ///
    /// - Parameter name: in lower case; the names of parameters are case-insensitive.
    /// - Throws: `parameterRepeated`.
    func value(of name: String) throws(MultipartError) -> ArraySlice<UInt8>? {
        var found: Parameter?
        for parameter in parameters where bytes.isSame(parameter.name, asLowercase: name) {
            if let found, bytes[found.value] != bytes[parameter.value] { throw .parameterRepeated(name) }
            found = parameter
        }
        return found.map { value(of: $0) }
    }

    /// The sections of a parameter's extended form: what follows `name*` in their names, and their raw values.
    func extensions(of name: String) -> [(suffix: ArraySlice<UInt8>, value: ArraySlice<UInt8>)] {
        let count = name.utf8.count
        return parameters.compactMap { parameter in
            guard parameter.name.count > count, bytes[parameter.name.lowerBound + count] == UInt8(ascii: "*"),
                bytes.isSame(parameter.name.prefix(count), asLowercase: name)
            else { return nil }
            return (bytes[parameter.name.dropFirst(count + 1)], value(of: parameter))
        }
    }

    private func value(of parameter: Parameter) -> ArraySlice<UInt8> {
        let value = bytes[parameter.value]
        return parameter.hasEscapes ? Self.unescaping(value) : value
    }

    /// The bytes without the backslash of each `\"` and `\\`.
    private static func unescaping(_ bytes: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        var unescaped: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "\\"), let next = rest.first, next.isEscapable {
                unescaped.append(next)
                rest.removeFirst()
            } else {
                unescaped.append(byte)
            }
        }
        return unescaped[...]
    }
}
