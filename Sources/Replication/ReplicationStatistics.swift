import CouchDocument

/// What a replication has done. Counts go on from one run to the next, as in CouchDB's checkpoints.
package struct ReplicationStatistics: Sendable, Hashable {
    /// Revisions that the target was asked about.
    package var revisionsChecked = 0
    /// Those that it did not have.
    package var missingFound = 0
    package var documentsRead = 0
    package var documentsWritten = 0
    /// Documents that the target refused.
    package var writeFailures = 0
    package var bulkGetDocuments = 0
    package var bulkGetAttempts = 0

    package init() {}

    /// The counts of an entry of a checkpoint's history.
    init(historyEntry: JSON?) {
        func count(_ name: String) -> Int { historyEntry?[name]?.intValue ?? 0 }
        revisionsChecked = count("missing_checked")
        missingFound = count("missing_found")
        documentsRead = count("docs_read")
        documentsWritten = count("docs_written")
        writeFailures = count("doc_write_failures")
        bulkGetDocuments = count("bulk_get_docs")
        bulkGetAttempts = count("bulk_get_attempts")
    }

    /// As in a checkpoint's history.
    var historyMembers: JSONObject {
        [
            "missing_checked": .integer(revisionsChecked), "missing_found": .integer(missingFound),
            "docs_read": .integer(documentsRead), "docs_written": .integer(documentsWritten),
            "doc_write_failures": .integer(writeFailures), "bulk_get_docs": .integer(bulkGetDocuments),
            "bulk_get_attempts": .integer(bulkGetAttempts),
        ]
    }

    /// As in `_scheduler`, `_active_tasks` and `_replication_stats`.
    var infoMembers: JSONObject {
        [
            "revisions_checked": .integer(revisionsChecked), "missing_revisions_found": .integer(missingFound),
            "docs_read": .integer(documentsRead), "docs_written": .integer(documentsWritten),
            "doc_write_failures": .integer(writeFailures), "bulk_get_docs": .integer(bulkGetDocuments),
            "bulk_get_attempts": .integer(bulkGetAttempts),
        ]
    }

    /// What came in besides.
    static func += (left: inout ReplicationStatistics, right: ReplicationStatistics) {
        left.revisionsChecked += right.revisionsChecked
        left.missingFound += right.missingFound
        left.documentsRead += right.documentsRead
        left.documentsWritten += right.documentsWritten
        left.writeFailures += right.writeFailures
        left.bulkGetDocuments += right.bulkGetDocuments
        left.bulkGetAttempts += right.bulkGetAttempts
    }
}
