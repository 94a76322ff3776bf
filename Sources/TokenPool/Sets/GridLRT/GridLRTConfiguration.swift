import CouchDocument
import Foundation

/// The configurations of GRID_LRT, as they are: YAML of 0.5 (`Token`, `Sandbox`, `Shell_variables`) and JSON of 1.0
/// (`Job`, `Token`, `container`, `sandbox`).
enum GridLRTConfiguration {
    /// Whether a file is one of these; none of our keys begins with a capital.
    static func isOne(_ root: YAMLValue) -> Bool { root["Token"] != nil || root["Job"] != nil }

    /// Whether it is of 1.0.
    static func isJob(_ root: YAMLValue) -> Bool {
        root["Job"] != nil || root["container"] != nil || root["sandbox"] != nil || root["Token"]?["variables"] != nil
    }

    /// `pool.sandbox` of the tokens: what the file says of its git repositories; `nil` when it names none.
    static func sandbox(_ root: YAMLValue) -> SandboxDeclaration? {
        guard let section = root["Sandbox"] ?? root["sandbox"], let git = section["git"], git.members != nil else {
            return nil
        }
        var members: JSONObject = ["git": git.json]
        members["name"] = section["name"]?.text.map(JSON.string)
        for key in ["scripts", "git_scripts"] {
            if let scripts = section[key], !scripts.isNull { members[key] = scripts.json }
        }
        return SandboxDeclaration(members: members, place: section.place)
    }

    /// `pool.environment`: shell variable → template of a field. GRID_LRT 0.5 writes field → variable, 1.0 the reverse.
    static func environment(_ root: YAMLValue, fields: JSONObject) -> JSONObject {
        var result: JSONObject = [:]
        func add(variable: String, field: String) {
            let name = variable.hasPrefix("$") ? String(variable.dropFirst()) : variable
            guard name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil else { return }
            if field == "_id" {
                result[name] = "{token}"
            } else if fields[field] != nil, field.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil {
                result[name] = .string("{\(field)}")
            }
        }
        func add(variable: String, file: String) {
            let name = variable.hasPrefix("$") ? String(variable.dropFirst()) : variable
            guard name.wholeMatch(of: /[A-Za-z_][A-Za-z0-9_]*/) != nil else { return }
            result[name] = .string(TemplateParser.escaped(file.replacing("/", with: "_")))
        }
        for member in root["Shell_variables"]?.members ?? [] {
            if let variable = member.value.text { add(variable: variable, field: member.key) }
            if member.key == "_attachments" {
                for file in member.value.members ?? [] {
                    if let variable = file.value.text { add(variable: variable, file: file.key) }
                }
            }
        }
        let variables = root["Token"]?["variables"]
        for member in variables?["_token_keys"]?.members ?? [] {
            if let field = member.value.text { add(variable: member.key, field: field) }
        }
        for member in variables?["_attachments"]?.members ?? [] {
            if let file = member.value.text { add(variable: member.key, file: file) }
        }
        return result
    }
}

extension SetConfiguration {
    /// Reads a configuration of GRID_LRT.
    init(gridLRT root: YAMLValue, file: String, options: Options) throws {
        if let override = options.variables.first {
            throw ConfigurationError(
                ConfigurationPlace(file: file), "--set \(override.name): a file of GRID_LRT has no variables")
        }
        let settings = options.gridLRT
        let list = try settings.srmList.map {
            try SRMSource(
                file: NamedFile($0, sayingOf: "--srm-list"), size: settings.slice, observation: settings.observation,
                prefix: nil,
                checksObservation: settings.checksObservation)
        }
        for attachment in settings.attachments { try NamedFile(attachment.path, sayingOf: "--attach").size() }
        let maker: GridLRTMaker
        do { maker = try GridLRTMaker(root, file: file, settings: settings, list: list) } catch let error as PoolError {
            throw ConfigurationError(root.place, error.reason)
        }
        let name = options.name ?? maker.setName
        try Self.checkName(name, at: ConfigurationPlace(file: file))
        self.init(
            name: name, description: nil, file: file, sandbox: GridLRTConfiguration.sandbox(root),
            record: Self.record(root, variables: [:]), source: list ?? SingleSource(place: file), maker: maker)
    }
}

/// The one token of a configuration of GRID_LRT without a list.
private struct SingleSource: TokenSource {
    let place: String

    func rows() -> () throws -> SourceRow? {
        var isDone = false
        return {
            defer { isDone = true }
            return isDone ? nil : SourceRow(values: [:], place: place)
        }
    }
}
