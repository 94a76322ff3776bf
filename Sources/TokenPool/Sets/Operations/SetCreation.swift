import CouchDB
import CouchDocument
import Foundation

/// One run of ``TokenSets/create(_:ifExists:progress:)``.
struct SetCreation {
    let sets: TokenSets
    let configuration: SetConfiguration
    let ledger: SetLedger
    let ifExists: IfExists
    var set: TokenSet
    var report = CreationReport()
    /// Whether tokens of the set can be there already.
    var looksFirst = false
    /// Whether the set document was made by this run, so that a failure can take everything back.
    var isNew = false
    /// At which revisions this run wrote the tokens.
    var revisions: WrittenRevisions
    let created: Timestamp

    init(sets: TokenSets, configuration: SetConfiguration, ledger: SetLedger, ifExists: IfExists) {
        self.sets = sets
        self.configuration = configuration
        self.ledger = ledger
        self.ifExists = ifExists
        revisions = WrittenRevisions(count: ledger.count)
        created = Timestamp(seconds: sets.now.seconds)
        var fields: JSONObject = [
            "type": "set", "name": .string(configuration.name), "state": "creating",
            "tokens": .integer(ledger.count), "created": .integer(created.seconds),
        ]
        fields["description"] = configuration.description.map(JSON.string)
        fields["limit"] = configuration.limit.map(JSON.integer)
        fields["share"] = configuration.share.flatMap(JSON.double)
        fields["file"] = .string(configuration.file)
        fields["config"] = configuration.record
        fields["sandbox"] = configuration.sandbox.map { .object($0.tokenMembers) }
        let document = Document(id: TokenSet.documentID(configuration.name), fields: fields)
        set = TokenSet(document)!
        set.awaits = ledger.dependencies.awaited.sorted().prefix(TokenSet.awaitsLimit).map { $0 }
        report.name = configuration.name
        report.tokens = ledger.count
    }

    mutating func run(_ progress: TokenSets.Progress?) async throws -> CreationReport {
        try await begin()
        do {
            try await writeTokens(progress)
            if report.resumed || ifExists == .update { try await removeLeftovers() }
        } catch let error as TokenIDTaken {
            try await takeBack()
            throw error.reported(nothingCreated: isNew)
        } catch {
            await giveUp()
            throw error
        }
        let count = report.tokens
        try await save { set in
            set.state = .ready
            set.step = .releasing
            set.tokens = max(set.tokens, count)
        }
        if try await releaseWritten(progress) {
            try await sets.noteReleased(set.name)
        } else {
            try await sets.release(set, progress: progress)
        }
        // What is waited for may be over already.
        _ = try await sets.pool.releaseDependents(of: ledger.dependencies.awaited.sorted())
        return report
    }

    // MARK: The set document

    private mutating func begin() async throws {
        while true {
            let present = try await sets.database.documentIfPresent(set.document.id)
            if let present {
                guard var found = TokenSet(present) else {
                    throw PoolError(.badInput, "document \"\(present.id)\" exists and is no set: choose another name")
                }
                try await check(found)
                if found.step == .releasing { try await sets.release(found) }
                if found.step == .releasing { found = try await sets.set(found.name) }
                // A set that is still being created is described by whoever finishes it.
                let revision = found.document.revision
                if found.state == .creating {
                    let created = found.document["created"]
                    report.resumed = true
                    found.document = set.document
                    found.document["created"] = created
                    found.document.revision = revision
                } else {
                    report.resumed = found.step == .writing
                    found.document["config"] = configuration.record
                    found.document["sandbox"] = configuration.sandbox.map { .object($0.tokenMembers) }
                    if let limit = configuration.limit { found.limit = limit }
                    if let share = configuration.share { found.share = share }
                    found.tokens = max(found.tokens, ledger.count)
                }
                set = found
                looksFirst = true
            }
            isNew = present == nil
            sign()
            do {
                set.document.revision = try await sets.database.save(set.document)
                return
            } catch CouchDBError.conflict { continue }
        }
    }

    /// Refuses when the set that is there forbids to go on.
    private func check(_ found: TokenSet) async throws {
        switch (found.state, found.step) {
        case (.deleting, _):
            throw PoolError(
                .wrongState,
                "set \"\(found.name)\" is being deleted: finish that with `tokenpool set delete \(found.name)`")
        case (_, .writing) where !isAbandoned(found):
            let writer = found.writer?["host"]?.stringValue ?? "somebody"
            throw PoolError(
                .wrongState,
                "set \"\(found.name)\" is being written by process \(found.writer?["process"]?.intValue ?? 0) on \(writer): "
                    + "wait for it, or a minute if it is gone")
        case (.creating, _): return
        case _ where ifExists == .fail:
            throw PoolError(
                .wrongState,
                "set \"\(found.name)\" exists already with \(found.tokens) tokens: use --if-exists skip or update, or another name"
            )
        default: return
        }
    }

    private func isAbandoned(_ found: TokenSet) -> Bool {
        guard let until = found.writerUntil, until > sets.now else { return true }
        // A process of this machine that is gone needs no waiting for.
        guard found.writer?["host"] == .string(Self.host), let process = found.writer?["process"]?.intValue else {
            return false
        }
        return kill(pid_t(process), 0) != 0 && errno == ESRCH
    }

    private static let host = ProcessInfo.processInfo.hostName

    /// Notes on the set document who writes, and until when that is to be believed.
    mutating func sign() {
        set.document["creation"] = [
            "step": "writing", "until": (sets.now + TokenSets.trust).json,
            "by": ["host": .string(Self.host), "process": .integer(Int(getpid()))],
        ]
    }

    mutating func save(_ change: (inout TokenSet) -> Void) async throws {
        change(&set)
        do { set.document.revision = try await sets.database.save(set.document) } catch CouchDBError.conflict {
            throw PoolError(
                .contended,
                "set \"\(set.name)\" was taken over by another process while it was written: see `tokenpool set show`")
        }
    }

    /// Says that nobody writes any more. What was written waits, held, for the next run, which need not wait for the
    /// trust in this one to end. When even that can not be written, it must.
    private func giveUp() async {
        var document = set.document
        document["creation"] = ["step": "writing", "until": 0]
        // A task of its own: this one may be cancelled.
        let task = Task { [sets, document] in _ = try await sets.database.save(document) }
        _ = await task.result
    }

    /// Removes what this run wrote, so that a set that can not be is not there at all.
    private mutating func takeBack() async throws {
        guard isNew else {
            await giveUp()
            return
        }
        let name = set.name
        try await sets.pages(.held, key: .string(name)) { rows in
            let documents = rows.compactMap(\.document).map { Self.tombstone($0) }
            try await sets.write(documents, doing: "removing")
        }
        if let revision = set.document.revision { try await sets.database.delete(set.document.id, revision: revision) }
    }

    static func tombstone(_ document: Document) -> Document {
        var tombstone = Document(id: document.id, fields: ["_deleted": true])
        tombstone.revision = document.revision
        return tombstone
    }
}

/// An id of the set is that of a document that is not the set's.
struct TokenIDTaken: Error {
    let id: String
    let owner: String?

    func reported(nothingCreated: Bool) -> PoolError {
        let owner = owner.map { "of set \"\($0)\"" } ?? "of no set"
        return PoolError(
            .badInput,
            "a document \"\(id)\" exists already and is \(owner): choose another `id` or `set`"
                + (nothingCreated ? "; nothing was created" : "; the set stays as it was until that is done"))
    }
}
