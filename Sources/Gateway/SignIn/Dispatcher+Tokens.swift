import CouchDB
import CouchDocument
import HTTPTypes
import TokenPool
import WebTokens

// Signing in by a token: one of ours, or one of an issuer that the pool trusts. The new one ends when it does.
extension Dispatcher {
    func token(_ call: GatewayCall, _ name: String) async throws -> GatewayAnswer {
        try call.allow("POST")
        guard let header = call.headers[.authorization], header.lowercased().hasPrefix("bearer ") else {
            throw Self.failed
        }
        let text = header.dropFirst(7).filter { $0 != " " }
        guard let shown = try? WebToken(text) else { throw Self.failed }
        let issuer = shown.claims["iss"]?.stringValue
        if issuer == AccessToken.issuer {
            let own: AccessToken
            do { own = try members.read(text) } catch { throw Self.failed }
            guard own.user == name, try await members.member(name) != nil else { throw Self.failed }
            return granted(name, until: own.expires)
        }
        guard let issuer, let trusted = signInSettings.issuers.first(where: { $0.url == issuer }) else {
            throw GatewayRefusal(401, "The token's issuer is not one that this server trusts\n")
        }
        let bearer = try await trusted.bearer(of: shown, now: Double(projects.pool.clock.now().milliseconds) / 1000)
        guard try await users.user(name) != nil else { throw Self.failed }
        if bearer.subject != name {
            let known = try await projects.database.server.user(name)?["anonymous_id"]?.stringValue
            guard let known, !known.isEmpty, known == bearer.subject else { throw Self.failed }
        }
        return granted(name, until: bearer.expires)
    }
}
