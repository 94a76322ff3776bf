import Gateway
import LDAPDirectory

extension SignInSettings {
    /// The keys of the section `sign_in`.
    static let keys = ["token_lifetime", "limits", "ldap", "issuers"]

    init(_ section: ConfigurationSection) throws {
        self.init()
        if let lifetime = try section.duration("token_lifetime", in: 60...31_536_000) { tokenLifetime = lifetime }
        if let limits = try section.section("limits", known: ["sign_ins", "requests"]) {
            let most = 1_000_000
            if let count = try limits.number("sign_ins", in: 0...most) { signInsPerClient = count }
            if let count = try limits.number("requests", in: 0...most) { requestsPerUser = count }
        }
        let ldap = try section.section(
            "ldap", known: ["url", "start_tls", "authorities", "user", "time_limit", "newcomers"])
        if let ldap { directory = try Self.directory(ldap) }
        issuers = try section.sections(
            "issuers", known: ["issuer", "audience", "keys", "authorities", "time_limit"]
        ).map(Self.issuer)
        for (index, issuer) in issuers.enumerated() where issuers[..<index].contains(where: { $0.url == issuer.url }) {
            throw section.fault("issuers", "\(issuer.url) stands there twice")
        }
    }

    private static func directory(_ section: ConfigurationSection) throws -> LDAPPasswords {
        let url = try section.required("url", "ldaps://HOST or ldap://HOST")
        let isSecure = url.hasPrefix("ldaps://")
        guard isSecure || url.hasPrefix("ldap://"), !url.contains(" ") else {
            throw section.fault("url", "ldaps://HOST or ldap://HOST is expected, not \"\(url)\"")
        }
        let startsTLS = try section.flag("start_tls") ?? !isSecure
        if isSecure && startsTLS {
            throw section.fault("start_tls", "false is expected with ldaps, which is secured from the start")
        }
        if !isSecure && !startsTLS && !isLoopback(url.dropFirst("ldap://".count)) {
            throw section.fault("start_tls", "true is expected: passwords would go over the network in clear")
        }
        let user = try section.required("user", "an entry such as uid={user},ou=people,dc=example,dc=org")
        guard user.contains("{user}") else { throw section.fault("user", "{user} is expected somewhere in it") }
        var settings = LDAPSettings(
            url: url, startsTLS: startsTLS, authorityFile: try section.file("authorities"), userDN: user)
        if let limit = try section.duration("time_limit", in: 1...300) { settings.timeLimit = limit }
        var roles: [String]?
        if let newcomers = try section.section("newcomers", known: ["base", "filter", "roles"]) {
            let filter = try newcomers.required("filter", "a filter such as (&(cn=grid)(memberUid={user}))")
            guard filter.contains("{user}") || filter.contains("{dn}") else {
                throw newcomers.fault("filter", "{user} or {dn} is expected somewhere in it, else it lets everybody in")
            }
            settings.group = LDAPSettings.Group(
                base: try newcomers.required("base", "an entry such as ou=groups,dc=example,dc=org"), filter: filter)
            roles = try newcomers.texts("roles") ?? []
            if let role = roles?.first(where: { $0.hasPrefix("_") || $0.isEmpty }) {
                throw newcomers.fault("roles", "a role does not begin with an underscore: \"\(role)\"")
            }
        }
        return LDAPPasswords(directory: LDAPDirectory(settings), newcomerRoles: roles)
    }

    private static func isLoopback(_ place: Substring) -> Bool {
        let host = place.prefix { $0 != "/" }
        return ["localhost", "[::1]", "127.0.0.1"].contains { host == $0 || host.hasPrefix($0 + ":") }
    }

    private static func issuer(_ section: ConfigurationSection) throws -> TokenIssuer {
        let url = try section.required("issuer", "the issuer's URL, as tokens name it")
        let keys = try section.file("keys")
        guard url.hasPrefix("https://") || keys != nil else {
            throw section.fault("issuer", "https://… is expected where the keys are fetched from it, not \"\(url)\"")
        }
        guard let audiences = try section.texts("audience"), !audiences.isEmpty, !audiences.contains("") else {
            throw section.fault("audience", "whom the tokens must be for is expected, a text or a list of them")
        }
        var settings = TokenIssuer.Settings(
            url: url, audiences: audiences, keyFile: keys, authorityFile: try section.file("authorities"))
        if let limit = try section.duration("time_limit", in: 1...300) { settings.timeLimit = limit }
        return TokenIssuer(settings)
    }
}
