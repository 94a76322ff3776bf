import CouchDB
import CouchDocument

extension TokenSets {
    /// The set of that name.
    ///
    /// - Throws: ``PoolError`` when there is none.
    public func set(_ name: String) async throws -> TokenSet {
        let id = TokenSet.documentID(name)
        guard let set = try await database.documentIfPresent(id).flatMap(TokenSet.init) else {
            let others = try await names().filter { $0 != name }
            throw PoolError(
                .noSuchSet,
                "there is no set \"\(name)\" in database \"\(database.name)\"" + Spelling.hint(for: name, among: others)
            )
        }
        return set
    }

    private func names() async throws -> [String] {
        var query = ViewQuery(limit: 50)
        query.reduce = false
        return try await explained { try await database.view(.sets, query) }.rows.compactMap(\.key.stringValue)
    }

    /// All sets by name. Those that are still being created are only in it when asked for.
    public func list(includingUnfinished: Bool = false) async throws -> [TokenSet] {
        var query = ViewQuery()
        query.includeDocuments = true
        query.reduce = false
        return try await explained { try await database.view(.sets, query) }.rows
            .compactMap { $0.document.flatMap(TokenSet.init) }
            .filter { includingUnfinished || $0.state != .creating }
    }

    /// How many tokens of the set are in which state: one look into a reduced view, however large the set.
    public func counts(of name: String) async throws -> StateCounts {
        var query = ViewQuery(startKey: [.string(name)], endKey: [.string(name), [:]])
        query.groupLevel = 2
        var counts = StateCounts()
        for row in try await explained({ try await database.view(.setStates, query) }).rows {
            guard let state = row.key[1]?.stringValue.flatMap(TokenState.init), let count = row.value.intValue else {
                continue
            }
            counts[state] = count
        }
        return counts
    }

    /// The same for every set; tokens of no set are under the empty name.
    public func allCounts() async throws -> [String: StateCounts] {
        var query = ViewQuery()
        query.groupLevel = 2
        var result: [String: StateCounts] = [:]
        for row in try await explained({ try await database.view(.setStates, query) }).rows {
            guard let name = row.key[0]?.stringValue, let count = row.value.intValue,
                let state = row.key[1]?.stringValue.flatMap(TokenState.init)
            else { continue }
            result[name, default: StateCounts()][state] = count
        }
        return result
    }

    /// Says what to do when our views are missing.
    func explained<Value>(_ read: () async throws -> Value) async throws -> Value {
        do { return try await read() } catch CouchDBError.notFound {
            throw try await pool.missing("design document \"tokenpool\" is missing or old in")
        }
    }

    /// Pages of tokens of a view, each row with its document, beginning behind the last row of the page before. The next one
    /// is on its way while a page is used.
    ///
    /// - Parameter isRepeated: Whether the caller looks again until there is nothing left. Then the pages behind the first need
    ///   not know of what was written meanwhile, and the view need not be brought up to date for each.
    func pages(
        _ view: ViewName, key: JSON, size: Int = TokenSets.batchSize, includeDocuments: Bool = true,
        isRepeated: Bool = false, _ use: ([ViewRow]) async throws -> Void
    ) async throws {
        var query = ViewQuery(startKey: key, endKey: key)
        query.includeDocuments = includeDocuments ? true : nil
        query.reduce = false
        query.limit = size
        var rows = try await page(view, query)
        while !rows.isEmpty {
            // A row that left the view meanwhile is the one to skip no more: the next page begins at its successor.
            let last = rows.count == size ? rows.last?.id : nil
            query.startKeyDocumentID = last.map { $0 + "\u{0}" }
            if isRepeated { query.update = .never }
            let next = query
            async let following = last == nil ? [] : page(view, next)
            try await use(rows)
            rows = try await following
        }
    }

    private func page(_ view: ViewName, _ query: ViewQuery) async throws -> [ViewRow] {
        try await explained { try await database.view(view, query) }.rows
    }
}
