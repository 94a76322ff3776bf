import CouchDB
import CouchDocument
import Logging

extension SetCreation {
    /// Writes all tokens, held.
    mutating func writeTokens(_ progress: TokenSets.Progress?) async throws {
        var tokens = configuration.tokens().makeIterator()
        let writer = writer
        var isAtEnd = false
        var next = 0
        try await withThrowingTaskGroup(
            of: (first: Int, report: CreationReport, revisions: WrittenRevisions).self
        ) { group in
            var underWay = 0
            var written = 0
            while !isAtEnd || underWay > 0 {
                if !isAtEnd && underWay < TokenSets.requestsAtATime {
                    let batch = try Self.batch(&tokens)
                    isAtEnd = batch.isEmpty
                    if !isAtEnd {
                        underWay += 1
                        let first = next
                        next += batch.count
                        group.addTask {
                            let (report, revisions) = try await writer.write(batch)
                            return (first, report, revisions)
                        }
                    }
                    continue
                }
                guard let (first, part, noted) = try await group.next() else { break }
                underWay -= 1
                revisions.take(noted, from: first)
                report.created += part.created
                report.updated += part.updated
                report.kept += part.kept
                report.tooLate += part.tooLate
                written += part.tokens
                progress?(SetProgress(phase: .writing, done: written, total: ledger.count))
                if let until = set.writerUntil, sets.now + TokenSets.trust / 2 > until {
                    sign()
                    try await save { _ in }
                }
            }
        }
    }

    private var writer: TokenBatchWriter {
        TokenBatchWriter(
            sets: sets, set: set.name, ifExists: ifExists, looksFirst: looksFirst, hold: "creating", created: created)
    }

    /// Frees the tokens that this run wrote and whose revisions it knows: each is made once more, so that none needs to be
    /// read, and no view to be brought up to date for it.
    ///
    /// - Returns: Whether those are all tokens of the set, so that no other can be held still.
    mutating func releaseWritten(_ progress: TokenSets.Progress?) async throws -> Bool {
        guard !revisions.isEmpty else { return false }
        var tokens = configuration.tokens().makeIterator()
        let (sets, writer, name, total) = (sets, writer, set.name, ledger.count)
        var isAtEnd = false
        var next = 0
        var released = 0
        var signed = created
        try await withThrowingTaskGroup(of: Int.self) { group in
            var underWay = 0
            while !isAtEnd || underWay > 0 {
                if !isAtEnd && underWay < TokenSets.requestsAtATime {
                    var batch: [Token] = []
                    do { batch = try Self.batch(&tokens) } catch {
                        // What is on the server needs no source any more: the view tells what is still held.
                        sets.pool.logger.notice(
                            "the source of a set can not be read again; its tokens are freed one view page at a time",
                            metadata: ["set": "\(name)", "error": "\(error)"])
                    }
                    isAtEnd = batch.isEmpty
                    let known = zip(batch, next...).compactMap { token, position in
                        revisions[position].map { (token, $0) }
                    }
                    next += batch.count
                    if !known.isEmpty {
                        underWay += 1
                        group.addTask {
                            let documents = known.map { writer.freed($0, at: $1).document }
                            return try await sets.write(documents, doing: "releasing")
                        }
                    }
                    continue
                }
                guard let count = try await group.next() else { break }
                underWay -= 1
                released += count
                progress?(SetProgress(phase: .releasing, done: released, total: total))
                try await sets.staySigned(name, since: &signed)
            }
        }
        // A set that was there already can have others.
        return isNew && released == total
    }

    private static func batch(_ tokens: inout SetTokens.Iterator) throws -> [Token] {
        var batch: [Token] = []
        var bytes = 0
        while batch.count < TokenSets.batchSize, bytes < TokenSets.batchBytes, let token = try tokens.nextToken() {
            batch.append(token)
            bytes += 500
            for attachment in token.document.attachments {
                bytes += attachment.value["data"]?.stringValue?.utf8.count ?? 0
            }
        }
        return batch
    }

    /// Deletes held tokens that an earlier run wrote and that the configuration no longer makes.
    mutating func removeLeftovers() async throws {
        var removed = 0
        try await sets.pages(.held, key: .string(set.name)) { rows in
            let documents = rows.compactMap(\.document).filter { !ledger.contains($0.id) }.map { Self.tombstone($0) }
            removed += try await sets.write(documents, doing: "removing")
        }
        report.removed = removed
    }
}
