import CouchDocument

/// Who sends a request: CouchDB's user context.
package struct Account: Sendable, Hashable {
    package var name: String?
    package var roles: [String]
    /// How the request proved it: `cookie` or `default` (Basic).
    package var handler: String?

    /// Somebody who did not sign in.
    package static let nobody = Account(name: nil, roles: [], handler: nil)

    package var isServerAdmin: Bool { roles.contains("_admin") }

    /// `userCtx` as design functions and `_session` show it.
    func context(database: String? = nil) -> JSON {
        var members: JSONObject = [:]
        if let database { members["db"] = .string(database) }
        members["name"] = name.map(JSON.string) ?? .null
        members["roles"] = .array(roles.map(JSON.string))
        return .object(members)
    }
}

/// Who may do what in a database: the object at `_security`.
package struct SecurityObject: Sendable {
    /// As it was written.
    package let json: JSON
    private let administrators: Group
    private let members: Group

    /// Some accounts, by name or by role.
    private struct Group: Sendable {
        let names: [String]
        let roles: [String]

        init(_ json: JSON?) {
            names = json?["names"]?.arrayValue?.compactMap(\.stringValue) ?? []
            roles = json?["roles"]?.arrayValue?.compactMap(\.stringValue) ?? []
        }

        func contains(_ account: Account) -> Bool {
            account.name.map(names.contains) == true || account.roles.contains(where: roles.contains)
        }
    }

    package init(_ json: JSON) {
        self.json = json
        administrators = Group(json["admins"])
        members = Group(json["members"])
    }

    /// May change design documents, `_security` and the settings of the database.
    func isAdministrator(_ account: Account) -> Bool { account.isServerAdmin || administrators.contains(account) }

    /// May read and write documents. Without members the database is everybody's.
    func isMember(_ account: Account) -> Bool {
        if members.names.isEmpty && members.roles.isEmpty { return true }
        return isAdministrator(account) || members.contains(account)
    }

    /// Refuses those who are no members.
    func requireMember(_ account: Account) throws(Refusal) {
        if isMember(account) { return }
        if account.name == nil { throw .unauthorized("You are not authorized to access this db.") }
        throw .forbidden("You are not allowed to access this db.")
    }

    /// Why an object may not be stored; `nil` when it may.
    static func fault(of json: JSON) -> String? {
        guard let object = json.objectValue else { return "Request body must be a JSON object" }
        for name in ["admins", "members"] {
            guard let group = object[name] else { continue }
            guard let members = group.objectValue else { return "\(name) must be a JSON object" }
            for list in ["names", "roles"] {
                guard let value = members[list] else { continue }
                guard let items = value.arrayValue else { return "\(list) must be a JSON list" }
                if items.contains(where: { $0.stringValue == nil }) { return "\(list) must be a JSON list of strings" }
            }
        }
        return nil
    }
}
