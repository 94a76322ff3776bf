import CouchDocument
import CouchStore

/// The rules of `_users`: what a user document must be, who may write and see it, and that it never holds a password.
struct UserDocuments: Sendable {
    let here: DatabaseCall
    private static let prefix = "org.couchdb.user:"

    /// The document of a user, for signing in; `nil` when there is none.
    static func read(_ name: String, in store: Store) async throws -> JSONObject? {
        guard let database = try await store.database("_users"),
            let stored = try await database.read(prefix + name), !stored.isDeleted
        else { return nil }
        let fields = stored.document().fields
        return fields["type"] == "user" ? fields : nil
    }

    private var isAdmin: Bool { here.isDatabaseAdmin }

    private func isOwn(_ id: String) -> Bool { here.account.name.map { Self.prefix + $0 == id } == true }

    /// Refuses to show another's document, without telling whether it exists.
    func requireReadable(_ id: String) throws(Refusal) {
        if isAdmin || isOwn(id) || id.hasPrefix("_design/") { return }
        throw .notFound()
    }

    /// Checks a user document before it is written and hashes its password.
    func prepare(_ edit: Edit) async throws -> Edit {
        let stored = try await here.database.read(edit.id)
        let old = stored.flatMap { $0.isDeleted ? nil : $0.document().fields }
        if !isAdmin && old != nil && !isOwn(edit.id) { throw Refusal.notFound() }
        if edit.isDeleted { return edit }
        if let fault = fault(of: edit, replacing: old) { throw Refusal.forbidden(fault) }
        var edit = edit
        switch edit.body["password"] {
        case nil: break
        case .null?: edit.body["password"] = nil
        case .string(let password)?:
            let hash = try await PasswordHash.make(password)
            var body = hash.members
            for name in body.names + ["password", "password_sha"] { edit.body[name] = nil }
            body.merge(edit.body)
            edit.body = body
        case let value?: throw Refusal.forbidden("Password value of '\(value)' is invalid.")
        }
        return edit
    }

    /// What is wrong with a document, in the words of CouchDB's own `_design/_auth`.
    private func fault(of edit: Edit, replacing old: JSONObject?) -> String? {
        let new = edit.body
        guard new["type"] == "user" else { return "doc.type must be user" }
        guard let name = new["name"]?.stringValue, !name.isEmpty else { return "doc.name is required" }
        guard let roleValue = new["roles"] else { return "doc.roles must exist" }
        guard let list = roleValue.arrayValue else { return "doc.roles must be an array" }
        let roles = list.compactMap(\.stringValue)
        if roles.count != list.count { return "doc.roles can only contain strings" }
        if edit.id != Self.prefix + name { return "Doc ID must be of the form org.couchdb.user:name" }
        if let old, old["name"] != new["name"] { return "Usernames can not be changed." }
        if new["password_sha"] != nil && new["salt"] == nil {
            return "Users with password_sha must have a salt. See /_utils/script/couch.js for example code."
        }
        if !isAdmin {
            if let old {
                if here.account.name != name { return "You may only update your own user document." }
                let oldRoles = old["roles"]?.arrayValue?.compactMap(\.stringValue) ?? []
                if oldRoles.sorted() != roles.sorted() { return "Only _admin may edit roles" }
            } else if !roles.isEmpty {
                return "Only _admin may set roles"
            }
        }
        if roles.contains(where: { $0.hasPrefix("_") }) {
            return "No system roles (starting with underscore) in users db."
        }
        if name.hasPrefix("_") { return "Username may not start with underscore." }
        if name.contains(":") { return "Character `:` is not allowed in usernames." }
        return nil
    }
}
