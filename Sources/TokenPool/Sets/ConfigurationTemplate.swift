import CouchDocument

/// A template of a configuration, with the place where it stands.
struct ConfigurationTemplate: Sendable {
    let template: Template
    let place: ConfigurationPlace

    init(_ text: String, at place: ConfigurationPlace, quoting: Template.Quoting = .plain) throws {
        do throws(TemplateError) { template = try Template(text, quoting: quoting) } catch {
            throw ConfigurationError(place, error.description)
        }
        self.place = place
    }

    /// Fills in the template; what goes wrong is said with the template's place and the row's.
    func filled<Value>(_ values: TemplateValues, _ fill: (Template) throws -> Value) throws -> Value {
        do { return try fill(template) } catch let error as TemplateError {
            throw values.error(error, at: place)
        }
    }

    func text(_ values: TemplateValues) throws -> String {
        try filled(values) { try $0.expanded(values.value(of:)) }
    }

    func json(_ values: TemplateValues) throws -> JSON {
        try filled(values) { try $0.value(values.value(of:)) }
    }

    /// The text as a template for the worker.
    func later(_ values: TemplateValues) throws -> String {
        try filled(values) { try $0.expanded(keeping: values.isForWorker, values.value(of:)) }
    }

    /// The arguments for which an element of a command stands: one, or as many as the list has when the element is one
    /// placeholder for a list.
    func arguments(_ values: TemplateValues) throws -> [String] {
        if template.pieces.count == 1, let only = template.placeholders.first, !values.isForWorker(only.name),
            case .array(let elements) = try json(values)
        {
            return elements.map { TemplateParser.escaped($0.templateText) }
        }
        return [try later(values)]
    }

    /// Refuses names that nothing can have, before any row is read.
    func check(names: [String], alsoForWorker: Bool = false) throws {
        for placeholder in template.placeholders where !names.contains(placeholder.name) {
            if alsoForWorker && TemplateValues.isWorkersName(placeholder.name) { continue }
            throw ConfigurationError(
                place, "there is no value {\(placeholder.name)}" + Spelling.hint(for: placeholder.name, among: names))
        }
    }
}

/// What a template can name while a token is made.
struct TemplateValues {
    /// Names that only the worker knows, when the command starts.
    static let workerNames: Set = [
        "token", "attempt", "folder", "sandbox", "cores", "host", "worker", "slot", "database",
    ]

    static func isWorkersName(_ name: String) -> Bool { workerNames.contains(name) || name.hasPrefix("attachment:") }

    /// Names that every set has.
    static let ownNames = ["set", "name", "id", "number", "index"]

    let row: SourceRow?
    let variables: JSONObject
    var own: JSONObject = [:]
    /// Fields of the token, which the worker can also name.
    var fields: Set<String> = []

    func value(of name: String) -> JSON? { row?.values[name] ?? variables[name] ?? own[name] }

    /// Whether the name is left for the worker: its own names and the token's fields, unless the set has such a value.
    func isForWorker(_ name: String) -> Bool {
        value(of: name) == nil && (Self.isWorkersName(name) || fields.contains(name))
    }

    func error(_ error: TemplateError, at place: ConfigurationPlace) -> ConfigurationError {
        var reason = error.description
        if let unknown = error.unknown {
            reason += Spelling.hint(for: unknown, among: (row?.values.names ?? []) + variables.names + own.names)
        }
        if let row { reason += " (\(row.place))" }
        return ConfigurationError(place, reason)
    }
}

/// JSON with templates in its texts.
indirect enum JSONTemplate: Sendable {
    case constant(JSON)
    case text(ConfigurationTemplate)
    case list([JSONTemplate])
    case mapping([(key: String, value: JSONTemplate)])

    init(_ value: YAMLValue) throws {
        switch value.content {
        case .scalar(let text, .string) where text.contains("{"):
            self = .text(try ConfigurationTemplate(text, at: value.place))
        case .scalar(_, let value): self = .constant(value)
        case .list(let elements): self = .list(try elements.map { try JSONTemplate($0) })
        case .mapping(let members):
            self = .mapping(try members.map { ($0.key, try JSONTemplate($0.value)) })
        }
    }

    func json(_ values: TemplateValues) throws -> JSON {
        switch self {
        case .constant(let value): value
        case .text(let template): try template.json(values)
        case .list(let elements): .array(try elements.map { try $0.json(values) })
        case .mapping(let members): .object(JSONObject(try members.map { ($0.key, try $0.value.json(values)) }))
        }
    }

    func check(names: [String]) throws {
        switch self {
        case .constant: break
        case .text(let template): try template.check(names: names)
        case .list(let elements): for element in elements { try element.check(names: names) }
        case .mapping(let members): for member in members { try member.value.check(names: names) }
        }
    }
}
