import Testing

/// docs/architecture.md, `Package.swift` and the imports in the code say the same of the modules.
struct ArchitectureTests {
    /// The modules of ours in `Sources`, each with those that its manifest lets it import.
    private func manifest() throws -> [String: Set<String>] {
        let text = try Project.text("Package.swift")
        var names: [String] = []
        var arguments: [String: Substring] = [:]
        let targets = Array(text.matches(of: #/\.(\w*[tT]arget|systemLibrary)\(\s*name: "(\w+)"/#))
        for (index, target) in targets.enumerated() {
            let end = index + 1 < targets.count ? targets[index + 1].range.lowerBound : text.endIndex
            let name = String(target.2)
            let body = text[target.range.upperBound..<end]
            // Test targets, and what has a path of its own, are no part of the product.
            guard target.1 != "testTarget", !body.contains("path: \"Tests") else { continue }
            names.append(name)
            arguments[name] = body.firstMatch(of: #/dependencies: \[(?s:(.*?))\]/#)?.1 ?? ""
        }
        let known = Set(names)
        return arguments.mapValues { list in
            // Products of packages are named with `.product`, ours as plain strings.
            let ours = list.replacing(#/\.product\([^)]*\)/#, with: "")
            return Set(ours.matches(of: #/"(\w+)"/#).map { String($0.1) }).intersection(known)
        }
    }

    /// The rows of the table of modules: what each may import.
    private func table() throws -> [String: Set<String>] {
        var rows: [String: Set<String>] = [:]
        for line in try Page(path: "docs/architecture.md").prose where line.hasPrefix("| `") {
            let cells = line.split(separator: "|", omittingEmptySubsequences: false).dropFirst().map(String.init)
            let words = { (cell: String) in Set(cell.matches(of: #/`(\w+)`/#).map { String($0.1) }) }
            for module in words(cells[0]) { rows[module] = words(cells[2]) }
        }
        return rows
    }

    /// Everything that can be reached.
    private func closure(_ graph: [String: Set<String>]) -> [String: Set<String>] {
        var reached = graph
        var grows = true
        while grows {
            grows = false
            for (module, targets) in reached {
                let more = targets.union(targets.flatMap { reached[$0] ?? [] })
                if more != targets {
                    reached[module] = more
                    grows = true
                }
            }
        }
        return reached
    }

    @Test("the table of modules has what Package.swift has")
    func modules() throws {
        let (manifest, table) = (try manifest(), try table())
        #expect(manifest.count >= 17)
        for module in Set(manifest.keys).union(table.keys).sorted() {
            let expected = manifest[module].map { $0.sorted().map { "`\($0)`" }.joined(separator: " ") }
            #expect(
                manifest[module] == table[module],
                "Package.swift: \(module) imports \(expected ?? "nothing, it is gone")"
            )
        }
    }

    @Test("the picture shows what the table has, without an arrow that a longer way implies")
    func picture() throws {
        let table = try table()
        let diagram = try #require(try Page(path: "docs/architecture.md").blocks.first { $0.info == "mermaid" })
        var arrows: [String: Set<String>] = [:]
        for arrow in diagram.text.matches(of: #/(\w+) --> (\w+)/#) {
            arrows[String(arrow.1), default: []].insert(String(arrow.2))
        }
        let shown = closure(arrows)
        for (module, reachable) in closure(table) { #expect(shown[module] ?? [] == reachable, "\(module)") }
        for (module, targets) in arrows {
            for target in targets {
                let others = targets.subtracting([target]).flatMap { shown[$0] ?? [] }
                #expect(!others.contains(target), "\(module) --> \(target) is implied")
            }
        }
    }

    @Test("no source imports a module that the table does not show, and none is shown that nobody imports")
    func imports() throws {
        let table = try table()
        var found = table.mapValues { _ in Set<String>() }
        for file in try Project.files(in: "Sources", ["swift"]) {
            let module = String(file.split(separator: "/")[1])
            for line in try Project.text(file).matches(
                of: #/(?m)^(?:@\w+ )*(?:\w+ )?import (?:struct |enum |class |func )?(\w+)/#
            )
            where table[String(line.1)] != nil {
                found[module]?.insert(String(line.1))
            }
        }
        for (module, shown) in table {
            #expect(found[module] == shown, "\(module) imports \((found[module] ?? []).sorted())")
        }
    }
}
