import CouchDB
import CouchDocument

/// Tokens of one type that are treated together: GRID_LRT's list, with one request for all where that made one a token.
///
/// A value: the tokens are as they were read. Saving writes each on the revision it was read at and tells of every one.
public struct TokenList: Sendable {
    /// The type that every token of the list has.
    public let type: String
    /// Where they are kept.
    public let database: Database
    /// The tokens, in order.
    public private(set) var tokens: [Token] = []
    private var positions: [String: Int] = [:]

    /// A list without tokens. Nothing is written.
    public init(type: String, database: Database) {
        self.type = type
        self.database = database
    }

    /// Adds a token.
    ///
    /// - Throws: ``PoolError/Code/badInput`` when it is of another type, or the list has one of its id.
    public mutating func append(_ token: Token) throws {
        guard token.type == type else {
            throw PoolError(
                .badInput, "token \"\(token.id)\" is of type \"\(token.type)\", the list of type \"\(type)\"")
        }
        guard positions[token.id] == nil else {
            throw PoolError(.badInput, "the list has a token \"\(token.id)\" already")
        }
        positions[token.id] = tokens.count
        tokens.append(token)
    }

    /// The token of an id.
    public subscript(id: String) -> Token? { positions[id].map { tokens[$0] } }

    /// Changes every token; ``save()`` writes them.
    public mutating func changeAll(_ change: (inout Token) throws -> Void) rethrows {
        for index in tokens.indices {
            let id = tokens[index].id
            try change(&tokens[index])
            precondition(tokens[index].id == id, "the id of a token in a list can not change")
        }
    }

    /// Sets a field of every token; ``save()`` writes them.
    public mutating func set(_ field: String, to value: JSON) { changeAll { $0[field] = value } }

    /// Adds a file to every token, to be sent with the next ``save()``.
    public mutating func attach(_ bytes: [UInt8], as name: String, contentType: String? = nil) {
        let content = JSON.inlineAttachment(bytes, type: contentType ?? MediaType.of(name))
        changeAll { $0.document.attachments[name] = content }
    }

    /// Puts every token back to todo; ``save()`` writes them. Attached files stay.
    public mutating func reset(at now: Timestamp) { changeAll { $0.reset(at: now) } }

    /// Writes all tokens in bulk.
    ///
    /// - Returns: The ids of tokens that somebody else changed since they were read: those are not written. ``fetch()``
    ///   brings their present state.
    /// - Throws: ``PoolError`` when a token is refused for another reason.
    @discardableResult
    public mutating func save() async throws -> [String] {
        var conflicts: [String] = []
        for start in stride(from: 0, to: tokens.count, by: TokenSets.batchSize) {
            let range = start..<min(tokens.count, start + TokenSets.batchSize)
            let outcomes = try await database.bulkSave(tokens[range].map(\.document))
            for (index, outcome) in zip(range, outcomes) {
                switch outcome {
                case .saved(_, let revision, _): tokens[index] = tokens[index].saved(as: revision)
                case .failed(let id, let error) where error.code == .conflict: conflicts.append(id)
                case .failed(let id, let error):
                    throw PoolError(.badInput, "saving token \"\(id)\" failed", cause: error.description)
                }
            }
        }
        return conflicts
    }

    /// Reads all tokens anew. Those that are no longer there leave the list.
    public mutating func fetch() async throws {
        var present: [Token] = []
        for start in stride(from: 0, to: tokens.count, by: TokenSets.batchSize) {
            let ids = tokens[start..<min(tokens.count, start + TokenSets.batchSize)].map(\.id)
            present += try await database.documents(ids).compactMap { $0.map(Token.init) }
        }
        replace(with: present)
    }

    /// Deletes all tokens in bulk, as they were read.
    ///
    /// - Returns: The ids of tokens that somebody else changed since: those stay, in the list too.
    @discardableResult
    public mutating func delete() async throws -> [String] {
        var kept: [Token] = []
        for start in stride(from: 0, to: tokens.count, by: TokenSets.batchSize) {
            let batch = tokens[start..<min(tokens.count, start + TokenSets.batchSize)].filter { $0.revision != nil }
            let outcomes = try await database.bulkSave(batch.map { SetCreation.tombstone($0.document) })
            for (token, outcome) in zip(batch, outcomes) {
                guard case .failed(let id, let error) = outcome else { continue }
                guard error.code == .conflict else {
                    throw PoolError(.badInput, "deleting token \"\(id)\" failed", cause: error.description)
                }
                kept.append(token)
            }
        }
        replace(with: kept)
        return kept.map(\.id)
    }

    private mutating func replace(with tokens: [Token]) {
        self.tokens = tokens
        positions = Dictionary(tokens.enumerated().map { ($1.id, $0) }) { first, _ in first }
    }

    // MARK: Views

    /// Writes views into the design document of the type's name, all at once; others in it stay.
    public func add(_ views: [any TokenViewing]) async throws {
        for _ in 0..<10 {
            var design = try await database.designDocument(type) ?? DesignDocument(name: type)
            for view in views { design.views[view.name] = view.functions(forType: type) }
            do {
                try await database.push(design)
                return
            } catch CouchDBError.conflict { continue }
        }
        throw PoolError(.contended, "writing views of \"\(type)\": others changed them each time; try again")
    }

    /// Writes GRID_LRT's views by state and its overview.
    public func addTokenViews() async throws { try await add(TokenView.ofStates + [TokenReduceView()]) }

    /// The tokens that a view of the type lists, with their documents, in one request.
    public func tokens(in view: String) async throws -> TokenList {
        var query = ViewQuery()
        query.includeDocuments = true
        query.reduce = false
        let page: ViewPage
        do { page = try await database.view(ViewName(design: type, view: view), query) } catch CouchDBError.notFound {
            throw PoolError(.noSuchView, "there is no view \"\(type)/\(view)\" in database \"\(database.name)\"")
        }
        var list = TokenList(type: type, database: database)
        list.replace(with: page.rows.compactMap { $0.document.map(Token.init) })
        return list
    }
}
