/// What is known about one partition.
package struct PartitionSummary: Sendable {
    package let documentCount: Int
    package let deletedCount: Int
    /// Bytes of the documents' bodies.
    package let size: Int
}

extension StoredDatabase {
    /// Counts a partition's documents; takes as long as there are documents in it.
    package func partition(_ name: String) async throws -> PartitionSummary {
        let ids = Partition.ids(of: name)
        return try await core.read { rows in
            var counts = [0, 0]
            var size = 0
            let row = try SQLStatement(
                rows.database,
                """
                SELECT deleted, count(*), sum(length(body)) FROM documents INDEXED BY documents_by_id
                WHERE id >= ? AND id < ? GROUP BY deleted
                """
            ).bind(1, ids.start).bind(2, ids.end)
            defer { row.reset() }
            while try row.step() {
                counts[row.integer(0) == 0 ? 0 : 1] = row.integer(1)
                size += row.integer(2)
            }
            return PartitionSummary(documentCount: counts[0], deletedCount: counts[1], size: size)
        }
    }
}
