/// How many bytes the parser takes in a second.
enum ParserFigures {
    static var all: [Figure] {
        ParserInput.allCases.map { input in
            let body = input.body()
            return Figure(name: "parser, \(input.description)", unit: "GB/s") {
                for _ in 0..<16 { try ParserInput.parse(body) }
                return Double(16 * body.count) / 1e9
            }
        }
    }
}
