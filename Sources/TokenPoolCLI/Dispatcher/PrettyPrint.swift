import CouchDocument

/// Writes a value as Python's `pprint` does: in lines of 80, objects with their names sorted.
struct PrettyPrint {
    private static let width = 80
    private var text = ""

    static func text(of value: JSON) -> String {
        var printer = PrettyPrint()
        printer.write(sorted(value), indent: 0, allowance: 0, level: 0)
        return printer.text
    }

    private static func sorted(_ value: JSON) -> JSON {
        switch value {
        case .array(let elements): .array(elements.map(sorted))
        case .object(let members):
            .object(JSONObject(PythonText.sorted(members).map { ($0.name, sorted($0.value)) }))
        default: value
        }
    }

    /// - Parameters:
    ///   - indent: The column at which the value begins.
    ///   - allowance: What must fit behind it on its last line.
    private mutating func write(_ value: JSON, indent: Int, allowance: Int, level: Int) {
        let whole = PythonText.literal(value)
        guard whole.unicodeScalars.count > Self.width - indent - allowance else {
            text += whole
            return
        }
        switch value {
        case .object(let members):
            text += "{"
            for (index, member) in members.enumerated() {
                let name = PythonText.literal(member.name)
                text += name + ": "
                let isLast = index == members.count - 1
                write(
                    member.value, indent: indent + 1 + name.unicodeScalars.count + 2,
                    allowance: isLast ? allowance + 1 : 1, level: level + 1)
                if !isLast { breakLine(indent + 1, after: ",") }
            }
            text += "}"
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                let isLast = index == elements.count - 1
                write(element, indent: indent + 1, allowance: isLast ? allowance + 1 : 1, level: level + 1)
                if !isLast { breakLine(indent + 1, after: ",") }
            }
            text += "]"
        case .string(let string): write(string, indent: indent, allowance: allowance, isWhole: level == 0)
        default: text += whole
        }
    }

    private mutating func breakLine(_ indent: Int, after mark: String = "") {
        text += mark + "\n" + String(repeating: " ", count: indent)
    }

    /// A long text in several pieces, which Python puts together again.
    private mutating func write(_ string: String, indent: Int, allowance: Int, isWhole: Bool) {
        guard !string.isEmpty else {
            text += "''"
            return
        }
        let (indent, allowance) = isWhole ? (indent + 1, allowance + 1) : (indent, allowance)
        var pieces: [String] = []
        let lines = Self.lines(string)
        func length(_ text: String) -> Int { PythonText.literal(text).unicodeScalars.count }
        for (number, line) in lines.enumerated() {
            let isLast = number == lines.count - 1
            let room = Self.width - indent
            if length(line) <= (isLast ? room - allowance : room) {
                pieces.append(line)
                continue
            }
            var current = ""
            let words = Self.words(line)
            for (index, word) in words.enumerated() {
                let limit = isLast && index == words.count - 1 ? room - allowance : room
                if length(current + word) > limit {
                    if !current.isEmpty { pieces.append(current) }
                    current = word
                } else {
                    current += word
                }
            }
            if !current.isEmpty { pieces.append(current) }
        }
        let isWrapped = isWhole && pieces.count > 1
        if isWrapped { text += "(" }
        for (index, piece) in pieces.enumerated() {
            if index > 0 { breakLine(indent) }
            text += PythonText.literal(piece)
        }
        if isWrapped { text += ")" }
    }

    /// The lines with their ends.
    private static func lines(_ text: String) -> [String] {
        var lines: [String] = []
        var line = ""
        for character in text {
            line.append(character)
            if character.isNewline {
                lines.append(line)
                line = ""
            }
        }
        if !line.isEmpty { lines.append(line) }
        return lines
    }

    /// The words, each with the blanks behind it.
    private static func words(_ line: String) -> [String] {
        var words: [String] = []
        var word = ""
        for character in line {
            if !character.isWhitespace, word.last?.isWhitespace ?? false {
                words.append(word)
                word = ""
            }
            word.append(character)
        }
        if !word.isEmpty { words.append(word) }
        return words
    }
}
