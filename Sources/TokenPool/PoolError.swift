/// Why a pool could not do what it was asked.
public struct PoolError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The kind of failure.
    public enum Code: Hashable, Sendable {
        /// There is no such token.
        case noSuchToken
        /// There is no such set.
        case noSuchSet
        /// There is no such database.
        case noSuchDatabase
        /// There is no such view.
        case noSuchView
        /// Every attempt at a change lost against somebody else's.
        case contended
        /// The token's state does not allow it.
        case wrongState
        /// What was given can not be used.
        case badInput
    }

    /// The kind of failure.
    public let code: Code
    /// What was attempted, on what, and what to do.
    public let reason: String
    /// What caused it, if something else did.
    public let cause: String?

    /// An error of these parts.
    public init(_ code: Code, _ reason: String, cause: String? = nil) {
        self.code = code
        self.reason = reason
        self.cause = cause
    }

    /// One line for people.
    public var description: String { cause.map { "\(reason): \($0)" } ?? reason }
}

extension PoolError.Code {
    /// Lets `catch PoolError.Code.contended` match.
    public static func ~= (code: Self, error: any Error) -> Bool { (error as? PoolError)?.code == code }
}
