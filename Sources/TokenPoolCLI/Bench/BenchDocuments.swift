import CouchDB
import CouchDocument

/// Documents to measure with: about 125 bytes of JSON, six members, a text of 64.
enum BenchDocuments {
    static func document(_ id: String, _ number: Int) -> Document {
        Document(
            id: id,
            fields: [
                "type": "bench", "number": .integer(number), "even": .bool(number % 2 == 0),
                "group": .integer(number % 4),
                "text": "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            ])
    }

    /// Writes so many documents in batches and reads every row of the answers.
    static func write(_ count: Int, batch: Int = 1_000, to database: Database) async throws {
        for start in stride(from: 0, to: count, by: batch) {
            let documents = (start..<min(start + batch, count)).map { document("bulk-\($0)", $0) }
            for outcome in try await database.bulkSave(documents) {
                if let error = outcome.error { throw error }
            }
        }
    }
}
