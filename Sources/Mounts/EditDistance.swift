/// How far two names are from each other: how many letters are to be put in, left out or changed (Levenshtein).
enum EditDistance {
    /// Longer names than that are not looked at further, in bytes.
    private static let bytesMax = 64

    static func between(_ first: String, _ second: String) -> Int {
        let (first, second) = (Array(first.utf8.prefix(bytesMax)), Array(second.utf8.prefix(bytesMax)))
        var row = Array(0...second.count)
        for (index, byte) in first.enumerated() {
            var diagonal = index
            row[0] = index + 1
            for (column, other) in second.enumerated() {
                let above = row[column + 1]
                row[column + 1] = min(above + 1, row[column] + 1, diagonal + (byte == other ? 0 : 1))
                diagonal = above
            }
        }
        return row[second.count]
    }
}
