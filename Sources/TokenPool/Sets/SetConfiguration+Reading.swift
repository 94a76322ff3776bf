import CouchDocument

extension SetConfiguration {
    /// The keys of a set, in the order in which the documentation explains them.
    static let keys = [
        "set", "description", "include", "variables", "tokens", "name", "id", "type", "fields", "input", "command",
        "environment", "attachments", "sandbox", "outputs", "output_limit", "output_to", "result_pattern", "logs",
        "retries", "retry_delay", "time_limit", "lease",
        "requires", "priority", "limit", "share", "after", "after_any", "not_before", "superseded",
    ]

    /// Reads one of our own files.
    init(_ root: YAMLValue, file: String, options: Options) throws {
        let settings = try ConfigurationFile(root: root, overrides: options.variables)
        let reader = try MappingReader(root, what: "a set", known: Self.keys)
        func settled(_ key: String) throws -> YAMLValue? { try reader[key].map(settings.settled) }

        let name: String
        if let given = options.name {
            name = given
        } else {
            guard let value = try settled("set") else {
                throw ConfigurationError(
                    ConfigurationPlace(file: file), "key \"set\" is missing: it names the set, such as `set: survey-1`")
            }
            guard let text = value.text else { throw reader.wrong("set", "a text", value) }
            name = text
        }
        try Self.checkName(name, at: reader.place(of: "set"))
        guard let tokens = try settled("tokens") else {
            throw ConfigurationError(
                ConfigurationPlace(file: file),
                "key \"tokens\" is missing: it says what makes the tokens, such as `tokens: {range: {from: 1, to: 10}}`"
            )
        }
        let source = try SourceReader.source(tokens)
        let maker = try TemplateMaker(reader, source: source, variables: settings.variables)
        self.init(
            name: name, description: try reader.text("description"), file: file, sandbox: maker.sandbox,
            record: Self.record(root, variables: settings.variables), source: source, maker: maker)
        limit = try reader.integer("limit", in: 0...1_000_000_000)
        if let value = reader["share"] {
            guard let number = value.json.numberValue, number > 0 else {
                throw reader.wrong("share", "a number above 0", value)
            }
            share = number
        }
    }

    /// Refuses names that would not serve in ids and views.
    static func checkName(_ name: String, at place: ConfigurationPlace) throws {
        guard !name.isEmpty, !name.hasPrefix("_"), name.utf8.count <= 200,
            !name.unicodeScalars.contains(where: { $0.value < 32 })
        else {
            throw ConfigurationError(
                place, "a set's name has 1 to 200 bytes, no control characters and no \"_\" at its beginning")
        }
    }

    /// The configuration for the set document: as it was written, but without what makes it long.
    static func record(_ root: YAMLValue, variables: JSONObject) -> JSON {
        var members = root.json.objectValue ?? [:]
        if !variables.isEmpty { members["variables"] = .object(variables) }
        if JSON.object(members).encoded().count > 32_768 { members["tokens"] = nil }
        return JSON.object(members).encoded().count > 32_768 ? [:] : .object(members)
    }
}

/// Reads what makes the tokens.
enum SourceReader {
    static let kinds = ["list", "range", "matrix", "lines", "csv", "files", "json", "srm"]
    private static let options = [
        "list": [], "range": [], "matrix": ["exclude", "include"], "lines": ["comment"],
        "csv": ["separator", "columns"], "files": [], "json": ["at"],
        "srm": ["slice", "obsid", "prefix", "check_obsid"],
    ]

    static func source(_ value: YAMLValue) throws -> any TokenSource {
        if let items = value.elements { return ListSource(items: items) }
        guard let members = value.members else {
            throw ConfigurationError(value.place, "\"tokens\" must be a list or a mapping, not \(value.kind)")
        }
        let present = members.filter { kinds.contains($0.key) }
        guard let kind = present.first, present.count == 1 else {
            if present.isEmpty, let first = members.first, Spelling.nearest(to: first.key, among: kinds) != nil {
                throw ConfigurationError(
                    first.place, "key \"\(first.key)\" is not known here" + Spelling.hint(for: first.key, among: kinds))
            }
            throw ConfigurationError(
                present.isEmpty ? value.place : present[1].place,
                "\"tokens\" wants one of " + kinds.joined(separator: ", ")
                    + (present.isEmpty ? "" : ", not both \"\(present[0].key)\" and \"\(present[1].key)\""))
        }
        let reader = try MappingReader(value, what: "\"tokens\"", known: [kind.key] + (options[kind.key] ?? []))
        switch kind.key {
        case "list":
            guard let items = kind.value.elements else { throw reader.wrong("list", "a list", kind.value) }
            return ListSource(items: items)
        case "range": return RangeSource(range: try range(kind.value, key: "range"), place: kind.value.place)
        case "matrix": return try matrix(kind.value, reader)
        case "lines": return LinesSource(file: try file(kind), comment: try reader.text("comment"))
        case "csv": return try csv(file(kind), reader)
        case "files":
            let patterns = try reader.texts("files") ?? []
            guard !patterns.isEmpty else { throw reader.wrong("files", "a pattern such as data/*.fits", kind.value) }
            return FilesSource(patterns: patterns.map { NamedFile($0.text ?? "", at: $0.place) })
        case "json":
            let members = try reader.text("at")?.split(separator: ".").map { String($0) } ?? []
            return JSONSource(file: try file(kind), members: members)
        default:
            return try SRMSource(
                file: file(kind), size: reader.integer("slice", in: 1...Int.max) ?? 10,
                observation: reader.text("obsid"), prefix: reader.text("prefix"),
                checksObservation: reader.flag("check_obsid") ?? true)
        }
    }

    private static func file(_ member: YAMLValue.Member) throws -> NamedFile {
        guard let name = member.value.text, !member.value.isNull else {
            throw ConfigurationError(
                member.value.place, "\"\(member.key)\" must be a file name, not \(member.value.kind)")
        }
        let file = NamedFile(name, at: member.value.place)
        try file.size()
        return file
    }

    private static func csv(_ file: NamedFile, _ reader: MappingReader) throws -> CSVSource {
        let separator = try reader.text("separator") ?? (file.name.lowercased().hasSuffix(".tsv") ? "\t" : ",")
        guard separator.count == 1, let character = separator.first, character != "\"" else {
            throw ConfigurationError(reader.place(of: "separator"), "\"separator\" must be one character")
        }
        return try CSVSource(file: file, separator: character, columns: try reader.texts("columns")?.compactMap(\.text))
    }

    static func range(_ value: YAMLValue, key: String) throws -> NumberRange {
        var bounds: (from: JSON, to: JSON, step: JSON)
        if let text = value.text {
            let parts = text.split(separator: "..", omittingEmptySubsequences: false).compactMap { Int($0) }
            guard parts.count == 2 else {
                throw ConfigurationError(
                    value.place,
                    "\"\(key)\" must be a range such as 1..10 or {from: 1, to: 10, step: 1}, not \(value.kind)")
            }
            bounds = (.integer(parts[0]), .integer(parts[1]), .integer(parts[1] < parts[0] ? -1 : 1))
        } else {
            let reader = try MappingReader(value, what: "a range", known: ["from", "to", "step"])
            func number(_ key: String) throws -> JSON? {
                guard let value = reader[key] else { return nil }
                guard value.json.numberValue != nil else { throw reader.wrong(key, "a number", value) }
                return value.json
            }
            guard let to = try number("to") else {
                throw ConfigurationError(
                    value.place, "a range wants \"to\", and may have \"from\" (1) and \"step\" (1)")
            }
            bounds = (try number("from") ?? 1, to, try number("step") ?? 1)
        }
        let range = NumberRange(from: bounds.from, to: bounds.to, step: bounds.step)
        if let problem = range.problem { throw ConfigurationError(value.place, problem) }
        return range
    }

    private static func matrix(_ value: YAMLValue, _ reader: MappingReader) throws -> MatrixSource {
        guard let members = value.members, !members.isEmpty else {
            throw reader.wrong("matrix", "a mapping of names to lists or ranges", value)
        }
        var combinations = 1
        let axes = try members.map { member in
            let axis = MatrixSource.Axis(name: member.key, values: try axisValues(member))
            let (product, overflow) = combinations.multipliedReportingOverflow(by: axis.values.count)
            guard !overflow, product <= 1_000_000_000 else {
                throw ConfigurationError(member.place, "the matrix has more than 10⁹ combinations")
            }
            combinations = product
            return axis
        }
        var exclude: [[String: [JSON]]] = []
        for rule in try list("exclude", reader) {
            var conditions: [String: [JSON]] = [:]
            for member in rule.members ?? [] {
                guard let axis = axes.first(where: { $0.name == member.key }) else {
                    throw ConfigurationError(
                        member.place,
                        "the matrix has no axis \"\(member.key)\""
                            + Spelling.hint(for: member.key, among: axes.map(\.name)))
                }
                let wanted = member.value.elements ?? [member.value]
                for value in wanted
                where !(0..<axis.values.count).contains(where: { MatrixSource.isSame(axis.values[$0], value.json) }) {
                    throw ConfigurationError(
                        value.place, "axis \"\(axis.name)\" has no value \(value.json.templateText)")
                }
                conditions[member.key] = wanted.map(\.json)
            }
            if !conditions.isEmpty { exclude.append(conditions) }
        }
        let include = try list("include", reader).map { ($0.place, $0.json.objectValue ?? [:]) }
        return MatrixSource(axes: axes, exclude: exclude, include: include, place: value.place)
    }

    private static func axisValues(_ member: YAMLValue.Member) throws -> MatrixSource.AxisValues {
        if let elements = member.value.elements {
            guard !elements.isEmpty else {
                throw ConfigurationError(member.value.place, "axis \"\(member.key)\" is empty")
            }
            return .list(elements.map(\.json))
        }
        if member.value.members != nil || member.value.text?.contains("..") == true {
            return .range(try range(member.value, key: member.key))
        }
        throw ConfigurationError(
            member.value.place, "axis \"\(member.key)\" must be a list or a range, not \(member.value.kind)")
    }

    private static func list(_ key: String, _ reader: MappingReader) throws -> [YAMLValue] {
        guard let value = reader[key] else { return [] }
        guard let elements = value.elements else { throw reader.wrong(key, "a list of mappings", value) }
        for element in elements where element.members == nil {
            throw ConfigurationError(
                element.place, "\"\(key)\" must be a list of mappings, not with \(element.kind) in it")
        }
        return elements
    }
}
