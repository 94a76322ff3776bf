import CouchDB
import CouchDocument
import Crypto
import Foundation

/// Writes tokens of a set in bulk, held, and copes with those that are there already.
struct TokenBatchWriter: Sendable {
    let sets: TokenSets
    let set: String
    let ifExists: IfExists
    /// Whether to read what is there before writing: where most of it may be.
    let looksFirst: Bool
    let hold: JSON
    /// The moment that the tokens are to tell as that of their making.
    let created: Timestamp

    /// - Throws: ``TokenIDTaken`` for an id that belongs to a document which is not the set's.
    func write(_ tokens: [Token]) async throws -> (report: CreationReport, revisions: WrittenRevisions) {
        var report = CreationReport()
        report.tokens = tokens.count
        var revisions = WrittenRevisions(count: tokens.count)
        var open = tokens.map { held($0) }
        var looks = looksFirst
        var failures = 0
        while !open.isEmpty {
            let writes = looks ? try await decided(open, &report) : open.map { (token: $0, isNew: true) }
            let outcomes: [BulkOutcome]
            do { outcomes = try await sets.database.bulkSave(writes.map(\.token.document)) } catch let error
                as CouchDBError
            {
                // Nobody knows how much of it was written: look, and write the rest.
                guard failures < 5, Self.isPassing(error) else { throw error }
                failures += 1
                looks = true
                open = writes.map(\.token)
                try await Task.sleep(for: .milliseconds(200 << failures))
                continue
            }
            // What is written at once, as it came, can be freed without being read.
            if !looks {
                for (position, outcome) in outcomes.enumerated() where tokens[position].document.attachments.isEmpty {
                    if let revision = outcome.revision { revisions.note(revision, of: position) }
                }
            }
            var again: [Token] = []
            for (write, outcome) in zip(writes, outcomes) {
                switch outcome {
                case .saved: if write.isNew { report.created += 1 } else { report.updated += 1 }
                case .failed(_, let error) where error.code == .conflict: again.append(write.token)
                case .failed(let id, let error):
                    throw PoolError(.badInput, "creating token \"\(id)\" failed", cause: error.description)
                }
            }
            if !again.isEmpty { failures += 1 }
            guard failures < 20 else {
                throw PoolError(.contended, "creating token \"\(again[0].id)\": others change it each time; try again")
            }
            open = again
            looks = true
        }
        return (report, revisions)
    }

    /// The token as it is written first.
    private func held(_ token: Token) -> Token {
        var token = token
        var pool = token.pool
        pool.created = pool.created ?? created
        pool.hold = hold
        token.pool = pool
        token.lock = TokenState.waitingLock
        return token
    }

    /// The token as it is freed, on the revision of the one that was written first.
    func freed(_ token: Token, at revision: Revision) -> Token {
        var token = held(token)
        token.release(at: created)
        token.revision = revision
        return token
    }

    private static func isPassing(_ error: CouchDBError) -> Bool {
        switch error.code {
        case .interrupted, .timedOut, .unreachable, .serverError, .tooManyRequests: true
        default: false
        }
    }

    /// What is to be written of these, after a look at what is there.
    private func decided(_ tokens: [Token], _ report: inout CreationReport) async throws -> [(
        token: Token, isNew: Bool
    )] {
        var writes: [(token: Token, isNew: Bool)] = []
        for (token, document) in zip(tokens, try await sets.database.documents(tokens.map(\.id))) {
            guard let present = document.map(Token.init) else {
                var token = token
                token.revision = nil
                writes.append((token, true))
                continue
            }
            guard present.pool.set == set else { throw TokenIDTaken(id: token.id, owner: present.pool.set) }
            var isSame = Self.hasSameFields(token, present)
            if isSame { isSame = try await hasSameAttachments(token, present) }
            let isHeld = present.state == .waiting && present.pool.hold != nil
            if isSame || (!isHeld && ifExists != .update) {
                report.kept += 1
            } else if isHeld || present.state == .todo || present.state == .waiting {
                writes.append((Self.merged(token, into: present), false))
            } else {
                report.kept += 1
                report.tooLate += 1
            }
        }
        return writes
    }

    /// Members of `pool` that a configuration decides; what it no longer says goes.
    private static let decidedMembers = [
        "set", "kind", "priority", "requires", "max_attempts", "command", "environment", "sandbox", "outputs", "logs",
        "retry_delay", "time_limit", "lease_seconds", "after", "after_any", "not_before", "superseded", "output_limit",
        "output_to", "result_pattern",
    ]
    /// Fields that tell where a token stands, not what it is.
    private static let stateFields: Set = [
        "_id", "_rev", "_attachments", "lock", "done", "hostname", "scrub_count", "exit_code", "error", "uploads",
        "output",
        "created", "pool", "status", "times", "progress",
    ]

    /// Whether the token that is there has what the configuration makes, attachments aside.
    private static func hasSameFields(_ token: Token, _ present: Token) -> Bool {
        for (name, value) in token.document.fields where !stateFields.contains(name) {
            guard present[name] == value else { return false }
        }
        return decidedMembers.allSatisfy { token.pool.members[$0] == present.pool.members[$0] }
    }

    /// Whether the attachments that the configuration makes are there.
    ///
    /// CouchDB keeps texts compressed and its digest is then of the compressed bytes (`compressible_types`, 3.5), so
    /// where only the digests differ the bytes are compared.
    private func hasSameAttachments(_ token: Token, _ present: Token) async throws -> Bool {
        for (name, value) in token.document.attachments {
            guard let stub = present.document.attachment(name), let text = value["data"]?.stringValue,
                let data = Data(base64Encoded: text), stub.length == data.count
            else { return false }
            if stub.digest == "md5-" + Data(Insecure.MD5.hash(data: data)).base64EncodedString() { continue }
            let attachment = try await sets.database.attachment(name, of: present.id)
            guard try await attachment.bytes(upTo: data.count).elementsEqual(data) else { return false }
        }
        return true
    }

    /// The token that is there with the configuration's fields, held.
    static func merged(_ token: Token, into present: Token) -> Token {
        var result = present
        for (name, value) in token.document.fields where !stateFields.contains(name) { result[name] = value }
        for (name, value) in token.document.attachments { result.document.attachments[name] = value }
        var pool = present.pool
        for name in decidedMembers { pool.members[name] = token.pool.members[name] }
        pool.hold = token.pool.hold
        result.pool = pool
        result.lock = TokenState.waitingLock
        return result
    }
}
