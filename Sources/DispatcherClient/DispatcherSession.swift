import Synchronization

/// The token that a client shows, and how to get another.
package final class DispatcherSession: Sendable {
    /// Gets a token: for the first time, or after the server refused the one given.
    ///
    /// Answers `nil` when there is no other.
    package typealias Renewal = @Sendable (_ refused: String?) async throws -> String?

    /// Protects the token.
    private let held: Mutex<String?>
    private let renewal: Renewal?

    /// - Parameters:
    ///   - token: What is known already.
    ///   - renewal: `nil`: there is no way to get another.
    package init(token: String? = nil, renewal: Renewal? = nil) {
        held = Mutex(token)
        self.renewal = renewal
    }

    /// The token to show; `nil` for nobody's.
    func token() async throws -> String? {
        if let token = held.withLock({ $0 }) { return token }
        return try await token(after: nil)
    }

    /// A token other than the one that was refused; `nil` when there is none.
    func token(after refused: String?) async throws -> String? {
        if let newer = held.withLock({ $0 }), newer != refused { return newer }
        guard let renewal, let token = try await renewal(refused), token != refused else { return nil }
        held.withLock { $0 = token }
        return token
    }
}
