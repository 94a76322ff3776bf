import CouchDocument
import Foundation

/// Makes tokens from the templates of one of our configurations.
struct TemplateMaker: TokenMaker {
    enum Command: Sendable {
        case shell(ConfigurationTemplate)
        case arguments([ConfigurationTemplate])
    }

    private let variables: JSONObject
    private let nameTemplate: ConfigurationTemplate
    private let idTemplate: ConfigurationTemplate
    private let type: String
    private let fields: [(key: String, value: JSONTemplate)]
    private let input: JSONTemplate?
    private let command: Command?
    private let environment: [(key: String, value: ConfigurationTemplate)]
    private let attachments: [AttachmentTemplate]
    private let after: [ConfigurationTemplate]
    private let afterAny: [ConfigurationTemplate]
    private let priority: JSONTemplate?
    /// Members of `pool` that are the same in every token.
    private let constants: JSONObject
    let sandbox: SandboxDeclaration?

    /// Fields that states and workers write, or that have a key of their own.
    private static let reserved: Set = [
        "lock", "done", "hostname", "scrub_count", "exit_code", "error", "uploads", "input", "type", "pool",
    ]

    init(_ reader: MappingReader, source: any TokenSource, variables: JSONObject) throws {
        self.variables = variables
        func template(_ key: String, _ fallback: String) throws -> ConfigurationTemplate {
            let text = try reader.text(key) ?? fallback
            return try ConfigurationTemplate(text, at: reader[key]?.place ?? reader.place)
        }
        nameTemplate = try template("name", source.defaultName)
        idTemplate = try template("id", "{set}_{name}")
        type = try reader.text("type") ?? "token"
        guard !["set", "file", "disco", ""].contains(type) else {
            throw ConfigurationError(
                reader.place(of: "type"), "\"type\" \"\(type)\" belongs to other documents; use \"token\"")
        }
        fields =
            try reader.mapping("fields")?.map { member in
                guard !member.key.hasPrefix("_"), !Self.reserved.contains(member.key), !member.key.isEmpty else {
                    throw ConfigurationError(
                        member.place, "field \"\(member.key)\" is tokenpool's own and can not be set here")
                }
                return (member.key, try JSONTemplate(member.value))
            } ?? []
        input = try reader["input"].map { try JSONTemplate($0) }
        command = try Self.command(reader)
        environment =
            try reader.mapping("environment")?.map { member in
                guard let text = member.value.text else {
                    throw ConfigurationError(
                        member.value.place, "variable \"\(member.key)\" must be a text, not \(member.value.kind)")
                }
                guard member.key.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil else {
                    throw ConfigurationError(member.place, "\"\(member.key)\" is no name of an environment variable")
                }
                return (member.key, try ConfigurationTemplate(member.value.isNull ? "" : text, at: member.value.place))
            } ?? []
        attachments = try AttachmentTemplate.list(reader, defaults: source.defaultAttachments)
        after = try reader.texts("after")?.map { try ConfigurationTemplate($0.text ?? "", at: $0.place) } ?? []
        afterAny = try reader.texts("after_any")?.map { try ConfigurationTemplate($0.text ?? "", at: $0.place) } ?? []
        if let value = reader["priority"] {
            if value.json.stringValue?.contains("{") != true { _ = try reader.integer("priority") }
            priority = try JSONTemplate(value)
        } else {
            priority = nil
        }
        constants = try Self.constants(reader)
        sandbox = try Self.sandbox(reader)
        if let names = source.valueNames {
            try check(names: names + variables.names)
        }
    }

    private func check(names: [String]) throws {
        try nameTemplate.check(names: names + ["set", "number", "index"])
        try idTemplate.check(names: names + TemplateValues.ownNames.filter { $0 != "id" })
        let names = names + TemplateValues.ownNames
        for field in fields { try field.value.check(names: names) }
        try input?.check(names: names)
        try priority?.check(names: names)
        for template in after + afterAny { try template.check(names: names) }
        let later = names + fields.map(\.key) + ["input", "pool"]
        switch command {
        case .shell(let template): try template.check(names: later, alsoForWorker: true)
        case .arguments(let templates):
            for template in templates { try template.check(names: later, alsoForWorker: true) }
        case nil: break
        }
        for variable in environment { try variable.value.check(names: later, alsoForWorker: true) }
        for attachment in attachments { try attachment.check(names: names) }
    }

    func token(
        from row: SourceRow, number: Int, of configuration: SetConfiguration, attachments reading: AttachmentReading
    ) throws -> Token {
        var values = TemplateValues(row: row, variables: variables)
        values.own = ["set": .string(configuration.name), "number": .integer(number), "index": .integer(number - 1)]
        let name = try nameTemplate.text(values)
        guard !name.isEmpty else {
            throw ConfigurationError(nameTemplate.place, "the token's name is empty (\(row.place))")
        }
        values.own["name"] = .string(name)
        let id = try idTemplate.text(values)
        guard !id.isEmpty, !id.hasPrefix("_") else {
            throw ConfigurationError(
                idTemplate.place,
                "\"\(id)\" can not be the id of a token: it is empty or begins with \"_\" (\(row.place))")
        }
        values.own["id"] = .string(id)
        values.fields = Set(fields.map(\.key) + ["input", "pool"])

        var token = Token(id: id, type: type)
        token.input = try input?.json(values) ?? row.input
        for field in fields { token[field.key] = try field.value.json(values) }
        var members: JSONObject = ["set": .string(configuration.name), "kind": "command"]
        if let priority {
            guard let number = try priority.json(values).intValue else {
                throw ConfigurationError(
                    ConfigurationPlace(file: configuration.file),
                    "the priority of \"\(id)\" is no whole number (\(row.place))")
            }
            members["priority"] = .integer(number)
        }
        members["attempts"] = 0
        switch command {
        case .shell(let template): members["command"] = .string(try template.later(values))
        case .arguments(let templates):
            members["command"] = .array(try templates.flatMap { try $0.arguments(values) }.map(JSON.string))
        case nil: break
        }
        if !environment.isEmpty {
            members["environment"] = .object(
                JSONObject(try environment.map { ($0.key, .string(try $0.value.later(values))) }))
        }
        members.merge(constants)
        if let sandbox = configuration.sandbox { members["sandbox"] = .object(sandbox.tokenMembers) }
        if !after.isEmpty { members["after"] = .array(try after.map { .string(try $0.text(values)) }) }
        if !afterAny.isEmpty { members["after_any"] = .array(try afterAny.map { .string(try $0.text(values)) }) }
        token.pool = PoolFields(members)
        for attachment in attachments { try attachment.add(to: &token, values, reading) }
        return token
    }
}

extension TemplateMaker {
    private static func command(_ reader: MappingReader) throws -> Command? {
        guard let value = reader["command"] else { return nil }
        if let text = value.text { return .shell(try ConfigurationTemplate(text, at: value.place, quoting: .shell)) }
        guard let elements = value.elements, !elements.isEmpty else {
            throw reader.wrong("command", "a text for the shell or a list of arguments", value)
        }
        return .arguments(
            try elements.map { element in
                guard let text = element.text else {
                    throw ConfigurationError(
                        element.place, "an argument of \"command\" must be a text, not \(element.kind)")
                }
                return try ConfigurationTemplate(text, at: element.place)
            })
    }

    private static func constants(_ reader: MappingReader) throws -> JSONObject {
        var members: JSONObject = [:]
        if let outputs = try reader.texts("outputs") {
            members["outputs"] = .array(outputs.map { .string($0.text ?? "") })
        }
        if let limit = try reader.bytes("output_limit") { members["output_limit"] = .integer(limit) }
        if let target = try reader.text("output_to") {
            guard target.hasPrefix("/") || target.hasPrefix("http://") || target.hasPrefix("https://") else {
                throw ConfigurationError(
                    reader.place(of: "output_to"),
                    "\"output_to\" must be a folder from the root on, such as /data/results, or a URL, not \"\(target)\""
                )
            }
            members["output_to"] = .string(target)
        }
        if let pattern = try reader.text("result_pattern") {
            do { _ = try Regex(pattern) } catch {
                throw ConfigurationError(
                    reader.place(of: "result_pattern"), "\"result_pattern\" is no regular expression: \(error)")
            }
            members["result_pattern"] = .string(pattern)
        }
        if let limit = try reader.bytes("logs") { members["logs"] = ["limit": .integer(limit)] }
        if let retries = try reader.integer("retries", in: 0...1_000_000) {
            members["max_attempts"] = .integer(retries + 1)
        }
        if let seconds = try reader.seconds("retry_delay") { members["retry_delay"] = .integer(seconds) }
        if let seconds = try reader.seconds("time_limit") { members["time_limit"] = .integer(seconds) }
        if let seconds = try reader.seconds("lease") {
            guard seconds >= 1 else {
                throw ConfigurationError(reader.place(of: "lease"), "\"lease\" must be at least 1s")
            }
            members["lease_seconds"] = .integer(seconds)
        }
        if let value = reader["requires"] {
            guard let all = value.members else { throw reader.wrong("requires", "a mapping", value) }
            let needs = try MappingReader(value, what: "\"requires\"", known: all.map(\.key))
            var requires: JSONObject = [:]
            for member in all {
                switch member.key {
                case "cores": requires["cores"] = try needs.integer("cores", in: 1...1_000_000).map(JSON.integer)
                case "memory": requires["memory"] = try needs.bytes("memory").map(JSON.integer)
                case "gpus": requires["gpus"] = try needs.integer("gpus", in: 0...1_000_000).map(JSON.integer)
                case "walltime": requires["walltime"] = try needs.seconds("walltime").map(JSON.integer)
                default:
                    // A label that a worker must offer. What is only almost one of our words is a slip.
                    if let near = Spelling.nearest(to: member.key, among: ["cores", "memory", "gpus", "walltime"]) {
                        throw ConfigurationError(
                            member.place, "key \"\(member.key)\" is not known here; did you mean \"\(near)\"?")
                    }
                    guard member.value.members == nil, !member.value.isNull else {
                        throw needs.wrong(member.key, "a text, a number, true or a list of these", member.value)
                    }
                    requires[member.key] = member.value.json
                }
            }
            members["requires"] = .object(requires)
        }
        if let value = reader["not_before"] {
            if let seconds = value.json.intValue {
                members["not_before"] = .integer(seconds)
            } else if let date = value.text.flatMap({ try? Date($0, strategy: .iso8601) }) {
                members["not_before"] = .integer(Int(date.timeIntervalSince1970))
            } else {
                throw reader.wrong("not_before", "a time such as 2030-01-31T18:00:00Z or seconds since 1970", value)
            }
        }
        if let text = try reader.text("superseded") {
            guard ["keep", "drop"].contains(text) else {
                throw ConfigurationError(
                    reader.place(of: "superseded"), "\"superseded\" must be keep or drop, not \"\(text)\"")
            }
            if text == "drop" { members["superseded"] = "drop" }
        }
        return members
    }

    private static func sandbox(_ reader: MappingReader) throws -> SandboxDeclaration? {
        guard let value = reader["sandbox"] else { return nil }
        if let text = value.text {
            if text.contains("://") {
                let key = text.hasSuffix(".git") ? "git" : "url"
                return SandboxDeclaration(members: [key: .string(text)], place: value.place)
            }
            return try local(text, at: value.place, members: [:])
        }
        let known = ["name", "folder", "archive", "url", "digest", "git", "branch", "commit", "attachment", "document"]
        let members = try MappingReader(value, what: "\"sandbox\"", known: known)
        let sources = ["folder", "archive", "url", "git", "attachment"].filter { members[$0] != nil }
        guard sources.count == 1 else {
            throw ConfigurationError(
                value.place,
                "\"sandbox\" wants one of folder, archive, url, git, attachment"
                    + (sources.isEmpty ? "" : ", not \(sources.joined(separator: " and "))"))
        }
        var rest: JSONObject = [:]
        for key in known where key != "folder" && key != "archive" {
            if let text = try members.text(key) { rest[key] = .string(text) }
        }
        guard let path = try members.text("folder") ?? members.text("archive") else {
            return SandboxDeclaration(members: rest, place: value.place)
        }
        return try local(path, at: members.place(of: sources[0]), members: rest)
    }

    private static func local(
        _ path: String, at place: ConfigurationPlace, members: JSONObject
    ) throws -> SandboxDeclaration {
        let file = NamedFile(path, at: place)
        guard FileManager.default.fileExists(atPath: file.path) else {
            throw ConfigurationError(place, "sandbox \"\(path)\" does not exist (looked for \(file.path))")
        }
        return SandboxDeclaration(localPath: file.path, members: members, place: place)
    }
}
