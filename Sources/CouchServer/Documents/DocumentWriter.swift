import CouchDocument
import CouchStore
import Logging

/// What became of a document that was to be written.
enum WriteOutcome: Sendable {
    case saved(Revision)
    case refused(Refusal)
}

/// Writes documents for an account: permissions, design checks, user documents and validation functions on the way.
struct DocumentWriter: Sendable {
    let here: DatabaseCall

    /// Writes one document.
    ///
    /// - Throws: What kept it from being written.
    func save(_ edit: Edit) async throws -> Revision {
        switch try await save([edit])[0] {
        case .saved(let revision): return revision
        case .refused(let refusal): throw refusal
        }
    }

    /// Writes one document for `batch=ok`.
    ///
    /// CouchDB answers before it looks at the edit, so its sender never hears of a conflict or of a rule that refused it;
    /// here it is on disk, or forgotten, when the answer goes out. What the server fails in is told.
    func saveUntold(_ edit: Edit) async throws -> Answer {
        do {
            _ = try await save(edit)
        } catch let refusal as Refusal where refusal.status < 500 {
            here.service.logger.debug(
                "batch=ok: not written", metadata: ["document": "\(edit.id)", "reason": "\(refusal.reason)"])
        }
        return .json(202, ["ok": true, "id": .string(edit.id)])
    }

    /// Writes documents; each has an outcome of its own.
    func save(_ edits: [Edit]) async throws -> [WriteOutcome] {
        var outcomes: [WriteOutcome] = []
        try await save(edits) { outcomes += $1 }
        return outcomes
    }

    /// Writes documents and tells the outcomes in their order, some at a time: of very many nobody has to keep them all.
    func save(_ edits: [Edit], told: (ArraySlice<Edit>, [WriteOutcome]) -> Void) async throws {
        // In a partitioned database one wrong id refuses the whole request, as in CouchDB.
        if here.database.isPartitioned { for edit in edits { try Partition.check(id: edit.id) } }
        let isPlain = !here.isUsers && !here.isReplicator && edits.allSatisfy { !$0.isLocal && !$0.isDesign }
        // Then nothing must hold of them; see ``check(_:)``.
        if isPlain {
            try await write(edits, told: told)
            return
        }
        var outcomes = [WriteOutcome](repeating: .refused(.conflict), count: edits.count)
        var accepted: [Edit] = []
        var places: [Int] = []
        for (index, edit) in edits.enumerated() {
            do {
                accepted.append(try await check(edit))
                places.append(index)
            } catch let refusal as Refusal {
                outcomes[index] = .refused(refusal)
            } catch let error as StoreError {
                outcomes[index] = .refused(Refusal(error))
            }
        }
        var open = places[...]
        try await write(accepted) { for outcome in $1 { outcomes[open.removeFirst()] = outcome } }
        told(edits[...], outcomes)
    }

    /// Writes what passed the checks.
    private func write(_ edits: [Edit], told: (ArraySlice<Edit>, [WriteOutcome]) -> Void) async throws {
        if edits.isEmpty { return }
        if let validation = try await validation(for: edits) {
            told(edits[...], try await here.database.write(edits, validation: validation).map(Self.outcome))
        } else {
            try await here.database.write(edits) { told($0, $1.map(Self.outcome)) }
        }
        if here.isUsers { here.service.signIn.forgetUsers() }
        here.service.events.note(here.database.name, .updated)
        here.service.figures.countWrites(edits.count)
    }

    private static func outcome(_ outcome: EditOutcome) -> WriteOutcome {
        switch outcome {
        case .saved(let revision, _): .saved(revision)
        case .conflict: .refused(.conflict)
        case .failed(let error): .refused(Refusal(error))
        }
    }

    /// What must hold of one edit whatever is stored; user documents come back with their password hashed.
    private func check(_ edit: Edit) async throws -> Edit {
        if edit.isLocal {
            if !edit.attachments.isEmpty {
                throw Refusal.badRequest("_local documents do not accept attachments.")
            }
            return edit
        }
        if edit.isDesign {
            if !here.isDatabaseAdmin {
                let reason = "You are not a db or server admin."
                throw here.account.name == nil ? Refusal.unauthorized(reason) : Refusal.forbidden(reason)
            }
            if !edit.isDeleted, let design = DesignDocument(Document(id: edit.id, fields: edit.body)) {
                try await here.database.views.functions.check(design)
                if !here.database.isPartitioned && edit.body["options"]?["partitioned"] == true {
                    throw Refusal(
                        400, "invalid_design_doc",
                        "partitioned option cannot be true in a non-partitioned database.")
                }
            }
            return edit
        }
        if here.isReplicator { return try await ReplicatorDocuments(here: here).prepare(edit) }
        return here.isUsers ? try await UserDocuments(here: here).prepare(edit) : edit
    }

    /// The design documents' `validate_doc_update`, if there are any.
    private func validation(for edits: [Edit]) async throws -> EditValidation? {
        guard edits.contains(where: { !$0.isLocal && !$0.isDesign }) else { return nil }
        let designs = try await here.database.designDocuments()
            .filter { $0.document["validate_doc_update"] != nil }
        if designs.isEmpty { return nil }
        let functions = here.database.views.functions
        let user = here.account.context(database: here.database.name)
        let security = here.security.json
        return { new, old in
            if new.id.hasPrefix("_design/") { return }
            try await functions.validate(
                new.fields, replacing: old?.fields, user: user, security: security, designs: designs)
        }
    }
}
