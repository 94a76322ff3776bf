import CouchDB
import CouchDocument

extension TokenSets {
    /// Changes how much of the pool a set may have; workers follow within half a minute.
    ///
    /// - Parameters:
    ///   - limit: How many of its tokens may be held at once; `.some(nil)` any number, `nil` as it is.
    ///   - share: Its part of the pool beside other sets with work; `nil` as it is.
    @discardableResult
    public func change(_ name: String, limit: Int?? = nil, share: Double? = nil) async throws -> TokenSet {
        try await change(name) { set in
            if let limit { set.limit = limit }
            if let share { set.share = share }
            return limit != nil || share != nil
        }
    }

    /// Puts tokens of the set back to todo, as PiCaS' `resetTokens` does; inputs and outputs stay attached.
    ///
    /// - Parameters:
    ///   - states: Which tokens; those in error by default.
    ///   - age: Only tokens that were locked at least so long ago; `nil` for all.
    ///   - removesAttachments: Whether attached files go, but for those of these names.
    /// - Returns: How many were put back. Tokens that others changed meanwhile are left alone.
    @discardableResult
    public func reset(
        _ name: String, states: Set<TokenState> = [.error], olderThan age: Duration? = nil,
        removingAttachmentsBut kept: Set<String>? = nil, progress: Progress? = nil
    ) async throws -> Int {
        let set = try await set(name)
        guard set.state == .ready else {
            throw PoolError(
                .wrongState, "set \"\(name)\" is \(set.state.rawValue): only the tokens of a ready set can be reset")
        }
        let now = now
        var count = 0
        let total = try await counts(of: name)
        try await pages(.setTokens, key: .string(name)) { rows in
            let documents = rows.compactMap { $0.document.map(Token.init) }.compactMap { token -> Document? in
                guard states.contains(token.state), token.pool.hold == nil, token.state != .todo else { return nil }
                if let age, Timestamp(seconds: token.lock) > now - age { return nil }
                var token = token
                token.reset(keepingAttachments: kept, at: now)
                return token.document
            }
            count += try await write(documents, doing: "resetting")
            progress?(SetProgress(phase: .resetting, done: count, total: states.map { total[$0] }.reduce(0, +)))
        }
        return count
    }

    /// Stops the set: tokens that nobody has started are held back. Those that run are left to end.
    ///
    /// - Returns: How many tokens are held back.
    @discardableResult
    public func cancel(_ name: String, progress: Progress? = nil) async throws -> Int {
        let set = try await change(name) { set in
            guard set.state == .ready || set.state == .cancelled else {
                throw PoolError(
                    .wrongState,
                    "set \"\(name)\" is \(set.state.rawValue): only a ready set can be cancelled; see `tokenpool set delete`"
                )
            }
            guard set.state == .ready else { return false }
            set.state = .cancelled
            set.document["creation"] = ["step": "finished"]
            return true
        }
        var held = 0
        while true {
            var open = 0
            try await pages(.setTokens, key: .string(name), isRepeated: true) { rows in
                let documents = rows.compactMap { $0.document.map(Token.init) }.compactMap { token -> Document? in
                    guard token.state == .todo || token.state == .waiting, token.pool.hold == nil else { return nil }
                    var token = token
                    token.lock = TokenState.waitingLock
                    token.pool.hold = "cancelled"
                    return token.document
                }
                open += documents.count
                held += try await write(documents, doing: "holding")
                progress?(SetProgress(phase: .holding, done: held, total: set.tokens))
            }
            if open == 0 { return held }
        }
    }

    /// Goes on with a set that was cancelled, or whose release or deletion was interrupted.
    ///
    /// - Throws: ``PoolError`` when its tokens were never all written: only its configuration knows the others.
    public func resume(_ name: String, progress: Progress? = nil) async throws {
        let set = try await set(name)
        switch set.state {
        case .creating:
            throw PoolError(
                .wrongState,
                "set \"\(name)\" was never written to its end: run `tokenpool set create` with its file again, or delete it"
            )
        case .deleting: try await delete(name, force: true, progress: progress)
        case .cancelled, .ready:
            guard set.step != .writing else {
                throw PoolError(
                    .wrongState,
                    "tokens were being added to set \"\(name)\": run that `tokenpool set create --if-exists` again")
            }
            let ready = try await change(name) { set in
                set.state = .ready
                set.step = .releasing
                return true
            }
            try await release(ready, progress: progress)
        }
    }

    /// Deletes a set and all its tokens, in bulk. An interrupted deletion is finished by the next one.
    ///
    /// - Parameter force: Deletes even while workers hold tokens of the set.
    /// - Returns: How many tokens were deleted.
    @discardableResult
    public func delete(_ name: String, force: Bool = false, progress: Progress? = nil) async throws -> Int {
        let counts = try await counts(of: name)
        if counts[.locked] > 0 && !force {
            throw PoolError(
                .wrongState,
                "set \"\(name)\" has \(counts[.locked]) tokens that workers hold: cancel the set and wait, or delete it with --force"
            )
        }
        var signed = now
        try await change(name) { set in
            set.state = .deleting
            set.writerUntil = signed + Self.trust
            return true
        }
        var deleted = 0
        while true {
            var seen = 0
            // The view has each token's revision, so no document needs to be read for its end.
            try await pages(.setTokens, key: .string(name), includeDocuments: false, isRepeated: true) { rows in
                seen += rows.count
                try await staySigned(name, since: &signed)
                let tombstones = rows.compactMap { row -> Document? in
                    guard let id = row.id, let revision = row.value[1]?.stringValue else { return nil }
                    return Document(id: id, fields: ["_rev": .string(revision), "_deleted": true])
                }
                deleted += try await write(tombstones, doing: "deleting")
                progress?(SetProgress(phase: .deleting, done: deleted, total: max(counts.total, deleted)))
            }
            if seen == 0 { break }
        }
        // Another who was finishing the same deletion may have been faster.
        let id = TokenSet.documentID(name)
        while let revision = try await database.documentIfPresent(id)?.revision {
            do { try await database.delete(id, revision: revision) } catch CouchDBError.conflict { continue }
        }
        return deleted
    }
}
