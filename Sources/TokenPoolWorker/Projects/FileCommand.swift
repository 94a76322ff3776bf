import CouchDocument
import DispatcherClient
import FoundationEssentials
import TokenPool

/// What is to be run for a file of a project, and what the command learns of it.
struct FileCommand: Sendable {
    let handle: JSONObject
    let did: String
    let attempt: Int
    private let slot: Int
    private let options: ProjectPilotOptions
    /// The nearest replica that can be read; `nil` when there is none, as in virtual projects.
    private let replica: JSONObject?
    /// Where all that is known of the file stands as JSON.
    let informationPath: String

    init(_ handle: JSONObject, slot: Int, options: ProjectPilotOptions) {
        self.handle = handle
        self.slot = slot
        self.options = options
        did = handle.did
        attempt = handle["attempts"]?.intValue ?? 1
        informationPath = "\(options.scratch)/file-\(slot).json"
        let replicas = Self.replicas(of: handle)
        replica = replicas.first
        self.replicas = replicas
    }

    private let replicas: [JSONObject]

    /// The nearest first.
    private static func replicas(of handle: JSONObject) -> [JSONObject] {
        let known = (handle["replicas"]?.objectValue ?? [:]).compactMap { name, value -> JSONObject? in
            guard var replica = value.objectValue else { return nil }
            replica["rse"] = .string(name)
            return replica
        }
        let distances = known.map { $0["preference"]?.numberValue ?? .infinity }
        return known.indices.sorted { (distances[$0], $0) < (distances[$1], $1) }.map { known[$0] }
    }

    /// The program and its arguments. What a template names goes in as it is, without a shell.
    func arguments() throws -> [String] {
        try options.command.map { word in
            guard word.utf8.contains(UInt8(ascii: "{")) else { return word }
            do { return try Template(word).expanded(value) } catch let error as TemplateError {
                let isPlace = replica == nil && (word.contains("{url") || word.contains("{rse"))
                throw ProjectPilotError(
                    code: .command,
                    description: isPlace
                        ? "`\(word)`: \(did) has no replica (is the project virtual?)" : "`\(word)`: \(error)")
            }
        }
    }

    private func value(_ name: String) -> JSON? {
        switch name {
        case "did": .string(did)
        case "url": replica?["url"]
        case "rse": replica?["rse"]
        case "project": .integer(options.project)
        case "attempt": .integer(attempt)
        case "slot": .integer(slot)
        case "worker": .string(options.worker)
        case "site": .string(options.site)
        case "info": .string(informationPath)
        default: handle[name]
        }
    }

    /// `NAME=value` for each variable.
    func environment() -> [String] {
        var variables = options.environment
        for (name, value) in [
            ("PROJECT", .integer(options.project)), ("DID", .string(did)), ("NAMESPACE", handle["namespace"]),
            ("NAME", handle["name"]), ("FILE_URL", replica?["url"] ?? ""), ("RSE", replica?["rse"] ?? ""),
            ("ATTEMPT", .integer(attempt)), ("SLOT", .integer(slot)), ("WORKER", .string(options.worker)),
            ("FILE_INFO", .string(informationPath)),
        ] as [(String, JSON?)] {
            // A variable can not hold a zero byte.
            variables["TOKENPOOL_" + name] = String((value ?? .null).templateText.prefix { $0 != "\0" })
        }
        return variables.map { "\($0.key)=\($0.value)" }
    }

    /// Writes all that is known of the file, its replicas as a list, the nearest first. Blocks.
    func writeInformation() throws {
        var information = handle
        information["replicas"] = .array(replicas.map(JSON.object))
        try Data(JSON.object(information).encoded()).write(to: URL(filePath: informationPath))
    }
}
