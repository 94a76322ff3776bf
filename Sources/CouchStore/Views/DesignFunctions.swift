import CouchDocument

/// What a design function may use.
package struct JavaScriptLimits: Sendable {
    /// How long one call may take, as CouchDB's `os_process_timeout`.
    package var seconds: Double

    package init(seconds: Double = 5) { self.seconds = seconds }
}

/// Runs the functions of design documents that are no views: `validate_doc_update`, `filters`, `updates`, `shows`.
///
/// A design document's functions are compiled once and kept while its revision stays the same. Each database has its
/// own JavaScript thread for them; calls wait their turn.
package final class DesignFunctions: Sendable {
    package init(limits: JavaScriptLimits = .init()) {}

    /// Checks a design document as CouchDB does when one is saved: shapes first, then that maps and reduces compile.
    ///
    /// - Throws: 400 `invalid_design_doc`, 400 `compilation_error` or 404 `not_found`, with CouchDB's reasons.
    package func check(_ design: DesignDocument) async throws {
        fatalError("not there yet")
    }

    /// Asks every design document with a `validate_doc_update` whether the edit may be.
    ///
    /// - Parameters:
    ///   - newDocument: The document as it would be, with `_id`, `_rev`, `_revisions`, and `_deleted` if it is deleted.
    ///   - oldDocument: The document as it is; `nil` when there is none.
    /// - Throws: 403 `forbidden` or 401 `unauthorized` with the function's text; 500 when a function fails, runs too
    ///   long or does not compile.
    package func validate(
        _ newDocument: JSONObject, replacing oldDocument: JSONObject?, user: JSON, security: JSON,
        designs: [DesignDocument]
    ) async throws {
        fatalError("not there yet")
    }

    /// Asks `filters.<name>` about each document; the answer has one element a document.
    package func filter(_ name: String, of design: DesignDocument, documents: [JSONObject], request: JSON) async throws
        -> [Bool]
    {
        fatalError("not there yet")
    }

    /// Asks the map function of a view (`_changes?filter=_view`): a document passes when it emits anything.
    package func filter(byView view: String, of design: DesignDocument, documents: [JSONObject]) async throws -> [Bool]
    {
        fatalError("not there yet")
    }

    /// What an update function answered.
    package struct Update: Sendable {
        /// The document to save, if any.
        package let document: JSONObject?
        /// `{"code", "headers", "body" | "base64" | "json"}`; a plain text answer stands in `body`.
        package let response: JSONObject
    }

    /// Runs `updates.<name>`.
    ///
    /// - Throws: 404 "missing json key: name"; 500 when the function throws or answers something else than
    ///   `[document or null, response]`.
    package func update(_ name: String, of design: DesignDocument, document: JSONObject?, request: JSON) async throws
        -> Update
    {
        fatalError("not there yet")
    }

    /// Runs `shows.<name>`; the answer is like ``Update/response``.
    package func show(_ name: String, of design: DesignDocument, document: JSONObject?, request: JSON) async throws
        -> JSONObject
    {
        fatalError("not there yet")
    }

    /// Lets go of all compiled functions and ends the thread.
    package func close() async {}
}
