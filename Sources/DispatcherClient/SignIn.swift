import CouchDB
import CouchDocument
import Crypto
import Logging

/// Why nobody could be signed in: one line.
package struct SignInError: Error, Hashable, Sendable, CustomStringConvertible {
    package let description: String

    init(_ description: String) { self.description = description }
}

/// Signs in at a dispatcher's authentication server, in the ways that its clients know. The answer is a token.
package struct SignIn: Sendable {
    private let url: String
    private let tls: TLSOptions
    private let logger: Logger

    /// - Parameter url: The authentication server's, such as `https://host:5984/_pool/dd/auth`.
    package init(url: String, tls: TLSOptions = TLSOptions(), logger: Logger) {
        self.url = url
        self.tls = tls
        self.logger = logger
    }

    /// With a password: as it is for a server that asks LDAP or its own users, else by a digest that does not show it.
    package func password(_ user: String, _ password: String) async throws -> String {
        let server = try DispatcherClient.server(url, tls: tls, logger: logger)
        let first = try await request(
            server, "POST", "/auth?method=ldap", body: .bytes(Array("\(user):\(password)".utf8)))
        if first.status == 200 { return try token(first) }
        if first.status == 429 || first.status >= 500 { throw failure(first) }
        let challenge = try await request(server, "GET", "/auth?method=digest")
        guard challenge.status == 401, let header = challenge.headers["WWW-Authenticate"],
            let answer = DigestAnswer(header)
        else { throw failure(first) }
        let uri = Self.path(of: url) + "/auth?method=digest"
        let proof = answer.authorization(user: user, password: password, method: "GET", uri: uri)
        let second = try await request(
            server, "GET", "/auth?method=digest", headers: [("Authorization", proof)])
        return try token(second)
    }

    /// With a token of the grid, or one of the same server that has not ended.
    package func token(_ user: String, _ bearer: String) async throws -> String {
        let server = try DispatcherClient.server(url, tls: tls, logger: logger)
        return try token(
            try await request(
                server, "POST", "/auth?method=token&username=\(user.percentEncodedSegment)",
                headers: [("Authorization", "bearer \(bearer)")]))
    }

    /// With a client certificate, or a proxy when both files are the same.
    package func certificate(_ user: String, certificate: String, key: String) async throws -> String {
        var tls = tls
        tls.certificateFile = certificate
        tls.keyFile = key
        let server = try DispatcherClient.server(url, tls: tls, logger: logger)
        return try token(
            try await request(server, "GET", "/auth?method=x509&username=\(user.percentEncodedSegment)"))
    }

    private func request(
        _ server: Server, _ method: String, _ target: String, headers: [(String, String)] = [], body: RequestBody? = nil
    ) async throws -> Response {
        do {
            return try await server.plainRequest(
                method, target, headers: [("Accept", "*/*")] + headers, body: body, isSafe: method == "GET")
        } catch let error as CouchDBError { throw DispatcherError(error) }
    }

    private func token(_ response: Response) throws -> String {
        guard response.status == 200 else { throw failure(response) }
        guard let token = response.headers["X-Authentication-Token"], AccessClaims(token) != nil else {
            throw DispatcherError(
                code: .badAnswer, status: 200, reason: "the answer has no token", attempted: response.attempted)
        }
        return token
    }

    private func failure(_ response: Response) -> DispatcherError { DispatcherError(response, at: url) }

    /// The path of a URL, without slashes at its end: what a digest signs begins with it.
    private static func path(of url: String) -> String {
        let host = url.firstRange(of: "://").map { url[$0.upperBound...] } ?? url[...]
        var path = host.firstIndex(of: "/").map { String(host[$0...]) } ?? ""
        while path.hasSuffix("/") { path.removeLast() }
        return path
    }
}

/// The answer to a challenge of HTTP digest sign-in (RFC 2617, MD5, `qop=auth`).
struct DigestAnswer {
    private let realm: String
    private let nonce: String
    private let opaque: String?

    /// Reads the value of `WWW-Authenticate`; `nil` when it asks for something else.
    init?(_ header: String) {
        guard header.lowercased().hasPrefix("digest ") else { return nil }
        var fields: [String: String] = [:]
        var rest = header.dropFirst(7)
        while true {
            rest = rest.drop { $0 == " " || $0 == "," }
            let name = rest.prefix { $0 != "=" }
            guard !name.isEmpty, name.endIndex < rest.endIndex else { break }
            rest = rest[name.endIndex...].dropFirst()
            var value = ""
            if rest.first == "\"" {
                rest = rest.dropFirst()
                while let next = rest.popFirst(), next != "\"" {
                    value.append(next == "\\" ? rest.popFirst() ?? next : next)
                }
            } else {
                value = String(rest.prefix { $0 != "," && $0 != " " })
                rest = rest.dropFirst(value.count)
            }
            fields[name.lowercased()] = value
        }
        guard let realm = fields["realm"], let nonce = fields["nonce"],
            (fields["algorithm"] ?? "MD5").uppercased() == "MD5",
            fields["qop"].map({ $0.split(separator: ",").contains { $0.filter { $0 != " " } == "auth" } }) ?? true
        else { return nil }
        self.realm = realm
        self.nonce = nonce
        opaque = fields["opaque"]
    }

    /// The value of `Authorization`.
    func authorization(
        user: String, password: String, method: String, uri: String,
        client: String = hexadecimal((0..<8).map { _ in UInt8.random(in: 0...255) })
    ) -> String {
        let count = "00000001"
        let first = Self.md5("\(user):\(realm):\(password)")
        let second = Self.md5("\(method):\(uri)")
        let response = Self.md5("\(first):\(nonce):\(count):\(client):auth:\(second)")
        func quoted(_ text: String) -> String {
            "\"" + text.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"") + "\""
        }
        var fields = [
            "username=\(quoted(user))", "realm=\(quoted(realm))", "nonce=\(quoted(nonce))", "uri=\(quoted(uri))",
            "response=\"\(response)\"", "algorithm=\"MD5\"", "qop=\"auth\"", "nc=\(count)", "cnonce=\"\(client)\"",
        ]
        if let opaque { fields.append("opaque=\(quoted(opaque))") }
        return "Digest " + fields.joined(separator: ", ")
    }

    private static func md5(_ text: String) -> String { hexadecimal(Insecure.MD5.hash(data: Array(text.utf8))) }
}
