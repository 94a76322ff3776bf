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

    package init(_ code: Code, _ reason: String) { self.init(code: code, reason: reason) }

    package var description: String { "\(code.word): \(reason)" }

    /// A lost race, in CouchDB's text.
    package static let conflict = StoreError(.conflict, "Document update conflict.")
    /// No such document or revision.
    package static let missing = StoreError(.notFound, "missing")
}

extension StoreError.Code {
    /// The stated revision is not a current one.
    package static let conflict = Self("conflict", status: 409)
    /// No such database, document, revision or attachment.
    package static let notFound = Self("not_found", status: 404)
    /// The database exists already.
    package static let exists = Self("file_exists", status: 412)
    /// The request can not be understood.
    package static let badRequest = Self("bad_request", status: 400)
    /// A database name that may not be.
    package static let illegalDatabaseName = Self("illegal_database_name", status: 400)
    /// An attachment stub without an attachment behind it.
    package static let missingStub = Self("missing_stub", status: 412)
    /// A validation function said no.
    package static let forbidden = Self("forbidden", status: 403)
    /// Another process holds the folder.
    package static let locked = Self("locked", status: 500)
    /// The folder or disk can not be written to; reading goes on.
    package static let readOnly = Self("read_only", status: 500)
    /// The disk is full; writing works again once there is room.
    package static let full = Self("insufficient_storage", status: 507)
    /// The database was deleted, or the store closed, meanwhile.
    package static let closed = Self("not_found", status: 404)
    /// Input or output failed, or a file is damaged.
    package static let failed = Self("internal_server_error", status: 500)
}
