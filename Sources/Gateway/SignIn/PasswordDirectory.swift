/// A directory of people beside the pool's own, such as an LDAP server.
package protocol PasswordDirectory: Sendable {
    /// Looks at a password.
    ///
    /// - Throws: ``DirectoryFault`` when that can not be done now.
    func check(name: String, password: String) async throws -> DirectoryVerdict
    /// The roles of those who may come without being known in the pool; `nil`: nobody may.
    var newcomerRoles: [String]? { get }
}

/// What a directory says.
package enum DirectoryVerdict: Hashable, Sendable {
    case wrong
    /// The password is right.
    ///
    /// - isWelcome: Whether the person may come without being known in the pool.
    case right(isWelcome: Bool)
}

/// A directory can not be asked.
package struct DirectoryFault: Error, Sendable {
    package let reason: String

    package init(_ reason: String) { self.reason = reason }
}
