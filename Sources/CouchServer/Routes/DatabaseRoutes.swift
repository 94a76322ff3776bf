import CouchDocument
import CouchStore
import HTTPTypes

/// `/{db}`: making, describing and deleting a database, and posting a document to it.
struct DatabaseRoutes: Sendable {
    let here: DatabaseCall
    private static let verbs = "DELETE,GET,HEAD,POST"

    func answer() async throws -> Answer {
        switch here.call.method {
        case "GET", "HEAD": return .json(200, try await Self.info(of: here.database))
        case "POST": return try await DocumentRoutes(here: here, id: "").post()
        default: throw Refusal.methodNotAllowed(Self.verbs)
        }
    }

    static func create(_ name: String, service: CouchService, call: Call) async throws -> Answer {
        if !call.account.isServerAdmin { throw Refusal.notServerAdmin }
        let shards = call.query["q"].map { Int($0) ?? 0 } ?? 1
        if shards < 1 { throw Refusal.badRequest("The `q` value should be a positive integer.") }
        if let text = call.query["n"], Int(text).map({ $0 > 0 }) != true {
            throw Refusal.badRequest("The `n` value should be a positive integer.")
        }
        switch call.query["partitioned"] {
        case nil, "false", "true": break
        default: throw Refusal.badRequest("Invalid `partitioned` parameter")
        }
        try checkName(name)
        let isPartitioned = call.query["partitioned"] == "true"
        if isPartitioned && ["_users", "_replicator"].contains(where: name.hasSuffix) {
            throw Refusal.badRequest("Cannot partition a system database")
        }
        if service.settings.limits.isOpenByDefault {
            _ = try await service.store.createDatabase(
                name, security: [:], isPartitioned: isPartitioned, shards: shards)
        } else {
            _ = try await service.store.createDatabase(name, isPartitioned: isPartitioned, shards: shards)
        }
        service.events.note(name, .created)
        return Answer.json(201, ["ok": true]).with(.location, call.location(name))
    }

    static func delete(_ name: String, service: CouchService, call: Call) async throws -> Answer {
        if !call.account.isServerAdmin { throw Refusal.notServerAdmin }
        if call.query["rev"] != nil {
            throw Refusal.badRequest(
                "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?")
        }
        guard try await service.store.database(name) != nil else { throw Refusal.noDatabase }
        try await service.store.deleteDatabase(name)
        service.events.note(name, .deleted)
        if name == "_users" { service.signIn.forgetUsers() }
        return .ok
    }

    /// CouchDB's rule for names, which also the two system databases pass.
    static func checkName(_ name: String) throws(Refusal) {
        let units = Array(name.utf8)
        let letters = UInt8(ascii: "a")...UInt8(ascii: "z")
        let isGood =
            name == "_users" || name == "_replicator" || name == "_global_changes"
            || units.first.map(letters.contains) == true
                && units.allSatisfy {
                    letters.contains($0) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
                        || "_$()+-/".utf8.contains($0)
                }
        guard isGood else {
            throw Refusal(
                400, "illegal_database_name",
                "Name: '\(name)'. Only lowercase characters (a-z), digits (0-9), and any of the characters _, $, (, ), +, -, and / are allowed. Must begin with a letter."
            )
        }
        if units.count > 238 {
            throw Refusal(400, "database_name_too_long", "At least one path segment of `\(name)` is too long.")
        }
    }

    /// What `GET /{db}` tells.
    static func info(of database: StoredDatabase) async throws -> JSON {
        let info = try await database.info()
        let sequence = SequenceText.text(info.updateSequence, of: database)
        return [
            "instance_start_time": .string(database.instanceStartTime), "db_name": .string(database.name),
            "purge_seq": .string(SequenceText.text(info.purgeSequence, of: database)), "update_seq": .string(sequence),
            "sizes": [
                "file": .integer(info.fileSize), "external": .integer(info.externalSize),
                "active": .integer(info.activeSize),
            ],
            "props": database.isPartitioned ? ["partitioned": true] : [:], "doc_del_count": .integer(info.deletedCount),
            "doc_count": .integer(info.documentCount),
            "disk_format_version": 8, "compact_running": .bool(info.isCompacting),
            "cluster": ["q": .integer(database.shards), "n": 1, "w": 1, "r": 1],
        ]
    }
}
