import GRDB

/// What is counted as documents come and go, so that nobody needs to count them. One row, written with each commit.
struct DatabaseState: Sendable, Equatable {
    /// The sequence of the latest change or purge.
    var sequence = 0
    /// Documents that are not deleted.
    var documents = 0
    /// Deleted ones.
    var deleted = 0
    /// The sequence of the latest purge.
    var purgeSequence = 0
    /// Bytes of the winners' bodies.
    var bodyBytes = 0
    /// Bytes of attachments, equal ones once.
    var attachmentBytes = 0
    /// Bytes of bodies that a compaction would drop, about.
    var supersededBytes = 0

    init() {}

    init(reading database: Database) throws {
        let statement = try SQLStatement(
            database,
            """
            SELECT sequence, documents, deleted, purge_sequence, body_bytes, attachment_bytes, superseded_bytes FROM state
            """)
        defer { statement.reset() }
        guard try statement.step() else {
            throw StoreError(.failed, "the database file has no state row: it is damaged")
        }
        sequence = statement.integer(0)
        documents = statement.integer(1)
        deleted = statement.integer(2)
        purgeSequence = statement.integer(3)
        bodyBytes = statement.integer(4)
        attachmentBytes = statement.integer(5)
        supersededBytes = statement.integer(6)
    }

    func write(to database: Database) throws {
        try SQLStatement(
            database,
            """
            UPDATE state SET sequence = ?, documents = ?, deleted = ?, purge_sequence = ?, body_bytes = ?,
            attachment_bytes = ?, superseded_bytes = ?
            """
        )
        .bind(1, sequence).bind(2, documents).bind(3, deleted).bind(4, purgeSequence).bind(5, bodyBytes)
        .bind(6, attachmentBytes).bind(7, supersededBytes).run()
    }
}
