import CouchDocument
import Foundation

/// A configuration file with what it includes merged and its variables settled, before its keys are read.
struct ConfigurationFile {
    var root: YAMLValue
    private(set) var variables: JSONObject = [:]

    /// Reads a file and the files that it includes.
    static func read(_ file: String) throws -> YAMLValue {
        try read(file, path: file, at: ConfigurationPlace(file: file), within: [])
    }

    private static func read(
        _ file: String, path: String, at place: ConfigurationPlace, within: [String]
    ) throws -> YAMLValue {
        let bytes: Data
        do { bytes = try Data(contentsOf: URL(filePath: path)) } catch {
            var isFolder: ObjCBool = false
            let exists = FileManager.default.fileExists(atPath: path, isDirectory: &isFolder)
            let whole = within.isEmpty ? ConfigurationPlace(file: file) : place
            throw ConfigurationError(
                whole,
                isFolder.boolValue
                    ? "this is a folder, not a file"
                    : exists
                        ? "the file can not be read: \(error.localizedDescription)"
                        : within.isEmpty ? "the file does not exist" : "included file \"\(file)\" does not exist")
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw ConfigurationError(ConfigurationPlace(file: path), "the file is not UTF-8 text")
        }
        var root = try YAMLValue.parse(text, file: path)
        guard root.members != nil else {
            throw ConfigurationError(root.place, "a set is a mapping with keys, not \(root.kind)")
        }
        guard let include = root["include"] else { return root }
        let names = include.elements ?? [include]
        for name in names {
            guard let text = name.text, !name.isNull else {
                throw ConfigurationError(
                    name.place, "\"include\" must be a file name or a list of them, not \(name.kind)")
            }
            let named = NamedFile(text, at: name.place)
            let real = URL(filePath: named.path).standardizedFileURL.path(percentEncoded: false)
            guard !within.contains(real), within.count < 20 else {
                throw ConfigurationError(name.place, "\"\(text)\" includes itself")
            }
            let base = try read(named.path, path: named.path, at: name.place, within: within + [real])
            root = root.over(base)
        }
        return root
    }

    /// - Parameter overrides: Values for variables, from the command line.
    init(root: YAMLValue, overrides: [(name: String, value: String)]) throws {
        self.root = root
        let declared = root["variables"]
        if let declared, !declared.isNull, declared.members == nil {
            throw ConfigurationError(declared.place, "\"variables\" must be a mapping, not \(declared.kind)")
        }
        let members = declared?.members ?? []
        for override in overrides where !members.contains(where: { $0.key == override.name }) {
            let hint =
                members.isEmpty
                ? "; the file declares none" : Spelling.hint(for: override.name, among: members.map(\.key))
            throw ConfigurationError(
                declared?.place ?? ConfigurationPlace(file: root.place.file),
                "--set \(override.name): there is no variable of that name\(hint)")
        }
        for member in members {
            if let override = overrides.last(where: { $0.name == member.key }) {
                variables[member.key] = Self.value(of: override.value, like: member.value.json)
            } else {
                // A variable can name those above it.
                let values = TemplateValues(row: nil, variables: variables)
                variables[member.key] = try JSONTemplate(member.value).json(values)
            }
        }
    }

    /// The text of the command line, of the kind that the file's own value has.
    private static func value(of text: String, like declared: JSON) -> JSON {
        if case .string = declared { return .string(text) }
        let place = ConfigurationPlace(file: "--set")
        guard let value = try? YAMLValue.parse(text, file: place.file) else { return .string(text) }
        return value.json
    }

    /// A value in which the variables are filled in: for what must be known before there are rows.
    func settled(_ value: YAMLValue) throws -> YAMLValue {
        var value = value
        switch value.content {
        case .scalar(let text, .string) where text.contains("{"):
            let values = TemplateValues(row: nil, variables: variables)
            let template = try ConfigurationTemplate(text, at: value.place)
            try template.check(names: variables.names)
            let json = try template.json(values)
            value.content = YAMLValue(json, at: value.place).content
        case .scalar: break
        case .list(let elements): value.content = .list(try elements.map(settled))
        case .mapping(let members):
            value.content = .mapping(
                try members.map { member in
                    var member = member
                    member.value = try settled(member.value)
                    return member
                })
        }
        return value
    }
}

extension YAMLValue {
    /// JSON as if it stood at that place.
    init(_ json: JSON, at place: ConfigurationPlace) {
        self.place = place
        switch json {
        case .array(let elements): content = .list(elements.map { YAMLValue($0, at: place) })
        case .object(let members):
            content = .mapping(
                members.map { Member(key: $0.name, place: place, value: YAMLValue($0.value, at: place)) })
        default: content = .scalar(text: json.templateText, value: json)
        }
    }

    /// This mapping with what it lacks taken from another; mappings within are merged the same way.
    func over(_ base: YAMLValue) -> YAMLValue {
        guard var members, let below = base.members else { return self }
        for member in below {
            if let index = members.firstIndex(where: { $0.key == member.key }) {
                // What makes the tokens is one thing: two halves of different sources would make none.
                if member.key != "tokens" { members[index].value = members[index].value.over(member.value) }
            } else if member.key != "include" {
                members.append(member)
            }
        }
        var result = self
        result.content = .mapping(members)
        return result
    }
}
