import HTTPTypes

/// What a page of another origin may read and send: CORS as CouchDB's `chttpd/enable_cors` and section `cors` say it.
struct CrossOrigin: Sendable {
    private let settings: Settings
    private let origin: String
    private static let methods = "GET, HEAD, POST, PUT, DELETE, TRACE, CONNECT, COPY, OPTIONS"
    /// What a page may send besides `cors/headers`.
    private static let headers: Set<String> = [
        "accept", "accept-language", "authorization", "content-length", "content-range", "content-type", "destination",
        "expires", "if-match", "if-none-match", "last-modified", "origin", "pragma", "x-couch-full-commit",
        "x-couch-id", "x-couch-persist", "x-couchdb-www-authenticate", "x-http-method-override", "x-requested-with",
        "x-couchdb-vhost-path", "cache-control",
    ]
    /// What a page may read of an answer.
    private static let exposed =
        "content-type, cache-control, accept-ranges, etag, server, x-couch-request-id, x-couch-update-newrev, x-couchdb-body-time"

    /// `nil` when it is switched off, nobody says where the page is from, or that origin is not let in.
    init?(_ request: HTTPFields, settings: Settings) {
        guard let origin = request[.origin],
            settings["chttpd", "enable_cors"] == "true" || settings["httpd", "enable_cors"] == "true"
        else { return nil }
        let allowed = Self.list(settings["cors", "origins"])
        guard allowed.contains("*") || allowed.contains(where: { $0.lowercased() == origin.lowercased() }) else {
            return nil
        }
        self.settings = settings
        self.origin = origin
    }

    private static func list(_ text: String?) -> [String] {
        (text ?? "").split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    }

    private var hasCredentials: Bool { settings["cors", "credentials"] == "true" }

    /// The answer to a browser that asks first; `nil` when what it wants to do is not allowed or not told.
    func preflight(_ request: HTTPFields) -> Answer? {
        let methods = Self.list(settings["cors", "methods"] ?? Self.methods)
        guard let method = request[.requestMethod], methods.contains(method) else { return nil }
        let known = Self.headers.union(Self.list(settings["cors", "headers"]).map { $0.lowercased() })
        let wanted = Self.list(request[.requestHeaders])
        guard wanted.allSatisfy({ known.contains($0.lowercased()) }) else { return nil }
        var answer = Answer(204, contentType: nil, .bytes([]))
        answer.headers[.accessControlAllowOrigin] = origin
        answer.headers[.maximumAge] = settings["cors", "max_age"] ?? "600"
        answer.headers[.accessControlAllowMethods] = methods.joined(separator: ", ")
        if !wanted.isEmpty { answer.headers[.accessControlAllowHeaders] = wanted.joined(separator: ", ") }
        if hasCredentials { answer.headers[.accessControlAllowCredentials] = "true" }
        answer.headers[.vary] = "Origin"
        return answer
    }

    /// Says in an answer that the page may read it.
    func dress(_ answer: inout Answer) {
        answer.headers[.accessControlAllowOrigin] = origin
        answer.headers[.accessControlExposeHeaders] = Self.exposed
        if hasCredentials { answer.headers[.accessControlAllowCredentials] = "true" }
        answer.headers[.vary] = "Origin"
    }
}

extension HTTPField.Name {
    fileprivate static let requestMethod = Self("Access-Control-Request-Method")!
    fileprivate static let requestHeaders = Self("Access-Control-Request-Headers")!
    fileprivate static let maximumAge = Self("Access-Control-Max-Age")!
}
