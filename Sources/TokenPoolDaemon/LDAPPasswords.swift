import Gateway
import LDAPDirectory

/// An LDAP server as the gateway's directory of people.
struct LDAPPasswords: PasswordDirectory {
    let directory: LDAPDirectory
    let newcomerRoles: [String]?

    func check(name: String, password: String) async throws -> DirectoryVerdict {
        do {
            switch try await directory.check(name: name, password: password) {
            case .wrong: return .wrong
            case .right(let isMember): return .right(isWelcome: isMember)
            }
        } catch let fault as LDAPFault {
            throw DirectoryFault(fault.description)
        }
    }
}
