import CouchDB
import CouchDocument
import HTTPTypes
import TokenPool

// Signing in, as the library under Data Dispatcher's clients does it: a token in a header of an empty answer.
extension Dispatcher {
    /// Answers a request below `/dd/auth/`.
    func authenticate(_ call: GatewayCall, _ page: String) async throws -> GatewayAnswer {
        switch page {
        case "auth":
            try signIns.admit(call.peer, now: projects.pool.clock.now())
            return try await signIn(call)
        case "verify":
            _ = try await member(call)
            return .text(200, "OK")
        case "whoami": return .text(200, try await member(call).name)
        case "version": return .text(200, "tokenpool-\(ProductVersion.text)")
        default: throw GatewayRefusal(404, "there is no such page")
        }
    }

    private func signIn(_ call: GatewayCall) async throws -> GatewayAnswer {
        let query = try RawQuery(call.query, ["method", "username"], endingWith: "username")
        switch query["method"] {
        case "ldap"?, "password"?: return try await password(call)
        case "digest"?, nil: return try await digest(call)
        case "token"?: return try await token(call, try query.required("username"))
        case "x509"?: throw GatewayRefusal(401, "HTTPS scheme required\n")
        case let method?: throw GatewayRefusal.badRequest("there is no sign-in \"\(method)\"")
        }
    }

    private static let failed = GatewayRefusal(401, "Authentication failed\n")
    private static let locked = GatewayRefusal(401, "Too many wrong passwords: try again later\n")

    /// The body is `user:password`.
    private func password(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        let body = try await call.body()
        guard body.count <= 4096, let colon = body.firstIndex(of: UInt8(ascii: ":")),
            let name = String(validating: body[..<colon], as: UTF8.self),
            let password = String(validating: body[(colon + 1)...], as: UTF8.self)
        else { throw GatewayRefusal.badRequest("the body must be user:password") }
        switch try await users.check(name, password, call.peer) {
        case .right: return granted(name)
        case .wrong: throw Self.failed
        case .locked: throw Self.locked
        }
    }

    private func digest(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("GET")
        let now = Double(projects.pool.clock.now().milliseconds) / 1000
        if let header = call.headers[.authorization] {
            let server = projects.database.server
            let guesses = users.guesses
            let user = try await challenge.user(header, uri: "/auth?method=digest", now: now) { name in
                try await server.user(name)?["digest"]?[Catalog.digestRealm]?.stringValue
            } judge: { name, isRight in
                // A guess like any other.
                guard guesses.admit(name, call.peer) else { throw Self.locked }
                let isRight = isRight()
                if isRight { guesses.passed(name, call.peer) }
                return isRight
            }
            guard let user else { throw Self.failed }
            return granted(user)
        }
        var answer = GatewayAnswer.text(401, "Authorization required")
        answer.headers = [("WWW-Authenticate", challenge.header(now: now))]
        return answer
    }

    /// A token of ours for a new one that ends when it does.
    private func token(_ call: GatewayCall, _ name: String) async throws -> GatewayAnswer {
        guard let header = call.headers[.authorization], header.lowercased().hasPrefix("bearer ") else {
            throw Self.failed
        }
        let shown: AccessToken
        do { shown = try members.read(header.dropFirst(7).filter { $0 != " " }) } catch { throw Self.failed }
        guard shown.user == name, try await members.member(name) != nil else { throw Self.failed }
        return granted(name, expires: shown.expires)
    }

    private func granted(_ name: String, expires: Double? = nil) -> GatewayAnswer {
        var answer = GatewayAnswer.text(200, "")
        answer.headers = [("X-Authentication-Token", members.token(for: name, expires: expires))]
        return answer
    }
}
