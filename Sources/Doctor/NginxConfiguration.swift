import Foundation

/// The configuration of an nginx as `nginx -T` prints it: all files, each behind a line with its path.
///
/// It is read as nginx reads it, as far as locations go: a directive holds in the blocks below, unless they have their own.
public struct NginxConfiguration {
    /// A directive, with the block behind it if it has one.
    struct Directive {
        let name: String
        let arguments: [String]
        let block: [Directive]
    }

    /// A location, and what holds in it.
    struct Location {
        /// Its arguments, such as `/FileUploader/` or `= /FileUploader`.
        let title: String
        /// The blocks around it, outermost first, and its own.
        fileprivate let blocks: [[Directive]]

        /// The arguments of a directive that holds here; `nil` when there is none.
        func arguments(of name: String) -> [String]? {
            for block in blocks.reversed() {
                if let found = block.last(where: { $0.name == name }) { return found.arguments }
            }
            return nil
        }

        /// What is passed on to FastCGI: the parameters of the innermost block that has any.
        var fastcgiParameters: [String: String] {
            for block in blocks.reversed() {
                let found = block.filter { $0.name == "fastcgi_param" && $0.arguments.count >= 2 }
                if found.isEmpty { continue }
                return Dictionary(found.map { ($0.arguments[0], $0.arguments[1]) }) { $1 }
            }
            return [:]
        }
    }

    private let directives: [Directive]

    /// Reads what `nginx -T` has printed.
    public init(dump: String) {
        var files: [(path: String, text: String)] = []
        for line in dump.split(separator: "\n", omittingEmptySubsequences: false) {
            if line.hasPrefix("# configuration file "), line.hasSuffix(":") {
                files.append((String(line.dropFirst("# configuration file ".count).dropLast()), ""))
            } else if !files.isEmpty {
                files[files.count - 1].text += line + "\n"
            }
        }
        guard let main = files.first else {
            directives = []
            return
        }
        let folder = URL(fileURLWithPath: main.path).deletingLastPathComponent().path
        var tokens = Self.tokens(main.text)[...]
        directives = Self.expand(Self.parse(&tokens), files, folder, depth: 0)
    }

    /// The locations, wherever they are, in their order.
    var locations: [Location] { Self.locations(in: directives, []) }

    /// The addresses of an upstream's servers; `nil` when there is none of that name.
    func servers(ofUpstream name: String) -> [String]? {
        func find(_ block: [Directive]) -> Directive? {
            for directive in block {
                if directive.name == "upstream", directive.arguments.first == name { return directive }
                if let found = find(directive.block) { return found }
            }
            return nil
        }
        return find(directives)?.block.filter { $0.name == "server" }.compactMap(\.arguments.first)
    }

    private static func locations(in block: [Directive], _ outer: [[Directive]]) -> [Location] {
        block.flatMap { directive -> [Location] in
            let inner = locations(in: directive.block, outer + [block])
            guard directive.name == "location" else { return inner }
            let title = directive.arguments.joined(separator: " ")
            return [Location(title: title, blocks: outer + [block, directive.block])] + inner
        }
    }

    // MARK: Reading

    private enum Token: Equatable {
        case word(String)
        case end
        case open
        case close
    }

    private static func tokens(_ text: String) -> [Token] {
        var tokens: [Token] = []
        var word: String?
        var quote: Character?
        var isComment = false
        var isEscaped = false
        func finish() {
            if let word { tokens.append(.word(word)) }
            word = nil
        }
        for character in text {
            if isComment {
                isComment = character != "\n"
            } else if isEscaped {
                word = (word ?? "") + String(character)
                isEscaped = false
            } else if character == "\\" {
                word = word ?? ""
                isEscaped = true
            } else if let open = quote {
                if character == open { quote = nil } else { word = (word ?? "") + String(character) }
            } else if character == "\"" || character == "'", word == nil {
                word = ""
                quote = character
            } else if character == "#", word == nil {
                isComment = true
            } else if character == ";" || character == "{" || character == "}" {
                // `${name}` is part of a word.
                if character != ";", let begun = word, begun.hasSuffix("$") || begun.contains("${") {
                    word = begun + String(character)
                } else {
                    finish()
                    tokens.append(character == ";" ? .end : character == "{" ? .open : .close)
                }
            } else if character.isWhitespace {
                finish()
            } else {
                word = (word ?? "") + String(character)
            }
        }
        finish()
        return tokens
    }

    /// Takes directives up to the end of their block.
    private static func parse(_ tokens: inout ArraySlice<Token>) -> [Directive] {
        var directives: [Directive] = []
        var words: [String] = []
        while let token = tokens.popFirst() {
            switch token {
            case .word(let word): words.append(word)
            case .close: return directives
            case .end, .open:
                let block = token == .open ? parse(&tokens) : []
                if let name = words.first {
                    directives.append(Directive(name: name, arguments: Array(words.dropFirst()), block: block))
                }
                words = []
            }
        }
        return directives
    }

    /// How deep files include others; nginx itself has no limit but its stack.
    private static let includeDepthMax = 16

    private static func expand(
        _ block: [Directive],
        _ files: [(path: String, text: String)],
        _ folder: String,
        depth: Int
    ) -> [Directive] {
        block.flatMap { directive -> [Directive] in
            guard directive.name == "include", let pattern = directive.arguments.first else {
                let inner = expand(directive.block, files, folder, depth: depth)
                return [Directive(name: directive.name, arguments: directive.arguments, block: inner)]
            }
            guard depth < includeDepthMax else { return [] }
            let path = pattern.hasPrefix("/") ? pattern : folder + "/" + pattern
            return files.filter { unsafe fnmatch(path, $0.path, FNM_PATHNAME) == 0 }.flatMap { file in
                var tokens = tokens(file.text)[...]
                return expand(parse(&tokens), files, folder, depth: depth + 1)
            }
        }
    }
}
