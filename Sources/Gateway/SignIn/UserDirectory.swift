import CouchDB
import CouchDocument

/// How the gateway learns who may sign in.
package struct UserDirectory: Sendable {
    /// What came of a password.
    package enum Verdict: Sendable {
        /// It is right.
        case right
        /// It is wrong, or nobody has that name.
        case wrong
        /// There were too many wrong ones.
        case locked
    }

    /// Somebody who may sign in.
    package struct User: Sendable {
        package var name: String
        package var roles: [String]
        /// Whether a password of theirs is kept here, and no other is asked for elsewhere.
        package var hasPassword: Bool

        package init(name: String, roles: [String], hasPassword: Bool) {
            self.name = name
            self.roles = roles
            self.hasPassword = hasPassword
        }
    }

    /// Looks at a password: name, password and the address of who gives it.
    package let check: @Sendable (_ name: String, _ password: String, _ peer: String) async throws -> Verdict
    /// Wrong passwords of any kind, those that ``check`` sees included.
    package let guesses: GuessCount
    /// Who has that name now; `nil` when nobody does.
    package let user: @Sendable (_ name: String) async throws -> User?

    package init(
        check: @escaping @Sendable (_ name: String, _ password: String, _ peer: String) async throws -> Verdict,
        guesses: GuessCount,
        user: @escaping @Sendable (_ name: String) async throws -> User?
    ) {
        self.check = check
        self.guesses = guesses
        self.user = user
    }
}

extension UserDirectory {
    /// The users of a server, over HTTP.
    ///
    /// - Parameters:
    ///   - server: Signed in as a server admin.
    ///   - administrator: That admin's name, which is in no user document.
    ///   - guesses: Counts wrong passwords here: to that server all come from the gateway's address.
    package static func over(
        _ server: Server, administrator: String, guesses: GuessCount
    ) throws -> UserDirectory {
        // Asks with the password that is looked at, and with nothing else.
        var configuration = server.configuration
        configuration.credentials = nil
        let asking = try Server(configuration)
        let checks = PasswordChecks(guesses)
        return UserDirectory(
            check: { name, password, peer in
                do {
                    return try await checks.check(name, password, peer) {
                        do {
                            let pair: JSON = ["name": .string(name), "password": .string(password)]
                            _ = try await asking.request("POST", "/_session", body: .json(pair))
                            return true
                        } catch CouchDBError.unauthorized {
                            return false
                        }
                    }
                } catch CouchDBError.forbidden {
                    return .locked
                }
            },
            guesses: guesses,
            user: { name in
                if name == administrator { return User(name: name, roles: ["_admin"], hasPassword: true) }
                guard let document = try await server.user(name), document["type"] == "user" else { return nil }
                // Roles with an underscore are the server's own and never come from a document.
                let roles = document["roles"]?.arrayValue?.compactMap(\.stringValue).filter { !$0.hasPrefix("_") }
                return User(name: name, roles: roles ?? [], hasPassword: document["salt"] != nil)
            })
    }
}
