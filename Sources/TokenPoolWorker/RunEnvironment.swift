import CouchDocument
import TokenPool

/// The environment of a token's command: the pilot's own, and what tells the command its token.
struct RunEnvironment: Sendable {
    private let inherited: [String: String]
    private let inheritedEntries: [String]

    /// Starts from the pilot's environment.
    init(inherited: [String: String]) {
        self.inherited = inherited
        inheritedEntries = inherited.map { "\($0.key)=\($0.value)" }
    }

    /// `NAME=value` for each variable.
    func entries(for values: CommandValues) throws -> [String] {
        let own = try variables(for: values)
        let overrides = own.contains { inherited[$0.key] != nil }
        let base =
            overrides
            ? inherited.filter { own[$0.key] == nil }.map { "\($0.key)=\($0.value)" } : inheritedEntries
        return base + own.map { "\($0.key)=\($0.value)" }
    }

    private func variables(for values: CommandValues) throws -> [String: String] {
        let token = values.token
        var variables: [String: String] = [
            "TOKENPOOL_TOKEN_ID": token.id, "TOKENPOOL_SET": token.pool.set ?? "",
            "TOKENPOOL_INPUT": token.input.templateText, "TOKENPOOL_WORK_DIR": values.folder,
            "TOKENPOOL_ATTEMPT": String(values.claim.attempt), "TOKENPOOL_DATABASE": values.database,
            "TOKENPOOL_LEASE": values.claim.lease.id, "TOKENPOOL_TOKEN_FILE": values.folder + "/token.json",
            "TOKENPOOL_SLOT": String(values.slot),
            // What GRID_LRT's scripts read.
            "TOKEN": token.id, "PICAS_DB": values.database,
        ]
        for (name, value) in gridVariables(token) { variables[name] = value }
        for (name, value) in token.pool.environment where Self.isName(name) {
            variables[name] = try values.fill(value.templateText, quoting: .plain)
        }
        // A variable can not hold a zero byte; the value ends before it, as it would for any program.
        for (name, value) in variables where value.utf8.contains(0) {
            variables[name] = String(value.prefix { $0 != "\0" })
        }
        return variables
    }

    /// GRID_LRT's variables: `_token_keys` and `_attachments` of `config.json`, variable → field or file. Fields that the token lacks are left out; the launcher exported "None".
    private func gridVariables(_ token: Token) -> [(String, String)] {
        var result: [(String, String)] = []
        let variables = token["config.json"]?["variables"]
        for (variable, field) in variables?["_token_keys"]?.objectValue ?? [:] {
            if let field = field.stringValue, let value = token[field] {
                result.append((Self.bare(variable), value.templateText))
            }
        }
        for (variable, file) in variables?["_attachments"]?.objectValue ?? [:] {
            if let file = file.stringValue { result.append((Self.bare(variable), Self.gridFile(file))) }
        }
        return result.filter { Self.isName($0.0) }
    }

    private static func bare(_ variable: String) -> String { String(variable.drop { $0 == "$" }) }
    private static func gridFile(_ name: String) -> String { name.replacing("/", with: "_") }
    private static func isName(_ name: String) -> Bool {
        !name.isEmpty && !name.utf8.contains { $0 == UInt8(ascii: "=") || $0 == 0 }
    }
}
