import CouchStore

/// An answer that says no: status, CouchDB's error word and the reason for people.
package struct Refusal: Error, Sendable {
    package var status: Int
    package var error: String
    package var reason: String
    /// Sent along, such as `Allow` or an emptied cookie.
    package var headers: [(name: String, value: String)] = []

    package init(
        _ status: Int, _ error: String, _ reason: String, headers: [(name: String, value: String)] = []
    ) {
        self.status = status
        self.error = error
        self.reason = reason
        self.headers = headers
    }
}

extension Refusal {
    /// What the store says, in CouchDB's words.
    init(_ error: StoreError) { self.init(error.code.status, error.code.word, error.reason) }

    static func badRequest(_ reason: String) -> Refusal { Refusal(400, "bad_request", reason) }
    static func queryParse(_ reason: String) -> Refusal { Refusal(400, "query_parse_error", reason) }
    static func unauthorized(_ reason: String) -> Refusal { Refusal(401, "unauthorized", reason) }
    static func forbidden(_ reason: String) -> Refusal { Refusal(403, "forbidden", reason) }
    static func notFound(_ reason: String = "missing") -> Refusal { Refusal(404, "not_found", reason) }
    static func documentTooLarge(_ id: String) -> Refusal { Refusal(413, "document_too_large", id) }

    /// `allowed` as CouchDB lists the verbs, such as `GET,HEAD`.
    static func methodNotAllowed(_ allowed: String) -> Refusal {
        Refusal(405, "method_not_allowed", "Only \(allowed) allowed", headers: [("Allow", allowed)])
    }

    static var requestTooLarge: Refusal { Refusal(413, "too_large", "the request entity is too large") }
    static var invalidJSON: Refusal { badRequest("invalid UTF-8 JSON") }
    static var notAnObject: Refusal { badRequest("Request body must be a JSON object") }
    static var conflict: Refusal { Refusal(409, "conflict", "Document update conflict.") }
    static var noDatabase: Refusal { notFound("Database does not exist.") }
    static var notServerAdmin: Refusal { unauthorized("You are not a server admin.") }
    static var wrongPassword: Refusal { unauthorized("Name or password is incorrect.") }
    static var notJSONContent: Refusal { Refusal(415, "bad_content_type", "Content-Type must be application/json") }
}
