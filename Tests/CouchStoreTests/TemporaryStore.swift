import CouchDocument
import CouchStore
import Foundation
import Logging
import Testing

/// A store in a folder of its own, which goes with it.
final class TemporaryStore: Sendable {
    let folder: String
    let store: Store

    init() async throws {
        folder = FileManager.default.temporaryDirectory.path + "/store-\(UUID().uuidString)"
        store = try await Store.open(folder: folder, logger: Logger(label: "test"))
    }

    /// Runs a test with a new database, and removes everything afterwards.
    static func withDatabase(
        _ name: String = "db", _ body: (StoredDatabase, TemporaryStore) async throws -> Void
    ) async throws {
        let temporary = try await TemporaryStore()
        let database = try await temporary.store.createDatabase(name)
        do {
            try await body(database, temporary)
        } catch {
            try await temporary.remove()
            throw error
        }
        try await temporary.remove()
    }

    func remove() async throws {
        await store.close()
        try FileManager.default.removeItem(atPath: folder)
    }
}

extension StoredDatabase {
    /// Writes one document and answers its revision.
    @discardableResult
    func put(
        _ id: String, _ body: JSONObject = [:], after parent: Revision? = nil, attachments: [EditedAttachment] = []
    ) async throws -> Revision {
        try #require(
            try await write(Edit(id: id, parent: parent, body: body, attachments: attachments)).revision)
    }

    @discardableResult
    func delete(_ id: String, _ revision: Revision) async throws -> Revision {
        try #require(try await write(Edit(id: id, parent: revision, isDeleted: true, body: [:])).revision)
    }

    /// Brings in revisions as replication does: the newest first.
    func replicate(_ id: String, _ path: [String], _ body: JSONObject = [:], isDeleted: Bool = false) async throws
        -> EditOutcome
    {
        let revisions = path.compactMap { Revision($0) }
        return try await write(Edit(id: id, lineage: .replicated(revisions), isDeleted: isDeleted, body: body))
    }
}

func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

extension EditOutcome {
    var isConflict: Bool { if case .conflict = self { true } else { false } }
}
