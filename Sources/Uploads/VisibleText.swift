extension String {
    /// The text as it may be shown to people: what would move the cursor, turn the direction of the text or be invisible is
    /// written as `\u{202E}`. Joiners within words stay as they are.
    public var shown: String {
        if utf8.allSatisfy({ (0x20..<0x7F).contains($0) }) { return self }
        var text = ""
        for scalar in unicodeScalars {
            if scalar.isShown {
                text.unicodeScalars.append(scalar)
            } else {
                text += "\\u{\(String(scalar.value, radix: 16, uppercase: true))}"
            }
        }
        return text
    }
}

extension Unicode.Scalar {
    private static let hiddenCategories: Set<Unicode.GeneralCategory> = [
        .control, .format, .lineSeparator, .paragraphSeparator, .surrogate,
    ]

    /// Whether it may be shown to people as it is.
    public var isShown: Bool {
        // A joiner and its opposite spell words, and faces.
        !Self.hiddenCategories.contains(properties.generalCategory) || value == 0x200C || value == 0x200D
    }
}
