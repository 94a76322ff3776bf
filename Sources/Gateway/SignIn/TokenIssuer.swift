import CouchDB
import CouchDocument
import FoundationEssentials
import Synchronization
import WebTokens

/// An issuer of WLCG or SciTokens whose tokens let people in, and its keys.
package final class TokenIssuer: Sendable {
    /// What it is told when it is made.
    package struct Settings: Sendable {
        /// As tokens name it in `iss`.
        package var url: String
        /// A token must be for one of these.
        package var audiences: [String]
        /// A file with its keys; `nil`: they are fetched from `URL/.well-known/openid-configuration`.
        package var keyFile: String?
        /// The authorities of its own server, PEM; `nil`: the system's.
        package var authorityFile: String?
        /// For each of the two requests.
        package var timeLimit: Duration

        package init(
            url: String, audiences: [String], keyFile: String? = nil, authorityFile: String? = nil,
            timeLimit: Duration = .seconds(10)
        ) {
            self.url = url
            self.audiences = audiences
            self.keyFile = keyFile
            self.authorityFile = authorityFile
            self.timeLimit = timeLimit
        }
    }

    /// What a good token says.
    struct Bearer: Sendable {
        let subject: String
        /// In seconds since 1970.
        let expires: Double
    }

    private struct Known {
        var keys: [(id: String?, key: WebTokenKey)] = []
        /// When they were read, and when that was last tried.
        var readAt = -Double.infinity
        var triedAt = -Double.infinity
        /// Who reads them now.
        var reading: Task<Void, any Error>?
    }

    private let settings: Settings
    /// As tokens name it.
    package var url: String { settings.url }
    /// Protects the keys.
    private let known = Mutex(Known())
    /// Keys that old are read again before they are used.
    private static let lifetime = 3600.0
    /// So long they are used when the issuer does not answer.
    private static let longestLifetime = 24 * 3600.0
    /// Between two attempts to read them: unknown keys are no way to make this server ask without end.
    private static let rest = 10.0
    /// What clocks may differ.
    private static let leeway = 30.0

    package init(_ settings: Settings) { self.settings = settings }

    /// Checks a token.
    ///
    /// - Throws: 401 with what is wrong; 503 while the issuer's keys can not be read.
    func bearer(of token: WebToken, now: Double) async throws -> Bearer {
        func refusal(_ reason: String) -> GatewayRefusal { GatewayRefusal(401, "\(reason)\n") }
        guard let algorithm = token.algorithm,
            ["RS256", "ES256", "RS384", "ES384", "RS512", "ES512"].contains(algorithm)
        else { throw refusal("The token is not signed in a way that is taken here") }
        guard try await isSigned(token, now: now) else { throw refusal("The token's signature is wrong") }
        guard let expires = token.claims["exp"]?.numberValue else { throw refusal("The token has no end") }
        guard expires > now else { throw refusal("The token has expired") }
        for name in ["nbf", "iat"] {
            guard let value = token.claims[name] else { continue }
            guard let start = value.numberValue, start <= now + Self.leeway else {
                throw refusal("The token is not valid yet")
            }
        }
        let audience = token.claims["aud"]
        let audiences = audience?.arrayValue?.compactMap(\.stringValue) ?? audience?.stringValue.map { [$0] } ?? []
        guard audiences.contains(where: settings.audiences.contains) else {
            throw refusal("The token is for others: its audience is not this server")
        }
        guard let subject = token.claims["sub"]?.stringValue, !subject.isEmpty else {
            throw refusal("The token has no subject")
        }
        return Bearer(subject: subject, expires: expires)
    }

    private func isSigned(_ token: WebToken, now: Double) async throws -> Bool {
        var keys = try await keys(now: now) { _ in true }
        if let id = token.keyID {
            // A key that came since then.
            if !keys.contains(where: { $0.id == id }) {
                keys = try await self.keys(now: now) { known in known.contains { $0.id == id } }
            }
            keys = keys.filter { $0.id == id }
        }
        return keys.contains { token.isSigned(with: $0.key) }
    }

    /// The keys: those that are known while they are young and enough, else read again.
    private func keys(
        now: Double, isEnough: ([(id: String?, key: WebTokenKey)]) -> Bool
    ) async throws -> [(id: String?, key: WebTokenKey)] {
        let reading = known.withLock { known -> Task<Void, any Error>? in
            if now - known.readAt < Self.lifetime, isEnough(known.keys) { return nil }
            if let reading = known.reading { return reading }
            if now - known.triedAt < Self.rest { return nil }
            known.triedAt = now
            let task = Task { [self] in
                defer { self.known.withLock { $0.reading = nil } }
                let keys = try await read()
                self.known.withLock {
                    $0.keys = keys
                    $0.readAt = now
                }
            }
            known.reading = task
            return task
        }
        var reason: String?
        if let reading {
            do { try await reading.value } catch {
                reason = "\(error)"
            }
        }
        let (keys, readAt) = known.withLock { ($0.keys, $0.readAt) }
        guard now - readAt < Self.longestLifetime else {
            throw DirectoryFault("the keys of \(url) can not be read: \(reason ?? "tried a moment ago")")
        }
        return keys
    }

    private func read() async throws -> [(id: String?, key: WebTokenKey)] {
        let set: JSON
        if let file = settings.keyFile {
            set = try JSON(parsing: try String(contentsOfFile: file, encoding: .utf8))
        } else {
            let page = try await fetch(
                url.hasSuffix("/") ? String(url.dropLast()) : url, "/.well-known/openid-configuration")
            guard page["issuer"]?.stringValue == url else {
                throw DirectoryFault("its configuration is another issuer's")
            }
            guard let place = page["jwks_uri"]?.stringValue else { throw DirectoryFault("it names no keys") }
            set = try await fetch(place, "")
        }
        let keys = set["keys"]?.arrayValue?.compactMap { member in
            WebTokenKey(jwk: member).map { (id: member["kid"]?.stringValue, key: $0) }
        }
        guard let keys, !keys.isEmpty else { throw DirectoryFault("there is no key in the set") }
        return keys
    }

    /// A page over TLS; nothing else will do.
    private func fetch(_ address: String, _ path: String) async throws -> JSON {
        guard address.hasPrefix("https://") else { throw DirectoryFault("\(address) is not https") }
        // All behind the host is the path of the one request.
        let start = address.index(address.startIndex, offsetBy: 8)
        let end = address[start...].firstIndex { $0 == "/" || $0 == "?" } ?? address.endIndex
        var configuration = try ServerConfiguration(url: String(address[..<end]))
        configuration.tls.authorityFile = settings.authorityFile
        configuration.timeouts.connect = settings.timeLimit
        configuration.timeouts.stall = settings.timeLimit
        configuration.timeouts.whole = settings.timeLimit
        configuration.retry = RetryPolicy.never
        let server = try Server(configuration)
        let rest = String(address[end...]) + path
        return try await server.request("GET", rest.isEmpty ? "/" : rest).json()
    }
}
