import CouchDocument

/// Text with `{name}` placeholders, as it stands in set configurations and in the commands of tokens.
///
/// Only `{identifier}` is a placeholder, with members (`{words.0}`, `{input.path}`) and a format (`{n:03}`) if need be.
/// Everything else with braces stays as it is: `{print $1}`, `{}`, `{a,b}`, and `${HOME}`, because a `$` stands before it.
/// `{{name}}` is the text `{name}`. The name of `{attachment:any text}` is all that stands between the braces.
package struct Template: Hashable, Sendable {
    /// How values are written into the text.
    package enum Quoting: Sendable {
        /// As they are.
        case plain
        /// So that a POSIX shell reads each as text, whether the placeholder stands alone, in `"…"` or in `'…'`.
        case shell
    }

    /// A piece of a template.
    enum Piece: Hashable, Sendable {
        case text(String)
        case placeholder(Placeholder, ShellContext)
    }

    /// A place where a value goes.
    package struct Placeholder: Hashable, Sendable {
        /// The value's name.
        package let name: String
        /// Members to follow from there: names in objects, positions in arrays.
        package let members: [String]
        /// How numbers are written; `nil` for as they are.
        let format: NumberFormat?
        /// What stands between the braces.
        let source: String
    }

    let pieces: [Piece]
    let quoting: Quoting

    /// Reads a template.
    ///
    /// - Parameter quoting: How values will be written. Reading for the shell checks that every placeholder stands where
    ///   a value can be quoted.
    package init(_ text: String, quoting: Quoting = .plain) throws(TemplateError) {
        var parser = TemplateParser(text)
        var pieces = try parser.pieces()
        if quoting == .shell {
            var scanner = ShellScanner()
            for index in pieces.indices {
                switch pieces[index] {
                case .text(let text): scanner.read(text)
                case .placeholder(let placeholder, _):
                    pieces[index] = .placeholder(placeholder, try scanner.context(of: placeholder))
                }
            }
        }
        self.pieces = pieces
        self.quoting = quoting
    }

    /// The placeholders, in order.
    package var placeholders: [Placeholder] {
        pieces.compactMap { if case .placeholder(let placeholder, _) = $0 { placeholder } else { nil } }
    }

    /// The text with its values.
    ///
    /// - Parameter value: The value of a name; `nil` when there is none, which is an error.
    package func expanded(_ value: (String) throws -> JSON?) throws -> String {
        var result = ""
        for piece in pieces {
            switch piece {
            case .text(let text): result += text
            case .placeholder(let placeholder, let context):
                result += try placeholder.text(value, in: context)
            }
        }
        return result
    }

    /// The value that the template stands for: when it is one placeholder and nothing else, that value with its type
    /// (a number stays a number), else the expanded text.
    package func value(_ value: (String) throws -> JSON?) throws -> JSON {
        if pieces.count == 1, case .placeholder(let placeholder, _) = pieces[0], placeholder.format == nil {
            return try placeholder.value(value)
        }
        return .string(try expanded(value))
    }

    /// The text with its values, in which the names of `later` stay placeholders: a template again, for a later reader
    /// with the same quoting. What values bring with them is never read as a placeholder.
    package func expanded(keeping later: (String) -> Bool, _ value: (String) throws -> JSON?) throws -> String {
        var result = ""
        var literal = ""
        for piece in pieces {
            switch piece {
            case .text(let text): literal += text
            case .placeholder(let placeholder, let context) where !later(placeholder.name):
                literal += try placeholder.text(value, in: context)
            case .placeholder(let placeholder, _):
                if let last = literal.utf8.last, last == UInt8(ascii: "{") || last == UInt8(ascii: "$") {
                    throw TemplateError("a value ends in \"{\" or \"$\" right before {\(placeholder.source)}")
                }
                result += TemplateParser.escaped(literal) + "{" + placeholder.source + "}"
                literal = ""
            }
        }
        return result + TemplateParser.escaped(literal)
    }
}

extension Template.Placeholder {
    func value(_ lookUp: (String) throws -> JSON?) throws -> JSON {
        guard var value = try lookUp(name) else { throw TemplateError("there is no value {\(name)}", unknown: name) }
        var path = name
        for member in members {
            let next: JSON? =
                if case .array(let elements) = value {
                    Int(member).flatMap { elements.indices.contains($0) ? elements[$0] : JSON?.none }
                } else {
                    value[member]
                }
            guard let next else { throw TemplateError("{\(path)} has no member \"\(member)\"") }
            value = next
            path += "." + member
        }
        return value
    }

    /// The value as it is written in that context. A list that stands bare in a shell command becomes its words.
    func text(_ lookUp: (String) throws -> JSON?, in context: ShellContext) throws -> String {
        let value = try value(lookUp)
        guard format == nil, context == .bare, case .array(let elements) = value else {
            return context.quoted(try text(of: value))
        }
        return elements.map { $0.templateText.shellQuoted }.joined(separator: " ")
    }

    private func text(of value: JSON) throws -> String {
        guard let format else { return value.templateText }
        guard let text = format.text(of: value) else {
            throw TemplateError("{\(source)} wants a number, not \(value)")
        }
        return text
    }
}

extension JSON {
    /// A value as it appears within a text: strings as they are, `null` as nothing, arrays and objects as JSON.
    package var templateText: String {
        switch self {
        case .string(let text): text
        case .null: ""
        default: description
        }
    }
}

/// Why a template can not be read or filled in.
package struct TemplateError: Error, CustomStringConvertible {
    /// One line, without its place.
    package let description: String
    /// The name that nobody knows, when that is the trouble.
    package let unknown: String?

    init(_ description: String, unknown: String? = nil) {
        self.description = description
        self.unknown = unknown
    }
}
