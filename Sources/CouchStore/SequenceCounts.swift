import GRDB

/// How many documents have their latest change in each stretch of the sequence log, so that what is left of the log is
/// known without walking it (`pending`).
///
/// Table `sequence_counts`: a row for 1,024 sequences (level 0), for 1,024 such stretches (1) and for as many of those
/// (2). Stretches without documents have no row. A transaction's changes are gathered here and written once at its end.
struct SequenceCounts {
    private static let levels = 3
    private static let shift = 10

    /// By stretch of level 0.
    private var changes: [Int: Int] = [:]

    /// A document's latest change is at `new` now; `nil`: it was or is none.
    mutating func move(from old: Int?, to new: Int?) {
        if let old { changes[old >> Self.shift, default: 0] -= 1 }
        if let new { changes[new >> Self.shift, default: 0] += 1 }
    }

    func write(to database: Database) throws {
        var changes = changes
        for level in 0..<Self.levels {
            var above: [Int: Int] = [:]
            for (stretch, change) in changes where change != 0 {
                try SQLStatement(
                    database,
                    """
                    INSERT INTO sequence_counts (level, stretch, documents) VALUES (?, ?, ?)
                    ON CONFLICT (level, stretch) DO UPDATE SET documents = documents + excluded.documents
                    """
                ).bind(1, level).bind(2, stretch).bind(3, change).run()
                if change < 0 {
                    try SQLStatement(
                        database, "DELETE FROM sequence_counts WHERE level = ? AND stretch = ? AND documents = 0"
                    ).bind(1, level).bind(2, stretch).run()
                }
                above[stretch >> Self.shift, default: 0] += change
            }
            changes = above
        }
    }

    /// Counts everything anew.
    static func build(in database: Database) throws {
        try database.execute(sql: "DELETE FROM sequence_counts")
        for level in 0..<levels {
            try database.execute(
                sql: """
                    INSERT INTO sequence_counts (level, stretch, documents)
                    SELECT ?, sequence >> ?, count(*) FROM documents GROUP BY 2
                    """, arguments: [level, shift * (level + 1)])
        }
    }

    /// Whether the counts are those of the documents.
    static func agree(in database: Database) throws -> Bool {
        for level in 0..<levels {
            let counted = "SELECT stretch, documents FROM sequence_counts WHERE level = \(level)"
            let real = "SELECT sequence >> \(shift * (level + 1)), count(*) FROM documents GROUP BY 1"
            for difference in ["\(counted) EXCEPT \(real)", "\(real) EXCEPT \(counted)"] {
                if try Row.fetchOne(database, sql: difference) != nil { return false }
            }
        }
        return true
    }

    /// The number of documents whose latest change is after that sequence.
    static func documents(after sequence: Int, in database: Database) throws -> Int {
        let first = max(0, sequence) + 1
        var count = try sum(
            database, "SELECT count(*) FROM documents WHERE sequence >= ? AND sequence < ?",
            first, ((first >> shift) + 1) << shift)
        for level in 0..<levels {
            // What lies behind the stretch of `first` and inside the stretch above it; at the top, all that is behind.
            let stretch = first >> (shift * (level + 1))
            let end = level + 1 < levels ? ((stretch >> shift) + 1) << shift : Int.max
            count += try sum(
                database,
                "SELECT sum(documents) FROM sequence_counts WHERE level = ?3 AND stretch >= ?1 AND stretch < ?2",
                stretch + 1, end, level: level)
        }
        return count
    }

    private static func sum(_ database: Database, _ query: String, _ start: Int, _ end: Int, level: Int? = nil) throws
        -> Int
    {
        let row = try SQLStatement(database, query).bind(1, start).bind(2, end)
        if let level { row.bind(3, level) }
        defer { row.reset() }
        return try row.step() ? row.integer(0) : 0
    }
}
