import CouchDB
import CouchDocument

/// Why a service of the grid did not do what it was asked.
package struct GridError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    package enum Code: Hashable, Sendable {
        /// What was given can not be used: a URL, a file with a token, a query.
        case badInput
        /// Not signed in, or with what does not count any more.
        case unauthorized
        /// The service said no; trying again would not help.
        case refused
        /// There is no such thing there.
        case notFound
        /// It could not be reached, or could not do it now.
        case unavailable
        /// It answered what it should not: cut short, no JSON, something missing.
        case badAnswer
    }

    /// The kind of failure.
    package let code: Code
    /// What was attempted, where, and what the service says.
    package let reason: String
    /// The word by which the service calls its refusal, if it has one.
    package var word: String?

    /// An error of these parts.
    package init(_ code: Code, _ reason: String) {
        self.code = code
        self.reason = reason
    }

    /// One line for people.
    package var description: String { reason }
}

extension GridError {
    /// What a transfer's failure means; `service` names whom we talked to.
    init(_ error: CouchDBError, service: String) {
        let code: Code =
            switch error.code {
            case .unauthorized: .unauthorized
            case .notFound: .notFound
            case .serverError, .tooManyRequests, .unreachable, .timedOut, .interrupted, .cancelled: .unavailable
            case .badAnswer, .tooLarge: .badAnswer
            case .tls: .unavailable
            default: .refused
            }
        let said = Self.words(in: error.body).map { "\(error.status.map(String.init) ?? "") \($0)" }
        let reason = said ?? (error.status.map { "\($0) " } ?? "") + error.reason
        self.init(code, "\(service): \(error.attempted): \(reason)")
        // What is no JSON has no word.
        word = (try? JSON(parsing: error.body))?["ExceptionClass"]?.stringValue
    }

    /// What people can read of a refusal: the message of a JSON object, or the first line of a text.
    private static func words(in body: [UInt8]) -> String? {
        // A body that is no JSON is a text.
        if let members = (try? JSON(parsing: body))?.objectValue {
            for name in ["message", "ExceptionMessage", "detail", "title", "error", "reason"] {
                if let text = members[name]?.stringValue, !text.isEmpty { return text.firstLine }
            }
            if let text = members["errors"]?[0]?["message"]?.stringValue { return text.firstLine }
            return nil
        }
        let text = String(decoding: body.prefix(400), as: UTF8.self).firstLine
        return text.isEmpty || text.contains("<") ? nil : text
    }
}

extension String {
    /// The first line that says something, without control characters; at most 300 characters.
    var firstLine: String {
        let line = split(whereSeparator: \.isNewline).first { !$0.allSatisfy(\.isWhitespace) } ?? ""
        return String(
            String.UnicodeScalarView(line.unicodeScalars.filter { $0.value >= 0x20 && $0.value != 0x7F }).prefix(300))
    }
}
