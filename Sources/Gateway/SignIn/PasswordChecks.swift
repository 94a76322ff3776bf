import Crypto
import Synchronization

/// Looks at passwords somewhere else: the same one from many clients at once is looked at once, and counted as one guess.
///
/// A guess is counted before its outcome is known, so that many at once are no way around the lock.
package final class PasswordChecks: Sendable {
    private let key = SymmetricKey(size: .bits256)
    /// Protects what is being looked at, by a keyed hash of name and password.
    private let running = Mutex<[[UInt8]: Task<Bool, any Error>]>([:])
    private let guesses: GuessCount

    package init(_ guesses: GuessCount) { self.guesses = guesses }

    /// - Parameter isRight: Looks.
    package func check(
        _ name: String, _ password: String, _ peer: String, isRight: @escaping @Sendable () async throws -> Bool
    ) async throws -> UserDirectory.Verdict {
        let proof = Array(HMAC<SHA256>.authenticationCode(for: Array("\(name)\u{0}\(password)".utf8), using: key))
        let found = running.withLock { running -> (check: Task<Bool, any Error>, isNew: Bool)? in
            if let check = running[proof] { return (check, false) }
            guard guesses.admit(name, peer) else { return nil }
            let check = Task { [self] in
                defer { _ = self.running.withLock { $0.removeValue(forKey: proof) } }
                return try await isRight()
            }
            running[proof] = check
            return (check, true)
        }
        guard let (check, isNew) = found else { return .locked }
        let right: Bool
        do { right = try await check.value } catch {
            if isNew { guesses.passed(name, peer) }
            throw error
        }
        if right {
            if isNew { guesses.passed(name, peer) }
            return .right
        }
        if !isNew, !guesses.admit(name, peer) { return .locked }
        return .wrong
    }
}
