import GRDB

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#else
    import Darwin
#endif

/// How many documents that are not deleted stand in each stretch of ids, so that a place in the order of ids is known
/// without walking to it (`offset` of `_all_docs`).
///
/// Table `id_counts`: a row of level 0 stands for at most 512 documents from its `first` id on, one of a level above for
/// at most 64 rows of the level below. A row that outgrows this is split; one that is empty goes, unless a row above
/// begins with it. A transaction's changes are gathered here and written once at its end, so an edit that neither makes
/// nor deletes a document costs nothing.
struct IDCounts {
    private static let levels = 4
    /// Documents in a row of level 0 at most.
    private static let most = 512
    /// Rows of the level below in a row at most; the top takes any number.
    private static let mostParts = 64

    /// What becomes of a row.
    private struct Change {
        var documents = 0
        /// Rows of the level below.
        var parts = 0
    }

    /// By the first id of the row of level 0.
    private var changes: [[UInt8]: Change] = [:]
    /// The row that was found last: ids from `first` up to `next`, and what is not yet among the changes.
    private var found: (first: [UInt8], next: [UInt8]?, documents: Int)?

    init() {}

    /// A document with that id is there now (+1) or not any more (−1).
    mutating func add(_ change: Int, id: String, in database: Database) throws {
        if let found, !Self.precedes(id, found.first), found.next.map({ Self.precedes(id, $0) }) ?? true {
            self.found?.documents += change
            return
        }
        keepFound()
        let id = Array(id.utf8)
        let first = try Self.row(level: 0, of: id, in: database)
        let after = try SQLStatement(
            database, "SELECT first FROM id_counts WHERE level = 0 AND first > ? ORDER BY first LIMIT 1"
        ).bind(1, id)
        defer { after.reset() }
        found = (first, try after.step() ? after.bytes(0) : nil, change)
    }

    private mutating func keepFound() {
        if let found, found.documents != 0 { changes[found.first, default: Change()].documents += found.documents }
        found = nil
    }

    /// Whether the id stands before the other in the order of bytes.
    private static func precedes(_ id: String, _ other: [UInt8]) -> Bool {
        var id = id
        return id.withUTF8 { id in
            let order = other.withUnsafeBytes { other in
                // `memcmp` wants addresses, which nothing has none of.
                id.isEmpty || other.isEmpty
                    ? 0 : memcmp(id.baseAddress!, other.baseAddress!, min(id.count, other.count))
            }
            return order != 0 ? order < 0 : id.count < other.count
        }
    }

    mutating func write(to database: Database) throws {
        keepFound()
        var changes = changes
        for level in 0..<Self.levels {
            var above: [[UInt8]: Change] = [:]
            for (first, change) in changes where change.documents != 0 || change.parts != 0 {
                let parent = level + 1 < Self.levels ? try Self.row(level: level + 1, of: first, in: database) : []
                let parts = try Self.change(first, change, level: level, below: parent, in: database)
                above[parent, default: Change()].documents += change.documents
                above[parent, default: Change()].parts += parts
            }
            changes = above
        }
    }

    /// Counts everything anew.
    static func build(in database: Database) throws {
        try database.execute(
            sql: """
                DELETE FROM id_counts;
                INSERT INTO id_counts (level, first, documents, parts)
                VALUES (0, x'', 0, 0);
                """)
        for level in 1..<levels {
            try database.execute(sql: "INSERT INTO id_counts VALUES (?, x'', 0, 1)", arguments: [level])
        }
        let row = try SQLStatement(
            database, "SELECT count(*) FROM documents INDEXED BY documents_by_id WHERE deleted = 0")
        let count = try row.step() ? row.integer(0) : 0
        row.reset()
        var counts = IDCounts()
        counts.changes[[]] = Change(documents: count)
        try counts.write(to: database)
    }

    /// The number of documents whose ids come before this one, or are this one when it is included.
    static func documents(before id: String, including: Bool, in database: Database) throws -> Int {
        let key = Array(id.utf8)
        var count = 0
        var start: [UInt8] = []
        for level in (0..<levels).reversed() {
            let end = try row(level: level, of: key, in: database)
            let sum = try SQLStatement(
                database, "SELECT sum(documents) FROM id_counts WHERE level = ? AND first >= ? AND first < ?"
            ).bind(1, level).bind(2, start).bind(3, end)
            if try sum.step() { count += sum.integer(0) }
            sum.reset()
            start = end
        }
        let rest = try SQLStatement(
            database,
            """
            SELECT count(*) FROM documents INDEXED BY documents_by_id
            WHERE deleted = 0 AND id >= CAST(?1 AS TEXT) AND id \(including ? "<=" : "<") ?2
            """
        ).bind(1, start as [UInt8]?).bind(2, id)
        defer { rest.reset() }
        return try rest.step() ? count + rest.integer(0) : count
    }

    /// Whether the counts are those of the documents.
    static func agree(in database: Database) throws -> Bool {
        let ids = try SQLStatement(
            database, "SELECT id FROM documents INDEXED BY documents_by_id WHERE deleted = 0 ORDER BY id")
        defer { ids.reset() }
        var id = try ids.step() ? ids.bytes(0) : nil
        let row = try SQLStatement(
            database, "SELECT first, documents FROM id_counts WHERE level = 0 ORDER BY first")
        defer { row.reset() }
        var rows: [(first: [UInt8], documents: Int)] = []
        while try row.step() { rows.append((row.bytes(0), row.integer(1))) }
        for (index, row) in rows.enumerated() {
            let end = index + 1 < rows.count ? rows[index + 1].first : nil
            var count = 0
            while let current = id, end.map({ current.lexicographicallyPrecedes($0) }) ?? true {
                count += 1
                id = try ids.step() ? ids.bytes(0) : nil
            }
            if count != row.documents { return false }
        }
        for level in 1..<levels {
            let below = """
                SELECT a.first, a.documents, a.parts FROM id_counts a WHERE a.level = ?1 AND (a.documents, a.parts) !=
                (SELECT sum(b.documents), count(*) FROM id_counts b WHERE b.level = ?1 - 1 AND b.first >= a.first
                AND NOT EXISTS (SELECT 1 FROM id_counts c WHERE c.level = ?1 AND c.first > a.first
                AND c.first <= b.first))
                """
            if try Row.fetchOne(database, sql: below, arguments: [level]) != nil { return false }
        }
        return true
    }

    // MARK: Rows

    /// The first id of the row that this id belongs to.
    private static func row(level: Int, of id: [UInt8], in database: Database) throws -> [UInt8] {
        let row = try SQLStatement(
            database, "SELECT first FROM id_counts WHERE level = ? AND first <= ? ORDER BY first DESC LIMIT 1"
        ).bind(1, level).bind(2, id)
        defer { row.reset() }
        guard try row.step() else { throw StoreError(.failed, "the database file counts no ids: it is damaged") }
        return row.bytes(0)
    }

    /// Changes a row and splits or removes it when that is due.
    ///
    /// - Returns: By how many rows this level grew.
    private static func change(
        _ first: [UInt8], _ change: Change, level: Int, below parent: [UInt8], in database: Database
    ) throws -> Int {
        let row = try SQLStatement(
            database,
            """
            UPDATE id_counts SET documents = documents + ?, parts = parts + ? WHERE level = ? AND first = ?
            RETURNING documents, parts
            """
        ).bind(1, change.documents).bind(2, change.parts).bind(3, level).bind(4, first)
        let (documents, parts) = try row.step() ? (row.integer(0), row.integer(1)) : (0, 0)
        row.reset()
        if level == 0 {
            if documents > most { return try splitDocuments(first, documents, in: database) }
            if documents > 0 || first == parent { return 0 }
            try SQLStatement(database, "DELETE FROM id_counts WHERE level = 0 AND first = ?").bind(1, first).run()
            return -1
        }
        guard parts > mostParts, level + 1 < levels else { return 0 }
        return try splitParts(first, documents, parts, level: level, in: database)
    }

    private static func set(_ first: [UInt8], _ documents: Int, _ parts: Int, level: Int, in database: Database) throws
    {
        try SQLStatement(
            database, "INSERT OR REPLACE INTO id_counts (level, first, documents, parts) VALUES (?, ?, ?, ?)"
        ).bind(1, level).bind(2, first).bind(3, documents).bind(4, parts).run()
    }

    private static func splitDocuments(_ first: [UInt8], _ documents: Int, in database: Database) throws -> Int {
        let half = most / 2
        var start = first
        var left = documents
        var added = 0
        while left > most {
            let row = try SQLStatement(
                database,
                """
                SELECT id FROM documents INDEXED BY documents_by_id
                WHERE deleted = 0 AND id >= CAST(? AS TEXT) ORDER BY id LIMIT 1 OFFSET ?
                """
            ).bind(1, start).bind(2, half)
            guard try row.step() else { throw StoreError(.failed, "the database file counts ids that are not there") }
            let next = row.bytes(0)
            row.reset()
            try set(start, half, 0, level: 0, in: database)
            left -= half
            start = next
            added += 1
        }
        try set(start, left, 0, level: 0, in: database)
        return added
    }

    private static func splitParts(
        _ first: [UInt8], _ documents: Int, _ parts: Int, level: Int, in database: Database
    ) throws -> Int {
        let half = mostParts / 2
        var start = first
        var left = (documents: documents, parts: parts)
        var added = 0
        while left.parts > mostParts {
            let row = try SQLStatement(
                database,
                "SELECT first, documents FROM id_counts WHERE level = ? AND first >= ? ORDER BY first LIMIT ?"
            ).bind(1, level - 1).bind(2, start).bind(3, half + 1)
            var moved = 0
            for _ in 0..<half { if try row.step() { moved += row.integer(1) } }
            guard try row.step() else { throw StoreError(.failed, "the database file counts ids that are not there") }
            let next = row.bytes(0)
            row.reset()
            try set(start, moved, half, level: level, in: database)
            left = (left.documents - moved, left.parts - half)
            start = next
            added += 1
        }
        try set(start, left.documents, left.parts, level: level, in: database)
        return added
    }
}
