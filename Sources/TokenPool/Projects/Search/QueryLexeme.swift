import CouchDocument

/// A word, a quoted text, a comparison or a sign of a ``ProjectQuery``.
struct QueryLexeme: Sendable {
    enum Kind: Hashable, Sendable {
        /// A name, a number or a text without quotes.
        case word(String)
        case text(String)
        /// `<`, `<=`, `>`, `>=`, `=`, `==`, `!=`, `~`, `!~`, `~*`, `!~*`.
        case operation(String)
        /// `(`, `)`, `[`, `]`, `,` or `!`.
        case sign(Character)
    }

    let kind: Kind
    /// The characters before it.
    let position: Int

    var startsWithColon: Bool { if case .word(let word) = kind { word.hasPrefix(":") } else { false } }

    static func read(_ text: String) throws -> [QueryLexeme] {
        let characters = Array(text)
        var lexemes: [QueryLexeme] = []
        var place = 0
        while place < characters.count {
            let start = place
            let character = characters[place]
            if character.isWhitespace {
                place += 1
                continue
            }
            let kind: Kind
            if character == "\"" || character == "'" {
                guard let end = characters[(place + 1)...].firstIndex(of: character) else {
                    throw PoolError(.badInput, "search: at character \(start + 1): the text has no end")
                }
                kind = .text(String(characters[(place + 1)..<end]))
                place = end + 1
            } else if isWordCharacter(character) {
                while place < characters.count, isWordCharacter(characters[place]) { place += 1 }
                kind = .word(String(characters[start..<place]))
            } else if let operation = operation(characters[place...]) {
                place += operation.count
                kind = .operation(operation)
            } else if "()[],!".contains(character) {
                place += 1
                kind = .sign(character)
            } else {
                throw PoolError(.badInput, "search: at character \(start + 1): \"\(character)\" has no meaning")
            }
            lexemes.append(QueryLexeme(kind: kind, position: start))
        }
        return lexemes
    }

    /// The longest first.
    private static let operations = ["!~*", "!==", "<=", ">=", "==", "!=", "!~", "~*", "<", ">", "=", "~"]

    private static func operation(_ rest: ArraySlice<Character>) -> String? {
        operations.first { rest.starts(with: $0) }
    }

    private static func isWordCharacter(_ character: Character) -> Bool {
        character.isLetter || character.isASCII && character.isNumber || ":%$@_^.*?-".contains(character)
    }

    /// Whether it can name a property or an attribute.
    static func isName(_ word: String) -> Bool {
        guard let first = word.first, first.isLetter || first == "_" else { return false }
        return word.allSatisfy { $0.isLetter || $0.isNumber || "_-.".contains($0) }
    }

    static func number(_ word: some StringProtocol) -> JSON? {
        if let whole = Int(word) { return .integer(whole) }
        // `inf`, `nan` and hexadecimal digits are words here.
        guard word.allSatisfy({ $0.isASCII && ($0.isNumber || "+-.eE".contains($0)) }), let number = Double(word) else {
            return nil
        }
        return JSON.double(number)
    }

    /// What a word without quotes says as a constant.
    static func value(_ word: Substring) -> JSON {
        switch word.lowercased() {
        case "true": true
        case "false": false
        default: number(word) ?? .string(String(word))
        }
    }
}
