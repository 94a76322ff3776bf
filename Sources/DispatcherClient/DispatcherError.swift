import CouchDB
import CouchDocument

/// Why a request to a dispatcher came to nothing: a code to decide by, and the server's own line for people.
package struct DispatcherError: Error, Hashable, Sendable {
    package enum Code: Hashable, Sendable {
        /// 404: no such project, file or storage element.
        case notFound
        /// 401: no token, or one that does not hold.
        case unauthorized
        /// 403.
        case forbidden
        /// 409: it exists.
        case conflict
        /// Any other 4xx.
        case refused
        /// 5xx; 503 after long patience.
        case serverError
        /// There was no connection: nothing was sent.
        case unreachable
        /// The connection was lost, or the answer did not come in time. What was sent may have taken effect.
        case interrupted
        /// The answer was not what the interface says.
        case badAnswer
        /// The task was cancelled.
        case cancelled
    }

    package let code: Code
    /// The HTTP status, when there was an answer.
    package let status: Int?
    /// What the server said, or why there was no answer: one line.
    package let reason: String
    /// Method and page, such as `GET /release`.
    package let attempted: String

    package init(code: Code, status: Int? = nil, reason: String, attempted: String) {
        self.code = code
        self.status = status
        self.reason = reason
        self.attempted = attempted
    }

    /// No answer.
    init(_ error: CouchDBError) {
        let code: Code =
            switch error.code {
            case .unreachable, .tls: .unreachable
            case .cancelled: .cancelled
            case .badRequest: .refused
            default: .interrupted
            }
        self.init(code: code, reason: error.reason, attempted: error.attempted)
    }

    /// An answer that is no success.
    init(_ response: Response, at root: String) {
        let code: Code =
            switch response.status {
            case 404: .notFound
            case 401: .unauthorized
            case 403: .forbidden
            case 409: .conflict
            case 400..<500: .refused
            case 500...: .serverError
            default: .badAnswer
            }
        var reason = Self.line(response)
        if (300..<400).contains(response.status), let place = response.headers["Location"] {
            reason = "\(root) says to ask at \(place): give that address"
        }
        self.init(
            code: code, status: response.status, reason: reason ?? "the server does not say why",
            attempted: response.attempted)
    }

    /// Whether the same request may do better later.
    package var isPassing: Bool {
        switch code {
        case .unreachable, .interrupted: true
        case .serverError: [500, 501, 505].contains(status) == false
        default: false
        }
    }

    /// What a server says: the `message` of an object, else the first line of a text. Servers send pages of HTML where
    /// they fail themselves: of these the text counts.
    private static func line(_ response: Response) -> String? {
        let type = response.headers["Content-Type"] ?? ""
        if type.hasPrefix("text/json") || type.hasPrefix("application/json"),
            let message = (try? JSON(parsing: response.body))?["message"]?.stringValue
        {
            return message
        }
        var text = String(decoding: response.body.prefix(4000), as: UTF8.self)
        if text.drop(while: \.isWhitespace).hasPrefix("<") {
            var isTag = false
            text = String(
                text.map { character in
                    if character == "<" { isTag = true }
                    defer { if character == ">" { isTag = false } }
                    return isTag || character == ">" ? " " : character
                })
        }
        let lines = text.split(whereSeparator: \.isNewline).map { line in
            line.split(separator: " ").joined(separator: " ")
        }
        return lines.first { !$0.isEmpty }.map { String($0.prefix(300)) }
    }
}

extension DispatcherError: CustomStringConvertible {
    /// One line: the server's words first.
    package var description: String { "\(reason) (\(status.map { "\($0) for " } ?? "")\(attempted))" }
}
