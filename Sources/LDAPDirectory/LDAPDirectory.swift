/// Looks at passwords in an LDAP server, by signing in there as the user.
///
/// libldap waits: so it does on threads of its own, and only so many may wait for them.
package final class LDAPDirectory: Sendable {
    /// What came of a name and a password.
    package enum Outcome: Hashable, Sendable {
        /// The password is wrong, or nobody has that name.
        case wrong
        /// It is right.
        ///
        /// - isMember: Whether the group filter finds the user; `false` without one.
        case right(isMember: Bool)
    }

    private let settings: LDAPSettings
    private let threads: WaitingThreads

    package init(_ settings: LDAPSettings) {
        self.settings = settings
        threads = WaitingThreads(count: 4)
    }

    /// Looks at a password.
    ///
    /// - Throws: ``LDAPFault`` when the server can not be asked.
    package func check(name: String, password: String) async throws -> Outcome {
        // With an empty password a server answers "success" and has signed in nobody (RFC 4513 §5.1.2).
        guard !password.isEmpty, !name.isEmpty, !password.utf8.contains(0), !name.utf8.contains(0) else {
            return .wrong
        }
        let settings = settings
        return try await threads.perform { try LDAPConnection(settings).check(name: name, password: password) }
    }
}

/// Why an LDAP server could not be asked, in one line.
package struct LDAPFault: Error, Sendable, CustomStringConvertible {
    package let description: String
}
