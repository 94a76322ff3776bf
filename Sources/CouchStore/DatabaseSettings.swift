import CouchDocument
import GRDB

/// What can be set for a database. Kept in memory beside the file.
struct DatabaseSettings: Sendable {
    /// 32 hex digits.
    var uuid = ""
    /// Seconds since 1970, as text.
    var instanceStartTime = "0"
    /// Whether documents are in partitions. Never changes.
    var isPartitioned = false
    /// How many shards its maker asked for. Kept and answered; the store has one.
    var shards = 1
    /// Who may do what.
    var security: JSONObject = [:]
    /// How many revisions of a branch are remembered.
    var revisionsLimit = 1000
    /// How many purges CouchDB would remember. Kept and answered; the store forgets none.
    var purgedInfosLimit = 1000

    /// CouchDB 3's default: nobody but server admins.
    static let adminOnly: JSONObject = [
        "members": .object(["roles": ["_admin"]]), "admins": .object(["roles": ["_admin"]]),
    ]

    init(reading database: Database) throws {
        let row = try SQLStatement(database, "SELECT name, value FROM settings")
        defer { row.reset() }
        while try row.step() {
            let value = row.text(1)
            switch row.text(0) {
            case "uuid": uuid = value
            case "created": instanceStartTime = value
            case "partitioned": isPartitioned = value == "true"
            case "shards": shards = Int(value) ?? shards
            case "security": security = try JSON(parsing: value).objectValue ?? [:]
            case "revisions_limit": revisionsLimit = Int(value) ?? revisionsLimit
            case "purged_infos_limit": purgedInfosLimit = Int(value) ?? purgedInfosLimit
            default: break
            }
        }
    }
}

extension EditWriter {
    private func set(_ name: String, _ value: String) throws {
        try SQLStatement(database, "INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)")
            .bind(1, name).bind(2, value).run()
    }

    mutating func setSecurity(_ security: JSONObject) throws {
        try set("security", security.description)
        settings.security = security
    }

    mutating func setRevisionsLimit(_ limit: Int) throws {
        try set("revisions_limit", String(limit))
        settings.revisionsLimit = limit
    }

    mutating func setPurgedInfosLimit(_ limit: Int) throws {
        try set("purged_infos_limit", String(limit))
        settings.purgedInfosLimit = limit
    }
}
