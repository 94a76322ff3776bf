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
