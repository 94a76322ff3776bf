import CouchDocument
import CouchStore

/// `_revs_diff`, `_missing_revs` and `_purge`: lists of revisions by document.
struct RevisionRoutes: Sendable {
    let here: DatabaseCall

    func answer() async throws -> Answer {
        try here.call.allow("POST")
        let page = here.call.path.segments[1]
        let body = try await here.call.postedObject()
        let asked = try body.map { (id: $0.name, revisions: try Self.revisions($0.value, isStrict: page == "_purge")) }
        if page == "_purge" { return try await purge(asked) }
        let found = try await here.database.missingRevisions(asked)
        func list(_ revisions: [Revision]) -> JSON { .array(revisions.map { .string($0.description) }) }
        if page == "_missing_revs" {
            let rows = JSONObject(found.map { ($0.id, list($0.missing)) })
            return .json(200, ["missing_revs": .object(rows)])
        }
        let rows = found.map { row in
            var members: JSONObject = ["missing": list(row.missing)]
            if !row.possibleAncestors.isEmpty { members["possible_ancestors"] = list(row.possibleAncestors) }
            return (row.id, JSON.object(members))
        }
        return .json(200, .object(JSONObject(rows)))
    }

    private static func revisions(_ value: JSON, isStrict: Bool) throws(Refusal) -> [Revision] {
        // CouchDB crashes on what is no list of texts, but for _purge.
        let malformed = Refusal(isStrict ? 400 : 500, "bad_request", "Invalid list of revisions")
        guard let list = value.arrayValue else { throw malformed }
        var revisions: [Revision] = []
        for item in list {
            guard let text = item.stringValue else { throw malformed }
            revisions.append(try DocumentDraft.revision(text))
        }
        return revisions
    }

    private func purge(_ asked: [(id: String, revisions: [Revision])]) async throws -> Answer {
        let purged = try await here.database.purge(asked)
        if here.isUsers { here.service.signIn.forgetUsers() }
        let rows = purged.map { ($0.id, JSON.array($0.purged.map { .string($0.description) })) }
        return .json(201, ["purge_seq": nil, "purged": .object(JSONObject(rows))])
    }
}
