import CLDAP
import Synchronization

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

/// One connection, used once.
private final class LDAPConnection {
    private let settings: LDAPSettings
    private let handle: OpaquePointer

    init(_ settings: LDAPSettings) throws {
        self.settings = settings
        var handle: OpaquePointer?
        let code = ldap_initialize(&handle, settings.url)
        guard code == LDAP_SUCCESS, let handle else { throw Self.fault("open", settings, code) }
        self.handle = handle
        let seconds = max(1, Int(settings.timeLimit.components.seconds))
        var codes = [
            tp_ldap_set_int(handle, LDAP_OPT_PROTOCOL_VERSION, 3), tp_ldap_no_referrals(handle),
            tp_ldap_set_int(handle, LDAP_OPT_TIMELIMIT, Int32(seconds)),
            tp_ldap_set_time(handle, LDAP_OPT_NETWORK_TIMEOUT, seconds, 0),
            tp_ldap_set_time(handle, LDAP_OPT_TIMEOUT, seconds, 0),
            // Whatever the machine's ldap.conf says.
            tp_ldap_set_int(handle, LDAP_OPT_X_TLS_REQUIRE_CERT, LDAP_OPT_X_TLS_DEMAND),
        ]
        if let file = settings.authorityFile {
            codes.append(ldap_set_option(handle, LDAP_OPT_X_TLS_CACERTFILE, file))
        }
        codes.append(tp_ldap_set_int(handle, LDAP_OPT_X_TLS_NEWCTX, 0))
        if let code = codes.first(where: { $0 != LDAP_OPT_SUCCESS }) { throw Self.fault("set up", settings, code) }
        if settings.startsTLS {
            let code = ldap_start_tls_s(handle, nil, nil)
            guard code == LDAP_SUCCESS else { throw Self.fault("start TLS with", settings, code) }
        }
    }

    deinit { ldap_unbind_ext_s(handle, nil, nil) }

    private static func fault(_ what: String, _ settings: LDAPSettings, _ code: Int32) -> LDAPFault {
        LDAPFault(description: "can not \(what) \(settings.url): \(String(cString: ldap_err2string(code)))")
    }

    func check(name: String, password: String) throws -> LDAPDirectory.Outcome {
        let dn = settings.dn(of: name)
        let code = tp_ldap_simple_bind(handle, dn, password)
        switch code {
        case LDAP_SUCCESS: break
        case LDAP_INVALID_CREDENTIALS, LDAP_NO_SUCH_OBJECT, LDAP_INVALID_DN_SYNTAX, LDAP_INAPPROPRIATE_AUTH,
            LDAP_INSUFFICIENT_ACCESS, LDAP_CONSTRAINT_VIOLATION:
            return .wrong
        default: throw Self.fault("sign in at", settings, code)
        }
        guard let group = settings.group else { return .right(isMember: false) }
        let count = tp_ldap_finds(
            handle, group.base, group.filter(name: name, dn: dn), max(1, Int(settings.timeLimit.components.seconds)))
        guard count >= 0 else { throw Self.fault("search in", settings, count) }
        return .right(isMember: count > 0)
    }
}
