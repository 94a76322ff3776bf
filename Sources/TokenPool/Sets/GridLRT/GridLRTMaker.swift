import CouchDocument
import Foundation

/// Makes the tokens that GRID_LRT made of its configurations: `TokenSet.create_dict_tokens` of 0.5, the builders of 1.0.
struct GridLRTMaker: TokenMaker {
    private let fields: JSONObject
    private let type: String
    /// What every id begins with.
    private let idPrefix: String
    /// The id of the only token, when there is no list and the configuration names it.
    private let singleID: String?
    private let isJob: Bool
    private let settings: GridLRTOptions
    private let observation: String?
    private let environment: JSONObject
    private let file: String
    /// The name of the set unless the user gives one.
    let setName: String

    init(_ root: YAMLValue, file: String, settings: GridLRTOptions, list: SRMSource?) throws {
        self.file = file
        self.settings = settings
        isJob = GridLRTConfiguration.isJob(root)
        observation = settings.observation ?? list?.observation
        let stem = URL(filePath: file).deletingPathExtension().lastPathComponent
        var prefix: String
        if isJob {
            fields = try TokenDictBuilder(root.json.objectValue ?? [:]).fields
            type = settings.type ?? fields["type"]?.stringValue ?? stem
            let given = fields["_id"]?.stringValue
            prefix = given ?? "t_\(type)_"
            // Token(token_type, token_id) takes the type for an id when it is given none.
            singleID = list == nil ? given ?? type : nil
            if list != nil {
                if !prefix.hasSuffix("_") { prefix += "_" }
                prefix += settings.append ?? observation ?? "L000000"
            }
        } else {
            let builder = try TokenYAMLBuilder(root)
            fields = builder.fields
            type = settings.type ?? builder.type ?? stem
            prefix = "t_\(type)_" + (settings.append ?? observation ?? "L000000")
            if let step = fields["PIPELINE_STEP"] { prefix += "_" + step.templateText }
            singleID = nil
        }
        idPrefix = prefix
        var name = singleID ?? prefix
        while name.hasSuffix("_") { name.removeLast() }
        setName = name
        environment = GridLRTConfiguration.environment(root, fields: fields)
    }

    func token(
        from row: SourceRow, number: Int, of configuration: SetConfiguration, attachments reading: AttachmentReading
    ) throws -> Token {
        let subband = row.values["slice"]?.stringValue ?? startingSubband
        var token = Token(id: singleID ?? "\(idPrefix)_\(settings.idPrefix)\(subband)", type: type)
        for (name, value) in fields where name != "_id" && name != "type" { token[name] = value }
        if isJob {
            token["PICAS_API_VERSION"] = "1.0.7"
            if row.values["slice"] != nil { token[settings.keyName] = .string(subband) }
        } else {
            token[settings.keyName] = .string(subband)
            token.output = ""
            // Seconds with a fraction, as Python's time.time() gives them.
            token["created"] = JSON.double(Double(settings.created.milliseconds) / 1000)
        }
        if let observation { token["OBSID"] = .string(observation) }
        token.lock = 0
        token.done = 0

        var pool: JSONObject = [
            "set": .string(configuration.name), "kind": "command", "attempts": 0, "command": "./master.sh",
        ]
        if !environment.isEmpty { pool["environment"] = .object(environment) }
        if let sandbox = configuration.sandbox { pool["sandbox"] = .object(sandbox.tokenMembers) }
        token.pool = PoolFields(pool)

        if let links = row.values["links"]?.stringValue {
            token.document.attachments[settings.uploadName] = .inlineAttachment(Array(links.utf8), type: "text/plain")
        }
        for attachment in settings.attachments {
            let named = NamedFile(attachment.path, sayingOf: "--attach")
            guard reading == .inlined else { continue }
            token.document.attachments[attachment.name] = .inlineAttachment(
                try named.bytes(), type: MediaType.of(attachment.name))
        }
        return token
    }

    /// The subband of the only token: what the file says, in three digits.
    private var startingSubband: String {
        let number = fields[settings.keyName].flatMap { $0.intValue ?? $0.stringValue.flatMap { Int($0) } } ?? 0
        let digits = String(number)
        return String(repeating: "0", count: max(0, 3 - digits.count)) + digits
    }
}
