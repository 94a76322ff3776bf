public import CouchDocument

extension Server {
    private static let userPrefix = "org.couchdb.user:"

    /// The document of a user in `_users`; `nil` when there is none.
    public func user(_ name: String) async throws -> Document? {
        try await database("_users").documentIfPresent(Self.userPrefix + name)
    }

    /// Makes a user, or gives one a new password and roles; other members of the document are kept.
    ///
    /// - Parameter password: `nil` keeps the password of a user that exists.
    @discardableResult
    public func saveUser(name: String, password: String?, roles: [String] = []) async throws -> Revision {
        var document =
            try await user(name)
            ?? Document(id: Self.userPrefix + name, fields: ["name": .string(name), "type": "user"])
        if let password { Self.set(password, in: &document) }
        document["roles"] = .array(roles.map(JSON.string))
        return try await database("_users").save(document)
    }

    /// The names and roles of all users, sorted by name. For server administrators.
    public func users() async throws -> [(name: String, roles: [String])] {
        var query = ViewQuery(startKey: .string(Self.userPrefix), endKey: .string(Self.userPrefix + "\u{fff0}"))
        query.includeDocuments = true
        var users: [(name: String, roles: [String])] = []
        for try await row in database("_users").allDocumentRows(query) {
            guard let document = row.document, let name = document["name"]?.stringValue else { continue }
            users.append((name, document["roles"]?.arrayValue?.compactMap(\.stringValue) ?? []))
        }
        return users
    }

    /// Gives a user a new password; roles and all other members stay. A user may do so for itself, where the server
    /// lets users read their own documents.
    ///
    /// - Throws: ``CouchDBError/notFound`` when there is none, server administrators included.
    @discardableResult
    public func changePassword(of name: String, to password: String) async throws -> Revision {
        var document = try await database("_users").document(Self.userPrefix + name)
        Self.set(password, in: &document)
        return try await database("_users").save(document)
    }

    /// What digest sign-in keeps of the old password would let it in.
    private static func set(_ password: String, in document: inout Document) {
        document["password"] = .string(password)
        document["digest"] = nil
    }

    /// Removes a user.
    ///
    /// - Throws: ``CouchDBError/notFound`` when there is none.
    public func deleteUser(_ name: String) async throws {
        let users = database("_users")
        let id = Self.userPrefix + name
        guard let revision = try await users.document(id).revision else {
            throw CouchDBError(
                code: .badAnswer, reason: "the document has no revision",
                attempted: "GET " + users.path(of: id))
        }
        try await users.delete(id, revision: revision)
    }
}
