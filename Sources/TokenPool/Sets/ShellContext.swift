/// Where in a shell command a placeholder stands, which decides how its value is quoted.
enum ShellContext: Hashable, Sendable {
    /// Not in a shell command: the value goes in as it is.
    case plain
    /// A word of its own or part of one.
    case bare
    /// Within `"…"`.
    case doubleQuoted
    /// Within `'…'`.
    case singleQuoted
    /// Behind `#`.
    case comment

    /// The value, so that the shell reads exactly its characters.
    func quoted(_ value: String) -> String {
        switch self {
        case .plain: value
        case .bare: value.shellQuoted
        case .doubleQuoted: value.reduce(into: "") { $0 += "\\\"$`".contains($1) ? "\\\($1)" : String($1) }
        case .singleQuoted: value.split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''")
        case .comment: String(value.map { $0.isNewline ? " " : $0 })
        }
    }
}

extension String {
    /// The text as one word of a POSIX shell: unchanged when it holds only harmless characters, else in single quotes.
    package var shellQuoted: String {
        let isHarmless =
            !isEmpty
            && utf8.allSatisfy { unit in
                (0x30...0x39).contains(unit) || (0x41...0x5A).contains(unit) || (0x61...0x7A).contains(unit)
                    || "_@%+=:,./-".utf8.contains(unit)
            }
        return isHarmless
            ? self : "'" + split(separator: "'", omittingEmptySubsequences: false).joined(separator: "'\\''") + "'"
    }
}

/// Follows a shell command character by character to know in which quotes one stands.
struct ShellScanner {
    private enum Level: Equatable { case command, parenthesis, double, single, comment, backtick }

    private var levels: [Level] = [.command]
    private var isEscaped = false
    private var previous: Character = "\n"
    private var hasHereDocument = false
    private var hereSigns = 0

    mutating func read(_ text: String) {
        for character in text { read(character) }
    }

    private mutating func read(_ character: Character) {
        let level = levels[levels.count - 1]
        if isEscaped {
            isEscaped = false
            previous = "x"
            return
        }
        defer { previous = character }
        if character == "\\" && level != .single && level != .comment {
            isEscaped = true
            return
        }
        switch level {
        case .single:
            if character == "'" { levels.removeLast() }
        case .comment:
            if character.isNewline { levels.removeLast() }
        case .double:
            if character == "\"" { levels.removeLast() }
            if character == "(" && previous == "$" { levels.append(.parenthesis) }
            if character == "`" { levels.append(.backtick) }
        case .backtick:
            if character == "`" { levels.removeLast() }
        case .command, .parenthesis:
            readCommand(character, level)
        }
    }

    private mutating func readCommand(_ character: Character, _ level: Level) {
        if character == "<" {
            hereSigns += 1
        } else {
            if hereSigns == 2 { hasHereDocument = true }
            hereSigns = 0
        }
        switch character {
        case "'": levels.append(.single)
        case "\"": levels.append(.double)
        case "`": levels.append(.backtick)
        case "(": levels.append(.parenthesis)
        case ")": if level == .parenthesis { levels.removeLast() }
        case "#": if previous.isWhitespace || ";|&(".contains(previous) { levels.append(.comment) }
        default: break
        }
    }

    /// The context of a placeholder at this point.
    mutating func context(of placeholder: Template.Placeholder) throws(TemplateError) -> ShellContext {
        defer { previous = "x" }
        let level = levels[levels.count - 1]
        guard !isEscaped else { throw TemplateError("{\(placeholder.source)} stands behind a backslash") }
        guard !hasHereDocument && hereSigns != 2 else {
            throw TemplateError(
                "{\(placeholder.source)} can not stand behind \"<<\"; hand the value over in `environment`")
        }
        switch level {
        case .single: return .singleQuoted
        case .double: return .doubleQuoted
        case .comment: return .comment
        case .backtick: throw TemplateError("{\(placeholder.source)} can not stand in backticks; write $(…)")
        case .command, .parenthesis: return .bare
        }
    }
}
