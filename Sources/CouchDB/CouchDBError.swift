/// What went wrong in a request: a code to decide by, and one line for people.
///
/// Match by code — `catch CouchDBError.conflict` — and print the rest: the description names the attempted method and
/// path, never a password, a cookie or the query.
public struct CouchDBError: Error, Hashable, Sendable {
    /// What kind of failure, for programs.
    public enum Code: Hashable, Sendable {
        /// 409: somebody else saved a newer revision.
        case conflict
        /// 404: no such database, document, revision, view or attachment.
        case notFound
        /// 401: not signed in, or with a wrong name or password.
        case unauthorized
        /// 403: signed in, but not allowed; or refused by a validation function.
        case forbidden
        /// 400, 405, 406, 415, 416, 417: the request itself is wrong.
        case badRequest
        /// 412: the database exists already, or an attachment stub without its attachment.
        case preconditionFailed
        /// 413: the document, attachment or request is too large; or an answer beyond the caller's limit.
        case tooLarge
        /// 429: the server asks to slow down.
        case tooManyRequests
        /// 5xx.
        case serverError
        /// No connection: name not resolved, refused, no route, proxy failed. Nothing was sent.
        case unreachable
        /// A time limit passed. What was sent may have taken effect.
        case timedOut
        /// The TLS handshake or the verification of a certificate failed. Nothing was sent.
        case tls
        /// The connection was lost before the answer was complete. What was sent may have taken effect.
        case interrupted
        /// The answer was not what CouchDB says: no JSON, a missing member, a wrong count or length.
        case badAnswer
        /// The task was cancelled or the client shut down.
        case cancelled
        /// Any other status.
        case other(Int)
    }

    /// What kind of failure.
    public let code: Code
    /// The HTTP status, when there was an answer.
    public let status: Int?
    /// CouchDB's error word such as `conflict` or `illegal_docid`, when it sent one.
    public let error: String?
    /// The reason for people, without what was attempted.
    public let reason: String
    /// The method and path, such as `PUT /db/id`, without the query.
    public let attempted: String
    /// Where the server says to ask instead, as a whole URL (3xx with `Location`). It may hold secrets of that place, so
    /// no description shows it.
    public let location: String?
    /// The beginning of the body of a refusal, for servers that are no CouchDB and put their reason there.
    package internal(set) var body: [UInt8] = []

    /// An error of these parts.
    public init(
        code: Code, status: Int? = nil, error: String? = nil, reason: String, attempted: String,
        location: String? = nil
    ) {
        self.code = code
        self.status = status
        self.error = error
        self.reason = reason
        self.attempted = attempted
        self.location = location
    }
}

extension CouchDBError: CustomStringConvertible {
    /// One line: what was attempted, and why it failed.
    public var description: String {
        var text = attempted + ": "
        if let status { text += "\(status) " }
        if let error { text += "\(error): " }
        return text + reason
    }
}

// So that `catch CouchDBError.conflict` reads as it is meant.
extension CouchDBError {
    /// See ``Code/conflict``.
    public static let conflict = Code.conflict
    /// See ``Code/notFound``.
    public static let notFound = Code.notFound
    /// See ``Code/unauthorized``.
    public static let unauthorized = Code.unauthorized
    /// See ``Code/forbidden``.
    public static let forbidden = Code.forbidden
    /// See ``Code/badRequest``.
    public static let badRequest = Code.badRequest
    /// See ``Code/preconditionFailed``.
    public static let preconditionFailed = Code.preconditionFailed
    /// See ``Code/tooLarge``.
    public static let tooLarge = Code.tooLarge
    /// See ``Code/tooManyRequests``.
    public static let tooManyRequests = Code.tooManyRequests
    /// See ``Code/serverError``.
    public static let serverError = Code.serverError
    /// See ``Code/unreachable``.
    public static let unreachable = Code.unreachable
    /// See ``Code/timedOut``.
    public static let timedOut = Code.timedOut
    /// See ``Code/tls``.
    public static let tls = Code.tls
    /// See ``Code/interrupted``.
    public static let interrupted = Code.interrupted
    /// See ``Code/badAnswer``.
    public static let badAnswer = Code.badAnswer
    /// See ``Code/cancelled``.
    public static let cancelled = Code.cancelled
}

extension CouchDBError.Code {
    /// Whether an error is a ``CouchDBError`` of this code.
    public static func ~= (code: CouchDBError.Code, error: any Error) -> Bool {
        (error as? CouchDBError)?.code == code
    }

    /// The code for a status that is no success.
    init(status: Int) {
        self =
            switch status {
            case 400, 405, 406, 415, 416, 417: .badRequest
            case 401: .unauthorized
            case 403: .forbidden
            case 404: .notFound
            case 409: .conflict
            case 412: .preconditionFailed
            case 413: .tooLarge
            case 429: .tooManyRequests
            case 500...599: .serverError
            default: .other(status)
            }
    }

    /// The code for an error word in a row of `_bulk_docs` and its kin, which carries no status.
    init(errorWord: String) {
        self =
            switch errorWord {
            case "conflict": .conflict
            case "not_found", "deleted": .notFound
            case "unauthorized": .unauthorized
            case "forbidden": .forbidden
            case "missing_stub", "file_exists", "precondition_failed": .preconditionFailed
            case "document_too_large", "attachment_too_large", "too_large": .tooLarge
            case "bad_request", "doc_validation", "illegal_docid", "query_parse_error": .badRequest
            default: .serverError
            }
    }
}
