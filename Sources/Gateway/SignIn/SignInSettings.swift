/// Who may sign in at the gateway, how, and how often.
package struct SignInSettings: Sendable {
    /// How long a token lives.
    package var tokenLifetime = Duration.seconds(7 * 24 * 3600)
    /// Sign-ins in a second from one address; 0 for any number.
    package var signInsPerClient = 20
    /// Requests in a second of one user; 0 for any number.
    package var requestsPerUser = 0
    /// Where people without a password in the pool have theirs.
    package var directory: (any PasswordDirectory)?
    /// Whose certificates let people in; `nil`: nobody's.
    package var trust: GridTrust?
    /// Whose tokens let people in.
    package var issuers: [TokenIssuer] = []

    /// What holds when nobody says otherwise.
    package init() {}
}
