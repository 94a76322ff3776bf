import CouchDocument
import GRDB
import GRDBSQLite
import Logging
import Synchronization

extension StoredDatabase {
    /// Bodies of replaced revisions that may pile up before they are dropped without being asked.
    static let toleratedSupersededBytes = 64 * 1024 * 1024

    /// Starts a compaction when what it would drop outgrows what would stay, as CouchDB 3's `smoosh` does.
    func startCompactionIfDue() {
        let isDue = core.published.withLock { published in
            !published.isCompacting
                && published.state.supersededBytes > max(Self.toleratedSupersededBytes, published.state.bodyBytes)
        }
        guard isDue else { return }
        Task {
            do {
                try await compact()
            } catch let error as StoreError where error.code == .closed {
                // The database went away meanwhile, and what there was to drop with it.
            } catch {
                logger.error(
                    "could not compact a database", metadata: ["database": "\(name)", "error": "\(error)"])
            }
        }
    }

    /// Drops the bodies of revisions that are no leaves, and attachments that no leaf has; returns when done.
    ///
    /// Works in small steps between other writes. A second caller joins none: it returns at once.
    package func compact() async throws {
        let isFirst = core.published.withLock { published in
            defer { published.isCompacting = true }
            return !published.isCompacting
        }
        guard isFirst else { return }
        defer { core.published.withLock { $0.isCompacting = false } }
        let total = try await core.read { try $0.lastRevisedNumber() }
        let work = core.tasks.begin(.databaseCompaction, total: total)
        defer { work.end() }
        var next: Int? = 0
        while let start = next {
            work.update(done: min(start, total))
            next = try await change("compact") { try $0.dropReplaced(from: start) }
        }
        work.update(done: total)
        try await dropUnusedContents()
        while try await change("compact", { try $0.releasePages(1000) }) {}
        try await truncateLog()
    }

    private func dropUnusedContents() async throws {
        let (sequence, used) = try await core.read { rows -> (Int, Set<ContentKey>) in
            (try rows.updateSequence(), try rows.usedContents())
        }
        var next: Int? = 0
        while let start = next {
            next = try await change("compact") { writer in
                try writer.dropContents(from: start, notIn: used, touchedUpTo: sequence)
            }
        }
        let store = core.attachmentStore
        let files = try await core.workOnFiles { try store.contentFiles() }
        for start in stride(from: 0, to: files.count, by: 500) {
            let some = Array(files[start..<min(start + 500, files.count)])
            // In the writer's turn, so that no edit takes such a content in again meanwhile.
            try await change("compact") { try $0.removeStray(some) }
        }
    }

    /// Moves the write-ahead log into the file, so that the log is short again.
    private func truncateLog() async throws {
        let core = core
        try await core.workOnFiles {
            // The bulk of it beside the writer, on a connection for that alone.
            let beside = try DatabaseQueue(path: core.path)
            _ = try beside.inDatabase { try $0.checkpoint(.passive) }
            try beside.close()
            try core.pool.writeWithoutTransaction { database in
                // Writers would wait as long as this waits for readers. It does not: a later checkpoint will do.
                sqlite3_busy_timeout(database.sqliteConnection, 0)
                defer { sqlite3_busy_timeout(database.sqliteConnection, DatabaseFile.busyMilliseconds) }
                do { _ = try database.checkpoint(.truncate) } catch let error as DatabaseError
                    where error.resultCode == .SQLITE_BUSY
                {}
            }
        }
    }
}

/// What identifies stored bytes.
struct ContentKey: Hashable, Sendable {
    let md5: [UInt8]
    let length: Int
}

extension DocumentRows {
    /// The greatest number of a document that has more than a winner; 0: none has.
    func lastRevisedNumber() throws -> Int {
        let row = try SQLStatement(database, "SELECT number FROM revisions ORDER BY number DESC LIMIT 1")
        defer { row.reset() }
        return try row.step() ? row.integer(0) : 0
    }

    /// The contents that a winner, another leaf or a kept revision has.
    func usedContents() throws -> Set<ContentKey> {
        var used: Set<ContentKey> = []
        for query in [
            "SELECT attachments FROM documents WHERE attachments IS NOT NULL",
            "SELECT attachments FROM revisions WHERE attachments IS NOT NULL",
        ] {
            let row = try SQLStatement(database, query)
            defer { row.reset() }
            while try row.step() {
                for attachment in AttachmentCoding.decode(row.bytes(0)) {
                    used.insert(ContentKey(md5: attachment.md5, length: attachment.storedLength))
                }
            }
        }
        return used
    }
}

extension EditWriter {
    private static let step = 2000

    /// Drops some replaced bodies, of documents from that number on.
    ///
    /// - Returns: Where to go on.
    mutating func dropReplaced(from number: Int) throws -> Int? {
        let row = try SQLStatement(database, "SELECT number FROM revisions WHERE number >= ? LIMIT 1 OFFSET ?")
            .bind(1, number).bind(2, Self.step)
        let end = try row.step() ? row.integer(0) : nil
        row.reset()
        // At least one document is done with at each step, however many revisions it has.
        let last = max(end.map { $0 - 1 } ?? Int.max, number)
        let sizes = try SQLStatement(
            database, "SELECT sum(length(body)) FROM revisions WHERE leaf = 0 AND number BETWEEN ? AND ?"
        ).bind(1, number).bind(2, last)
        let dropped = try sizes.step() ? sizes.integer(0) : 0
        sizes.reset()
        try SQLStatement(database, "DELETE FROM revisions WHERE leaf = 0 AND number BETWEEN ? AND ?")
            .bind(1, number).bind(2, last).run()
        state.supersededBytes = end == nil ? 0 : max(0, state.supersededBytes - dropped)
        return end == nil ? nil : last + 1
    }

    /// Drops the rows of some contents that nobody uses.
    ///
    /// - Parameter sequence: A content that was taken in again after this stays: the list of used ones is of then.
    mutating func dropContents(from content: Int, notIn used: Set<ContentKey>, touchedUpTo sequence: Int) throws -> Int?
    {
        let row = try SQLStatement(
            database,
            """
            SELECT content, md5, length, touched FROM contents WHERE content >= ? ORDER BY content LIMIT ?
            """
        ).bind(1, content).bind(2, Self.step)
        var unused: [(content: Int, length: Int)] = []
        var last = content
        var count = 0
        while try row.step() {
            last = row.integer(0)
            count += 1
            let key = ContentKey(md5: row.bytes(1), length: row.integer(2))
            if used.contains(key) || row.integer(3) > sequence { continue }
            unused.append((last, key.length))
        }
        row.reset()
        for entry in unused {
            try SQLStatement(database, "DELETE FROM contents WHERE content = ?").bind(1, entry.content).run()
            state.attachmentBytes -= entry.length
        }
        return count < Self.step ? nil : last + 1
    }

    /// Removes those of these files that no row speaks of.
    func removeStray(_ files: [AttachmentStore.ContentFile]) throws {
        for file in files {
            let row = try SQLStatement(database, "SELECT 1 FROM contents WHERE md5 = ? AND length = ?")
                .bind(1, file.md5).bind(2, file.length)
            let isUsed = try row.step()
            row.reset()
            if !isUsed { try attachmentStore.remove(attachmentStore.path(md5: file.md5, length: file.length)) }
        }
    }

    /// Gives free pages back to the file system.
    ///
    /// - Returns: Whether there are more.
    func releasePages(_ count: Int) throws -> Bool {
        let vacuum = try SQLStatement(database, "PRAGMA incremental_vacuum(\(count))")
        while try vacuum.step() {}
        vacuum.reset()
        let row = try SQLStatement(database, "PRAGMA freelist_count")
        defer { row.reset() }
        return try row.step() ? row.integer(0) > 0 : false
    }
}
