import CouchDocument
import Foundation

/// Gives a token its fields from a configuration, as GRID_LRT's builders do.
public protocol TokenBuilder: Sendable {
    /// The fields, which replace those of the same name. May hold `_id` and `type`.
    var fields: JSONObject { get }
}

extension Token {
    /// Takes over the fields of a builder; an `_id` among them replaces the token's id.
    public mutating func build(_ builder: some TokenBuilder) { document.fields.merge(builder.fields) }
}

/// Fields from a job configuration of GRID_LRT 1.0: `Job`, `Token`, `container`, `sandbox`.
///
/// The members of `Token` become fields, but its `variables` go to the field `config.json` together with `container` and
/// `sandbox`; then every one of `Job.variables` becomes a field. The configuration itself stays as it is.
public struct TokenDictBuilder: TokenBuilder {
    /// The fields of the token.
    public let fields: JSONObject

    /// Reads a configuration.
    ///
    /// - Throws: ``PoolError`` when `PicasApiVersion` is below 0.5.
    public init(_ configuration: JSONObject) throws {
        if let version = configuration["PicasApiVersion"]?.numberValue, version < 0.5 {
            throw PoolError(
                .badInput, "PicasApiVersion \(version) is not supported: write configurations of version 0.5")
        }
        var fields: JSONObject = ["config.json": [:]]
        var bundle: JSONObject = [:]
        for (name, value) in configuration["Token"]?.objectValue ?? [:] {
            if name == "variables" { bundle["variables"] = value } else { fields[name] = value }
        }
        fields.merge(configuration["Job"]?["variables"]?.objectValue ?? [:])
        for name in ["container", "sandbox"] { bundle[name] = configuration[name] }
        fields["config.json"] = .object(bundle)
        self.fields = fields
    }
}

/// Fields from a JSON file of GRID_LRT 1.0; see ``TokenDictBuilder``.
public struct TokenJSONBuilder: TokenBuilder {
    /// The fields of the token.
    public let fields: JSONObject

    /// Reads a file.
    public init(file: String) throws {
        let root = try ConfigurationFile.read(file)
        fields = try TokenDictBuilder(root.json.objectValue ?? [:]).fields
    }
}

/// Fields from the `Token` mapping of a YAML file of GRID_LRT 0.5.
///
/// As in its `create_token`, `type`, `lock`, `done`, `hostname`, `scrub_count` and `output` of the file never win over a
/// token's own.
public struct TokenYAMLBuilder: TokenBuilder {
    /// The fields of the token.
    public let fields: JSONObject
    /// The token type that the file proposes.
    public let type: String?

    /// Names that the file can not set.
    static let overridden: Set = ["_id", "type", "lock", "done", "hostname", "scrub_count", "output"]

    /// Reads a file.
    public init(file: String) throws { try self.init(try ConfigurationFile.read(file)) }

    init(_ root: YAMLValue) throws {
        guard let token = root["Token"] else {
            throw ConfigurationError(root.place, "key \"Token\" is missing: it holds the common fields of the tokens")
        }
        guard let members = token.members else {
            throw ConfigurationError(token.place, "\"Token\" must be a mapping, not \(token.kind)")
        }
        type = members.first { $0.key == "type" }?.value.text
        fields = JSONObject(
            members.filter { !Self.overridden.contains($0.key) }.map { ($0.key, $0.value.json) })
    }
}
