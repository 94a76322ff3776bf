import CouchDB
import CouchDocument
import GridCertificates
import HTTPTypes
import TokenPool

// Signing in, as the library under Data Dispatcher's clients does it: a token in a header of an empty answer.
extension Dispatcher {
    /// Answers a request below `/dd/auth/`.
    func authenticate(_ call: GatewayCall, _ page: String) async throws -> GatewayAnswer {
        switch page {
        case "auth":
            try signIns.admit(call.client.address, now: projects.pool.clock.now())
            return try await signIn(call)
        case "verify":
            _ = try await member(call)
            return .text(200, "OK")
        case "whoami": return .text(200, try await member(call).name)
        case "mydn": return .text(200, "\(try await identity(call).subject)")
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
        case "x509"?: return try await certificate(call, try query.required("username"))
        case let method?: throw GatewayRefusal.badRequest("there is no sign-in \"\(method)\"")
        }
    }

    static let failed = GatewayRefusal(401, "Authentication failed\n")
    private static let locked = GatewayRefusal(401, "Too many wrong passwords: try again later\n")

    /// The body is `user:password`.
    private func password(_ call: GatewayCall) async throws -> GatewayAnswer {
        try call.allow("POST")
        let body = try await call.body(atMost: 4096)
        guard let colon = body.firstIndex(of: UInt8(ascii: ":")),
            let name = String(validating: body[..<colon], as: UTF8.self),
            let password = String(validating: body[(colon + 1)...], as: UTF8.self)
        else { throw GatewayRefusal.badRequest("the body must be user:password") }
        switch try await check(name, password, from: call.client.address) {
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
                guard guesses.admit(name, call.client.address) else { throw Self.locked }
                let isRight = isRight()
                if isRight { guesses.passed(name, call.client.address) }
                return isRight
            }
            guard let user else { throw Self.failed }
            return granted(user)
        }
        var answer = GatewayAnswer.text(401, "Authorization required")
        answer.headers = [("WWW-Authenticate", challenge.header(now: now))]
        return answer
    }

    /// - Parameter until: The end of what was shown, in seconds since 1970: the token ends no later.
    func granted(_ name: String, until: Double? = nil) -> GatewayAnswer {
        var answer = GatewayAnswer.text(200, "")
        answer.headers = [("X-Authentication-Token", members.token(for: name, until: until))]
        return answer
    }
}
