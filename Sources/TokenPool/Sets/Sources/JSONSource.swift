import CouchDocument

/// One token an element of a JSON list, or a line of a JSON-lines file (`.jsonl`, `.ndjson`), which is read line by line.
struct JSONSource: TokenSource {
    let file: NamedFile
    /// The members that lead to the list; empty when the file is the list.
    let members: [String]

    private var isLines: Bool { [".jsonl", ".ndjson"].contains { file.name.lowercased().hasSuffix($0) } }

    func rows() throws -> () throws -> SourceRow? {
        if isLines {
            var reader = try file.lines()
            return {
                while let line = try reader.next() {
                    if line.allSatisfy(\.isWhitespace) { continue }
                    let place = ConfigurationPlace(file: file.name, line: reader.line)
                    do {
                        return SourceRow(try JSON(parsing: line, numbers: .canonical), place: place.description)
                    } catch {
                        throw ConfigurationError(place, "this is no JSON: \(error)")
                    }
                }
                return nil
            }
        }
        let elements = try list()
        var index = 0
        return {
            guard index < elements.count else { return nil }
            defer { index += 1 }
            return SourceRow(elements[index], place: "\(file.name) (element \(index + 1))")
        }
    }

    private func list() throws -> [JSON] {
        let place = ConfigurationPlace(file: file.name)
        var value: JSON
        do { value = try JSON(parsing: try file.bytes(limit: 1 << 30), numbers: .canonical) } catch let error
            as JSONError
        {
            throw ConfigurationError(place, "this is no JSON: \(error)")
        }
        for member in members {
            guard let next = value[member] else { throw ConfigurationError(place, "there is no member \"\(member)\"") }
            value = next
        }
        guard let elements = value.arrayValue else {
            let hint = members.isEmpty ? "; name the member that holds the list with `at`" : ""
            throw ConfigurationError(
                place, "the tokens want a list, not \(value.kind == "object" ? "an object" : "a " + value.kind)\(hint)")
        }
        return elements
    }
}
