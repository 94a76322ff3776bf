import CouchDB
import CouchDocument
import TokenPool

// Passwords: of the pool's own users, and of people in a directory.
extension Dispatcher {
    /// Looks at a password: those who have one in the pool are known by that alone, all others by the directory.
    func check(_ name: String, _ password: String, from address: String) async throws -> UserDirectory.Verdict {
        let user = try await users.user(name)
        guard let directory = signInSettings.directory, user.map({ !$0.hasPassword }) ?? true else {
            return try await users.check(name, password, address)
        }
        return try await directoryChecks.check(name, password, address) { [self] in
            guard case .right(let isWelcome) = try await directory.check(name: name, password: password) else {
                return false
            }
            if user != nil {
                let document = try await projects.database.server.user(name)
                guard document?[Self.newcomerMark] == true else { return true }
            }
            // Groups are looked at whenever somebody comes whom only the directory knows.
            guard let roles = directory.newcomerRoles, isWelcome, Self.canBeNew(name) || user != nil else {
                throw GatewayRefusal(401, "The password is right, but \(name) is not known in this pool\n")
            }
            if user == nil { try await enter(name, roles: roles) }
            return true
        }
    }

    /// In the documents of users who came in by the directory alone.
    private static let newcomerMark = "from_directory"

    /// Directories find a name in any case and with blanks around it, the pool does not: nobody becomes two people.
    private static func canBeNew(_ name: String) -> Bool {
        name == name.lowercased() && !name.hasPrefix("_") && name.utf8.count <= 200
            && name.unicodeScalars.allSatisfy {
                !$0.properties.isWhitespace && $0.properties.generalCategory != .control
            }
    }

    private func enter(_ name: String, roles: [String]) async throws {
        let document = Document(
            id: "org.couchdb.user:" + name,
            fields: [
                "name": .string(name), "type": "user", "roles": .array(roles.map(JSON.string)),
                Self.newcomerMark: true,
            ])
        do { try await projects.database.server.database("_users").save(document) } catch CouchDBError.conflict {
            // Came in by another door at the same time.
        }
        members.forget(name)
    }
}
