/// Counts wrong passwords for a name from an address, however they are given, so that nobody guesses for long.
package struct GuessCount: Sendable {
    /// Counts a guess as wrong before it is looked at; `false` when there were too many, and it is not to be looked at.
    package let admit: @Sendable (_ name: String, _ peer: String) -> Bool
    /// Takes that back: the guess was right, or could not be looked at.
    package let passed: @Sendable (_ name: String, _ peer: String) -> Void

    package init(
        admit: @escaping @Sendable (_ name: String, _ peer: String) -> Bool,
        passed: @escaping @Sendable (_ name: String, _ peer: String) -> Void
    ) {
        self.admit = admit
        self.passed = passed
    }
}
