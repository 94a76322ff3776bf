import CouchDB
import CouchDocument

/// Changes of held tokens on their way into the database, each on the revision of its claim, many in one request.
///
/// A value: answers in, what is to be sent next out. Where somebody else wrote meanwhile the token is read: still ours, so
/// the change is made on theirs and written again; already with our result, so an earlier answer was lost; or else
/// superseded. Each row stands for itself.
struct HeldWrites {
    let claims: [ClaimedToken]
    /// Whether it is a failure when too few copies took the write.
    private let mustBeSafe: Bool
    private let change: (ClaimedToken, inout Token) -> Void
    private var outcomes: [Result<SaveOutcome, any Error>?]
    /// What is sent next, or was sent and is not answered yet.
    private var pending: [(index: Int, token: Token)]
    /// Whose tokens somebody else changed.
    private var conflicting: [Int] = []

    /// Nothing sent yet.
    init(
        _ claims: [ClaimedToken], mustBeSafe: Bool = false, _ change: @escaping (ClaimedToken, inout Token) -> Void
    ) {
        self.claims = claims
        self.mustBeSafe = mustBeSafe
        self.change = change
        outcomes = Array(repeating: nil, count: claims.count)
        pending = claims.indices.map { ($0, claims[$0].token) }
    }

    /// Whether each has its outcome, or is to be read first.
    var hasNothingToSend: Bool { pending.isEmpty }
    /// The tokens to read, since somebody else changed them.
    var conflictingIDs: [String] { conflicting.map { claims[$0].token.id } }

    /// What became of each, in the order of the claims.
    var results: [(outcome: Result<SaveOutcome, any Error>, claim: ClaimedToken)] {
        zip(outcomes, claims).map { outcome, claim in
            let contended = PoolError(
                .contended, "writing token \"\(claim.token.id)\": others changed it each time; try again")
            return (outcome ?? .failure(contended), claim)
        }
    }

    /// The documents to send.
    mutating func documents() -> [Document] {
        for position in pending.indices { change(claims[pending[position].index], &pending[position].token) }
        return pending.map(\.token.document)
    }

    /// Takes in the answers, in the order of the documents.
    mutating func take(_ answers: [BulkOutcome]) {
        for ((index, token), answer) in zip(pending, answers) {
            switch answer {
            case .saved(let id, _, true) where mustBeSafe:
                outcomes[index] = .failure(
                    CouchDBError(
                        code: .serverError, reason: "too few nodes of the cluster took it",
                        attempted: "writing token \"\(id)\""))
            case .saved(_, let revision, _): outcomes[index] = .success(.saved(token.saved(as: revision)))
            case .failed(_, let error) where error.code == .conflict: conflicting.append(index)
            case .failed(_, let error): outcomes[index] = .failure(error)
            }
        }
        pending = []
    }

    /// Takes in the tokens of ``conflictingIDs`` as they stand now.
    mutating func take(current documents: [Document?]) {
        for (index, document) in zip(conflicting, documents) {
            let token = document.map(Token.init)
            if let token, claims[index].isHeld(in: token) {
                pending.append((index, token))
            } else if let token, claims[index].isFinished(in: token) {
                outcomes[index] = .success(.saved(token))
            } else {
                outcomes[index] = .success(.superseded(token))
            }
        }
        conflicting = []
    }

    /// Takes in that a request failed as a whole: of those that are under way nothing more is known.
    mutating func fail(_ error: any Error) {
        for index in pending.map(\.index) + conflicting { outcomes[index] = .failure(error) }
        pending = []
        conflicting = []
    }
}

extension Pool {
    /// Writes a change of each claim's token on the claim's revision, in one request; see ``HeldWrites``.
    ///
    /// - Parameter mustBeSafe: Whether it is a failure when too few copies took the write.
    /// - Throws: When the first request failed as a whole.
    func write(
        _ claims: [ClaimedToken], mustBeSafe: Bool = false, _ change: @escaping (ClaimedToken, inout Token) -> Void
    ) async throws -> [(outcome: Result<SaveOutcome, any Error>, claim: ClaimedToken)] {
        var writes = HeldWrites(claims, mustBeSafe: mustBeSafe, change)
        writes.take(try await database.bulkSave(writes.documents()))
        await complete(&writes)
        return writes.results
    }

    /// Brings writes to their end whose first request was answered.
    private func complete(_ writes: inout HeldWrites) async {
        for _ in 1..<Self.patience {
            do {
                let ids = writes.conflictingIDs
                if !ids.isEmpty { writes.take(current: try await database.documents(ids)) }
                if writes.hasNothingToSend { return }
                writes.take(try await database.bulkSave(writes.documents()))
            } catch {
                // What the first request brought is known; only the others are in doubt.
                return writes.fail(error)
            }
        }
    }

    /// Writes documents in one request, and the results that wait for one with them.
    ///
    /// - Returns: What became of the documents, in their order.
    func save(_ documents: [Document], taking riders: Riders?) async throws -> [BulkOutcome] {
        guard let riders else { return try await database.bulkSave(documents) }
        let results = await riders.board()
        guard !results.isEmpty else { return try await database.bulkSave(documents) }
        // Of two changes of one document in a request CouchDB takes one, and says so in no order.
        guard Set(documents.map(\.id)).isDisjoint(with: results.map(\.claim.token.id)) else {
            do { await riders.arrive(.success(try await finishEach(results))) } catch {
                await riders.arrive(.failure(error))
            }
            return try await database.bulkSave(documents)
        }
        var writes = HeldWrites(results.map(\.claim), Self.finishing(results))
        let answers: [BulkOutcome]
        do {
            answers = try await database.bulkSave(documents + writes.documents())
        } catch {
            await riders.arrive(.failure(error))
            // One of the results may be at fault, by its size for instance.
            if let error = error as? CouchDBError, !error.isUncertain, error.code != .cancelled {
                return try await database.bulkSave(documents)
            }
            throw error
        }
        writes.take(Array(answers.dropFirst(documents.count)))
        await complete(&writes)
        await riders.arrive(.success(writes.results.map(\.outcome)))
        return Array(answers.prefix(documents.count))
    }
}
