import CouchDB
import CouchDocument
import Foundation

/// Two databases with fresh names on one server, deleted afterwards.
public func withPair(
    _ body: (_ server: Server, _ source: Database, _ target: Database) async throws -> Void
) async throws {
    let server = try await TestServer.shared().client()
    let name = "replication-" + UUID().uuidString.lowercased()
    let source = try await server.createDatabase(name + "-a")
    let target = try await server.createDatabase(name + "-b")
    do {
        try await body(server, source, target)
    } catch {
        // The test's own error is the one to tell.
        try? await server.deleteDatabase(source.name)
        try? await server.deleteDatabase(target.name)
        await server.shutdown()
        throw error
    }
    try await server.deleteDatabase(source.name)
    try await server.deleteDatabase(target.name)
    await server.shutdown()
}

/// Everything that replication must bring over: every leaf of every document with its history, deleted or not, and its
/// attachments with their bytes.
public func contents(of database: Database) async throws -> [String: JSON] {
    var query = ChangesQuery()
    query.allLeaves = true
    var leaves: [String: JSON] = [:]
    let all = try await database.changes(query).results.flatMap { change in
        change.revisions.map { (id: change.id, revision: Optional($0)) }
    }
    for start in stride(from: 0, to: all.count, by: 500) {
        let wanted = Array(all[start..<min(start + 500, all.count)])
        for rows in try await database.bulkGet(wanted, options: [.revisions, .attachments]) {
            for row in rows {
                let document = try row.get()
                var fields = document.fields
                // What the digest is of depends on how the bytes are kept.
                var attachments = document.attachments
                for (name, entry) in attachments {
                    var members = entry.objectValue ?? [:]
                    members["digest"] = nil
                    attachments[name] = .object(members)
                }
                if !attachments.isEmpty { fields["_attachments"] = .object(attachments) }
                leaves["\(document.id) \(document.revision?.description ?? "")"] = .object(fields)
            }
        }
    }
    return leaves
}

/// A pool with all that is awkward: conflicts, tombstones, stemmed histories, odd ids, attachments of many sizes.
public func fill(_ database: Database) async throws {
    let odd = ["a b", "c%2Fd", "e/f", "g+h", "i&j=k", "l#m?n", "ü", "日本", "new\nline", "\"quoted\"", "_design/views"]
    var documents = odd.map { Document(id: $0, fields: ["type": "token", "lock": 0, "done": 0]) }
    documents += (0..<300).map { Document(id: "token_\($0)", fields: ["type": "token", "n": .integer($0)]) }
    for outcome in try await database.bulkSave(documents) { if let error = outcome.error { throw error } }
    func replicated(_ id: String, _ path: [String], _ more: JSONObject) -> Document {
        let revisions = path.compactMap { Revision($0) }
        var fields: JSONObject = [
            "_rev": .string(path[0]),
            "_revisions": [
                "start": .integer(revisions[0].generation), "ids": .array(revisions.map { .string($0.hash) }),
            ],
        ]
        fields.merge(more)
        return Document(id: id, fields: fields)
    }
    let branches = [
        replicated("torn", ["2-b", "1-a"], ["side": "b"]), replicated("torn", ["2-c", "1-a"], ["side": "c"]),
        replicated("torn", ["3-d", "2-x", "1-a"], ["_deleted": true]), replicated("stemmed", ["9-z", "8-y"], ["n": 9]),
        replicated("gone", ["2-b", "1-a"], ["_deleted": true, "why": "kept in the tombstone"]),
    ]
    for outcome in try await database.bulkSave(branches, newEdits: false) {
        if let error = outcome.error { throw error }
    }
    let doomed = try await database.save(Document(id: "doomed", fields: ["n": 1]))
    try await database.delete("doomed", revision: doomed)
    var revision: Revision?
    for (name, size) in [("empty", 0), ("small.txt", 100), ("a/b ü.bin", 70_000), ("large.bin", 3_000_000)] {
        revision = try await database.putAttachment(
            name, to: "with files", revision: revision, contentType: "application/x-\(size)",
            body: .bytes((0..<size).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ size) }))
    }
    try await database.putAttachment(
        "log.txt", to: "with a log", revision: nil, contentType: "text/plain", body: .bytes(Array("done\n".utf8)))
}
