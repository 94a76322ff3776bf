import CLDAP
import Dispatch

/// One connection, used once, on a thread that may wait. It is cut when its time is over, whatever libldap does then.
final class LDAPConnection {
    private let settings: LDAPSettings
    private let handle: OpaquePointer
    private let watch: UnsafeMutablePointer<tp_ldap_watch>
    private let cut: DispatchWorkItem
    /// Cuts connections; also says when that is over and done.
    private static let clock = DispatchQueue(label: "tokenpool.ldap.clock")

    init(_ settings: LDAPSettings) throws {
        self.settings = settings
        var opened: OpaquePointer?
        let code = ldap_initialize(&opened, settings.url)
        guard code == LDAP_SUCCESS, let opened else { throw Self.fault("open", settings, code) }
        handle = opened
        watch = UnsafeMutablePointer.allocate(capacity: 1)
        watch.initialize(to: tp_ldap_watch())
        // Not freed before the clock has let go of it, see `deinit`.
        nonisolated(unsafe) let watched = watch
        cut = DispatchWorkItem { tp_ldap_cut(watched) }
        let started = tp_ldap_start_watch(handle, watch)
        let seconds = max(1, Int(settings.timeLimit.components.seconds))
        Self.clock.asyncAfter(deadline: .now() + .seconds(seconds), execute: cut)
        var codes = [
            started, tp_ldap_set_int(handle, LDAP_OPT_PROTOCOL_VERSION, 3), tp_ldap_no_referrals(handle),
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

    deinit {
        let cut = cut
        Self.clock.sync { cut.cancel() }
        ldap_unbind_ext_s(handle, nil, nil)
        tp_ldap_end_watch(watch)
        watch.deallocate()
    }

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
