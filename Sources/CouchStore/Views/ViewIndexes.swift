import CouchDocument
import Logging

/// The view indexes of one database: one index, in one file, for each set of view functions.
///
/// Design documents with equal views share an index. An index is opened by the first query and stays open until its
/// design document is gone (``cleanup(keeping:)``) or the database closes.
package final class ViewIndexes: Sendable {
    /// The views of the database whose changes are `source`. `folder` is made when the first index is.
    package init(folder: String, source: any ViewSource, limits: JavaScriptLimits = .init(), logger: Logger) {
        fatalError("not there yet")
    }

    /// The rows of a view, after the index has caught up as `query.update` says.
    ///
    /// Queries that arrive while the index catches up wait together for one pass.
    ///
    /// - Throws: ``StoreError`` in CouchDB's words: a view that is not there, options that can not be, a function that
    ///   ran too long.
    package func query(design: DesignDocument, view: String, _ query: ViewIndexQuery) async throws -> ViewResult {
        fatalError("not there yet")
    }

    /// What `GET /db/_design/name/_info` tells.
    package func information(design: DesignDocument) async throws -> ViewIndexInformation {
        fatalError("not there yet")
    }

    /// Removes the indexes that none of these design documents uses.
    package func cleanup(keeping designs: [DesignDocument]) async throws {
        fatalError("not there yet")
    }

    /// Validation, filter and update functions of this database's design documents.
    package var functions: DesignFunctions { fatalError("not there yet") }

    /// Ends all work and closes the files. A query after that is refused.
    package func close() async {
        fatalError("not there yet")
    }

    /// Closes and removes every file: the database is gone.
    package func removeAll() async throws {
        fatalError("not there yet")
    }
}
