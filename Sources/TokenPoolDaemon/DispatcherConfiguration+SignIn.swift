import Gateway

extension SignInSettings {
    /// The keys of the section `sign_in`.
    static let keys = ["token_lifetime", "limits"]

    init(_ section: ConfigurationSection) throws {
        self.init()
        if let lifetime = try section.duration("token_lifetime", in: 60...31_536_000) { tokenLifetime = lifetime }
        if let limits = try section.section("limits", known: ["sign_ins", "requests"]) {
            let most = 1_000_000
            if let count = try limits.number("sign_ins", in: 0...most) { signInsPerClient = count }
            if let count = try limits.number("requests", in: 0...most) { requestsPerUser = count }
        }
    }
}
