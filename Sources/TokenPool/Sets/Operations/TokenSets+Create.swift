import CouchDB
import CouchDocument
import Foundation

/// What creating does when the set is there already.
public enum IfExists: String, Sendable, CaseIterable {
    /// Refuses; a creation that was interrupted is finished all the same.
    case fail
    /// Adds the tokens that are missing and leaves the others.
    case skip
    /// Adds those that are missing, and rewrites those that are still todo and that the configuration now makes otherwise.
    case update
}

/// What creating a set did.
public struct CreationReport: Hashable, Sendable {
    /// The set's name.
    public var name = ""
    /// Tokens of the configuration.
    public var tokens = 0
    /// Tokens that were written anew.
    public var created = 0
    /// Tokens that were rewritten.
    public var updated = 0
    /// Tokens that were there and stay as they are.
    public var kept = 0
    /// Tokens among the kept that the configuration now makes otherwise, but that were started already.
    public var tooLate = 0
    /// Tokens of an interrupted creation that the configuration no longer makes.
    public var removed = 0
    /// Whether this went on with an interrupted creation.
    public var resumed = false

    /// The report as data.
    public var json: JSON {
        [
            "set": .string(name), "tokens": .integer(tokens), "created": .integer(created),
            "updated": .integer(updated), "kept": .integer(kept), "too_late": .integer(tooLate),
            "removed": .integer(removed), "resumed": .bool(resumed),
        ]
    }
}

extension TokenSets {
    /// Creates the set of a configuration.
    ///
    /// Every token is made once before the first is written, so that what is wrong with any of them is found while
    /// nothing has happened. Then the set document is written as `creating`, the tokens are written held (lock −2: in
    /// none of PiCaS' views), the set becomes `ready`, and the tokens are released. Readers see nothing of the set, or
    /// all of it.
    ///
    /// Interrupted while it writes, it goes on when called again; interrupted while it releases, anybody can finish:
    /// ``Pool/sweep(now:limit:grace:horizon:)`` does.
    ///
    /// - Throws: ``ConfigurationError`` when the configuration is wrong, and ``PoolError`` when the set exists
    ///   (``IfExists/fail``), somebody else is writing it, or an id belongs to a document that is not the set's.
    @discardableResult
    public func create(
        _ configuration: SetConfiguration, ifExists: IfExists = .fail, progress: Progress? = nil
    ) async throws -> CreationReport {
        // Missing views are found before anything is written: without them nothing could be released.
        _ = try await counts(of: configuration.name)
        let ledger = try SetLedger(configuration, progress: progress)
        try await ledger.dependencies.refuseCircles(of: configuration.name, in: pool)
        var creation = SetCreation(sets: self, configuration: configuration, ledger: ledger, ifExists: ifExists)
        return try await creation.run(progress)
    }

    /// Finishes what others left half done with these sets: releases and deletions, never unfinished writing.
    ///
    /// ``Pool/sweep(now:limit:grace:horizon:)`` finds them.
    ///
    /// - Parameter ids: Ids of set documents.
    /// - Returns: The names of the sets that were finished.
    func resumeInterrupted(_ ids: [String]) async throws -> [String] {
        var finished: [String] = []
        for set in try await database.documents(ids).compactMap({ $0.flatMap(TokenSet.init) })
        where (set.writerUntil ?? now) <= now {
            if set.state == .deleting {
                try await delete(set.name, force: true)
                finished.append(set.name)
            } else if set.state == .ready, set.step == .releasing {
                try await release(set)
                finished.append(set.name)
            }
        }
        return finished
    }

    /// Makes a set's held tokens free, and notes that it is done.
    func release(_ set: TokenSet, progress: Progress? = nil) async throws {
        // Somebody may have cancelled it meanwhile.
        guard try await self.set(set.name).step == .releasing else { return }
        try await releaseHeld(set.name, total: set.tokens, progress: progress)
        try await noteReleased(set.name)
    }

    /// Notes that all tokens of a set are free.
    func noteReleased(_ name: String) async throws {
        try await change(name) { set in
            guard set.step == .releasing else { return false }
            set.step = .finished
            set.document["creation"] = .object(["step": "finished"])
            return true
        }
    }

    /// Takes the hold from all of a set's tokens. Those with dependencies or a time to wait for stay waiting.
    func releaseHeld(_ name: String, total: Int? = nil, progress: Progress? = nil) async throws {
        let now = now
        var released = 0
        var signed = Timestamp(seconds: 0)
        while true {
            var seen = 0
            try await pages(.held, key: .string(name), isRepeated: true) { rows in
                seen += rows.count
                try await staySigned(name, since: &signed)
                let documents = rows.compactMap { $0.document.map(Token.init) }.compactMap { token -> Document? in
                    guard token.state == .waiting, token.pool.hold != nil else { return nil }
                    var token = token
                    token.release(at: now)
                    return token.document
                }
                released += try await write(documents, doing: "releasing")
                progress?(SetProgress(phase: .releasing, done: released, total: total))
            }
            // Who lost a write finds the token still held in the next round.
            if seen == 0 { return }
        }
    }

    /// How long whoever works on a whole set is trusted to be alive after it last said so.
    static let trust: Duration = .seconds(60)

    /// Says on the set document, now and then, that somebody is at work, so that nobody else begins the same.
    func staySigned(_ name: String, since signed: inout Timestamp) async throws {
        let now = now
        guard now - signed >= Self.trust / 3 else { return }
        signed = now
        try await change(name) { set in
            guard set.step == .releasing || set.state == .deleting else { return false }
            set.writerUntil = now + Self.trust
            return true
        }
    }

    /// Writes documents; a lost race is left to the next round.
    ///
    /// - Returns: How many were written.
    @discardableResult
    func write(_ documents: [Document], doing what: String) async throws -> Int {
        var written = 0
        for outcome in try await database.bulkSave(documents) {
            switch outcome {
            case .saved: written += 1
            case .failed(_, let error) where error.code == .conflict: break
            case .failed(let id, let error):
                throw PoolError(.badInput, "\(what) token \"\(id)\" failed", cause: error.description)
            }
        }
        return written
    }

    /// Changes a set document as it stands now, again while others change it.
    @discardableResult
    func change(_ name: String, _ change: (inout TokenSet) throws -> Bool) async throws -> TokenSet {
        for _ in 0..<20 {
            var set = try await set(name)
            guard try change(&set) else { return set }
            do {
                set.document.revision = try await database.save(set.document)
                return set
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "changing set \"\(name)\": others changed it each time; try again")
    }
}

extension Token {
    /// Takes the hold from a token that is written. One with dependencies or a time to wait for stays waiting.
    mutating func release(at now: Timestamp) {
        pool.hold = nil
        let mustWait = !dependencies.isEmpty || (pool.notBefore.map { $0 > now } ?? false)
        if !mustWait { lock = 0 }
    }
}
