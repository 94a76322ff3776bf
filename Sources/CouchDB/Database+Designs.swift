public import CouchDocument

/// What a push did.
public enum PushOutcome: Sendable, Hashable {
    /// The stored document says the same: nothing was written, no index is built anew.
    case unchanged(Revision)
    /// It was not there.
    case created(Revision)
    /// It was changed.
    case updated(Revision)

    /// The revision that is there now.
    public var revision: Revision {
        switch self {
        case .unchanged(let revision), .created(let revision), .updated(let revision): revision
        }
    }
}

extension Database {
    /// The design document of that name (without `_design/`): `GET /db/_design/name`. `nil` when there is none.
    public func designDocument(_ name: String) async throws -> DesignDocument? {
        try await documentIfPresent("_design/" + name).flatMap { DesignDocument($0) }
    }

    /// Makes the stored design document say what this one says; members that only the stored one has are kept, and
    /// nothing is written when nothing would change.
    ///
    /// A member that both have is replaced as a whole: a view that only the stored one has is removed.
    ///
    /// - Throws: ``CouchDBError/conflict`` when somebody else wrote it meanwhile.
    @discardableResult
    public func push(_ design: DesignDocument) async throws -> PushOutcome {
        guard let stored = try await designDocument(design.name), let revision = stored.document.revision else {
            var document = design.document
            document.revision = nil
            return .created(try await save(document))
        }
        var merged = stored
        for (name, value) in design.document.fields where name != "_id" && name != "_rev" {
            merged.document[name] = value
        }
        if merged.hasSameFunctions(as: stored), merged.document.attachments == stored.document.attachments {
            return .unchanged(revision)
        }
        return .updated(try await save(merged.document))
    }
}
