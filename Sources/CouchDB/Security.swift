public import CouchDocument

/// Who may use a database. Members that are not known here are kept.
public struct Security: Sendable, Hashable {
    /// Names and roles.
    public struct Group: Sendable, Hashable {
        /// Names of users.
        public var names: [String]
        /// Roles of users.
        public var roles: [String]

        /// A group of these.
        public init(names: [String] = [], roles: [String] = []) {
            self.names = names
            self.roles = roles
        }
    }

    /// All members of the object.
    public var fields: JSONObject

    /// Takes an object as it is.
    public init(_ fields: JSONObject) { self.fields = fields }

    /// A database of these. Without members everybody may read and write documents.
    public init(admins: Group = Group(), members: Group = Group()) {
        fields = [:]
        self.admins = admins
        self.members = members
    }

    /// Who may also write design documents and this object.
    public var admins: Group {
        get { group("admins") }
        set { setGroup("admins", newValue) }
    }

    /// Who may read and write documents; empty: everybody.
    public var members: Group {
        get { group("members") }
        set { setGroup("members", newValue) }
    }

    private func group(_ name: String) -> Group {
        func list(_ part: String) -> [String] { fields[name]?[part]?.arrayValue?.compactMap(\.stringValue) ?? [] }
        return Group(names: list("names"), roles: list("roles"))
    }

    private mutating func setGroup(_ name: String, _ group: Group) {
        var object = fields[name]?.objectValue ?? [:]
        object["names"] = .array(group.names.map(JSON.string))
        object["roles"] = .array(group.roles.map(JSON.string))
        fields[name] = .object(object)
    }
}

extension Database {
    /// Lets users and roles use the database, beside those who may already.
    ///
    /// The object has no revision: of two changes at the same moment one may be lost.
    ///
    /// - Returns: Whether anything had to be written.
    @discardableResult
    public func allow(names: [String] = [], roles: [String] = [], asAdmins: Bool = false) async throws -> Bool {
        try await changeSecurity(asAdmins) { group in
            group.names += names.filter { !group.names.contains($0) }
            group.roles += roles.filter { !group.roles.contains($0) }
        }
    }

    /// Takes that back. When no member is left the server's administrators become members: CouchDB opens a database
    /// without members to everybody.
    ///
    /// - Returns: Whether anything had to be written.
    @discardableResult
    public func deny(names: [String] = [], roles: [String] = [], asAdmins: Bool = false) async throws -> Bool {
        try await changeSecurity(asAdmins) { group in
            let before = group
            group.names.removeAll(where: names.contains)
            group.roles.removeAll(where: roles.contains)
            if group != before, group == Security.Group() { group.roles = ["_admin"] }
        }
    }

    private func changeSecurity(_ ofAdmins: Bool, _ change: (inout Security.Group) -> Void) async throws -> Bool {
        let before = try await security()
        var after = before
        if ofAdmins { change(&after.admins) } else { change(&after.members) }
        guard after.admins != before.admins || after.members != before.members else { return false }
        try await setSecurity(after)
        return true
    }
}
