import CouchDocument
import Foundation

/// A file that goes with every token: its name and where its content comes from, both with templates.
struct AttachmentTemplate: Sendable {
    private enum Content: Sendable {
        case text(ConfigurationTemplate)
        case file(ConfigurationTemplate)
    }

    private let name: ConfigurationTemplate
    private let content: Content
    private let type: String?

    init(name: ConfigurationTemplate, text: ConfigurationTemplate) {
        self.name = name
        content = .text(text)
        type = nil
    }

    init(name: ConfigurationTemplate, file: ConfigurationTemplate) {
        self.name = name
        content = .file(file)
        type = nil
    }

    private init(_ member: YAMLValue.Member) throws {
        name = try ConfigurationTemplate(member.key, at: member.place)
        if let text = member.value.text {
            content = .text(try ConfigurationTemplate(member.value.isNull ? "" : text, at: member.value.place))
            type = nil
            return
        }
        let reader = try MappingReader(
            member.value, what: "attachment \"\(member.key)\"", known: ["file", "text", "content_type"])
        switch (try reader.text("file"), try reader.text("text")) {
        case (let file?, nil):
            content = .file(try ConfigurationTemplate(file, at: reader[("file")]?.place ?? reader.place))
        case (nil, let text?):
            content = .text(try ConfigurationTemplate(text, at: reader["text"]?.place ?? reader.place))
        default:
            throw ConfigurationError(
                member.value.place, "attachment \"\(member.key)\" wants either \"file\" or \"text\"")
        }
        type = try reader.text("content_type")
    }

    /// The attachments of a set: the source's own, unless the configuration says something of that name.
    static func list(
        _ reader: MappingReader, defaults: [(name: String, template: String)]
    ) throws -> [AttachmentTemplate] {
        let members = try reader.mapping("attachments") ?? []
        let kept = defaults.filter { entry in !members.contains { $0.key == entry.name } }
        return try kept.map {
            AttachmentTemplate(
                name: try ConfigurationTemplate($0.name, at: reader.place),
                text: try ConfigurationTemplate($0.template, at: reader.place))
        } + members.filter { !$0.value.isNull }.map { try AttachmentTemplate($0) }
    }

    func check(names: [String]) throws {
        try name.check(names: names)
        switch content {
        case .text(let template), .file(let template): try template.check(names: names)
        }
    }

    func add(to token: inout Token, _ values: TemplateValues, _ reading: AttachmentReading) throws {
        let name = try name.text(values)
        let where_ = values.row.map { " (\($0.place))" } ?? ""
        guard !name.isEmpty, !name.hasPrefix("_") else {
            throw ConfigurationError(
                self.name.place,
                "\"\(name)\" can not be the name of an attachment: it is empty or begins with \"_\"\(where_)")
        }
        let bytes: [UInt8]
        switch content {
        case .text(let template): bytes = Array(try template.text(values).utf8)
        case .file(let template):
            let file = NamedFile(try template.text(values), at: template.place)
            guard reading == .inlined else {
                try file.size()
                return
            }
            bytes = try file.bytes()
        }
        token.document.attachments[name] = .inlineAttachment(bytes, type: type ?? MediaType.of(name))
    }
}

extension JSON {
    /// An entry of `_attachments` that brings its content along.
    static func inlineAttachment(_ bytes: [UInt8], type: String) -> JSON {
        ["content_type": .string(type), "data": .string(Data(bytes).base64EncodedString())]
    }
}

/// Media types by the ends of file names.
enum MediaType {
    private static let known = [
        "txt": "text/plain", "log": "text/plain", "out": "text/plain", "err": "text/plain", "parset": "text/plain",
        "cfg": "text/plain", "sh": "text/x-shellscript", "py": "text/x-python", "csv": "text/csv",
        "yaml": "application/yaml", "yml": "application/yaml", "json": "application/json", "xml": "application/xml",
        "html": "text/html", "png": "image/png", "jpg": "image/jpeg", "pdf": "application/pdf",
        "tar": "application/x-tar",
        "gz": "application/gzip", "zip": "application/zip",
    ]

    static func of(_ name: String) -> String {
        let ending = name.split(separator: ".").last.map { $0.lowercased() } ?? ""
        return known[ending] ?? "application/octet-stream"
    }
}
