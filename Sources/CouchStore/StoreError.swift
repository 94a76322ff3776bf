/// Why the store did not do what it was asked, in CouchDB's own words.
package struct StoreError: Error, Hashable, Sendable, CustomStringConvertible {
    /// CouchDB's `error` word and the HTTP status that goes with it.
    package struct Code: Hashable, Sendable {
        /// The `error` member of CouchDB's answer.
        package let word: String
        /// The status of that answer.
        package let status: Int

        package init(_ word: String, status: Int) {
            self.word = word
            self.status = status
        }
    }

    package let code: Code
    /// The `reason` member: one line for people.
    package let reason: String

    package init(code: Code, reason: String) {
        self.code = code
        self.reason = reason
    }

    package var description: String { "\(code.word): \(reason)" }
}
