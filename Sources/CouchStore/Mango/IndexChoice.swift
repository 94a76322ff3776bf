import CouchDocument

/// Which index answers a query, and why it is that one; CouchDB's choice (mango_idx, mango_cursor).
struct IndexChoice: Sendable {
    /// Why an index does not answer.
    enum Rejection: String, Sendable {
        case isPartial = "is_partial"
        case scopeMismatch = "scope_mismatch"
        case fieldMismatch = "field_mismatch"
        case sortOrderMismatch = "sort_order_mismatch"
        case needsTextSearch = "needs_text_search"
        case excludedByUser = "excluded_by_user"
        case unfavoredType = "unfavored_type"
        case lessOverlap = "less_overlap"
        case tooManyFields = "too_many_fields"
        case alphabeticallyComesAfter = "alphabetically_comes_after"
    }

    /// An index that was not taken.
    struct Loser: Sendable {
        let index: MangoIndex
        let reason: Rejection
        let isUsable: Bool
        let ranking: Int
    }

    /// An index that could answer, with the ranges of its first columns.
    private struct Candidate {
        let index: MangoIndex
        let ranges: [FieldRange]
        /// How many of the query's ranges the index does not help with.
        let distance: Int
    }

    let index: MangoIndex
    /// Of the index' first columns, as many as the query narrows down one after the other.
    let ranges: [FieldRange]
    let losers: [Loser]

    /// - Throws: 400 `no_usable_index` or `invalid_index`.
    init(_ query: FindQuery, among all: [MangoIndex], isPartitioned: Bool) throws(StoreError) {
        let isNamed = { (index: MangoIndex) in query.useIndex?.means(index) ?? false }
        let global = all.filter { $0.partialFilter == nil || isNamed($0) }
        let inScope = global.filter { $0.design == nil || $0.isPartitioned == (query.partition != nil) }
        let mismatches = inScope.map { $0.mismatch(query) }
        let usable = zip(inScope, mismatches).filter { $1 == nil }.map(\.0)
        if usable.isEmpty { throw Self.noIndex(query, isPartitioned: isPartitioned) }
        var considered = usable.filter(isNamed)
        if considered.isEmpty {
            if let name = query.useIndex, !query.allowsFallback { throw Self.unsuitable(name) }
            if query.useIndex == nil && !query.allowsFallback && usable.count < 2 {
                throw .find("invalid_index", "You must specify an index with the `use_index` parameter.")
            }
            considered = usable
        }
        // An index of fields goes before that of the ids.
        let json = considered.filter { $0.design != nil }
        let favoured = json.isEmpty ? considered : json
        let found = query.selector.ranges
        let ranked = favoured.map { Self.candidate($0, found) }.sorted(by: Self.precedes)
        let winner = ranked[0]
        index = winner.index
        ranges = winner.ranges

        var losers: [Loser] = []
        for (rank, candidate) in ranked.enumerated().dropFirst() {
            let reason: Rejection =
                candidate.distance > winner.distance
                ? .lessOverlap
                : candidate.index.columns.count > winner.index.columns.count
                    ? .tooManyFields : .alphabeticallyComesAfter
            losers.append(Loser(index: candidate.index, reason: reason, isUsable: true, ranking: rank))
        }
        var ranking = max(1, ranked.count)
        func lose(_ indexes: [(MangoIndex, Rejection)], isUsable: Bool) {
            if indexes.isEmpty { return }
            for (index, reason) in indexes {
                losers.append(Loser(index: index, reason: reason, isUsable: isUsable, ranking: ranking))
            }
            ranking += 1
        }
        func without(_ indexes: [MangoIndex], _ others: [MangoIndex], _ reason: Rejection) -> [(MangoIndex, Rejection)]
        {
            indexes.filter { index in !others.contains { $0.isSame(as: index) } }.map { ($0, reason) }
        }
        lose(without(considered, favoured, .unfavoredType), isUsable: true)
        lose(without(usable, considered, .excludedByUser), isUsable: true)
        lose(zip(inScope, mismatches).compactMap { index, reason in reason.map { (index, $0) } }, isUsable: false)
        lose(without(global, inScope, .scopeMismatch), isUsable: false)
        lose(without(all, global, .isPartial), isUsable: false)
        self.losers = losers
    }

    private static func candidate(_ index: MangoIndex, _ found: [(field: FieldPath, range: FieldRange)]) -> Candidate {
        var ranges: [FieldRange] = []
        for column in index.columns {
            guard let range = found.first(where: { $0.field == column })?.range else { break }
            ranges.append(range)
        }
        return Candidate(index: index, ranges: ranges, distance: found.count - ranges.count)
    }

    /// The index that helps with most ranges, has fewest fields, comes first by name.
    private static func precedes(_ left: Candidate, _ right: Candidate) -> Bool {
        if left.distance != right.distance { return left.distance < right.distance }
        if left.index.columns.count != right.index.columns.count {
            return left.index.columns.count < right.index.columns.count
        }
        return MangoIndex.precedes(left.index, right.index)
    }

    private static func noIndex(_ query: FindQuery, isPartitioned: Bool) -> StoreError {
        let kind = !isPartitioned ? "" : query.partition == nil ? "global " : "partitioned "
        return .find("no_usable_index", "No \(kind)index exists for this sort, try indexing by the sort fields.")
    }

    private static func unsuitable(_ name: FindQuery.IndexName) -> StoreError {
        .find("invalid_index", "\(name.text) specified by `use_index` could not be found or it is not suitable.")
    }

    /// Whether no document can match.
    var isEmpty: Bool { ranges.contains(where: \.isEmpty) }

    /// What the answer says of the choice.
    func warnings(_ query: FindQuery) -> [String] {
        var warnings: [String] = []
        if let name = query.useIndex, !name.means(index) {
            let fault =
                name.name == nil ? "it does not contain a valid index" : "it is not a valid index"
            warnings.append("\(name.text) was not used because \(fault) for this query.")
        }
        if index.design == nil {
            warnings.append("No matching index found, create an index to optimize query time.")
        }
        return warnings
    }
}

extension FindQuery.IndexName {
    func means(_ index: MangoIndex) -> Bool {
        index.designID == "_design/" + design && (name == nil || name == index.name)
    }

    /// As CouchDB names it to people.
    fileprivate var text: String { "_design/\(design)" + (name.map { ", \($0)" } ?? "") }
}

extension MangoIndex {
    /// Why the index can not answer a query; `nil` when it can.
    fileprivate func mismatch(_ query: FindQuery) -> IndexChoice.Rejection? {
        let sort = query.sort.fields
        if design == nil {
            if sort.isEmpty { return nil }
            if !query.selector.ranges.contains(where: { $0.field == columns[0] }) { return .fieldMismatch }
            return columns.starts(with: sort) ? nil : .sortOrderMismatch
        }
        if query.selector.isTextSearch { return .needsTextSearch }
        // A document without one of the fields is not in the index, so every match must have them all. Documents without
        // a field that is sorted by are left out of the answer.
        let ids: Set = [FieldPath(names: ["_id"]), FieldPath(names: ["_rev"])]
        let required = Set(columns).subtracting(sort).subtracting(ids)
        if !query.selector.missing(required).isEmpty { return .fieldMismatch }
        return canSort(by: sort, query.selector) ? nil : .sortOrderMismatch
    }

    /// Whether the rows come in the order of these fields: those before them must have one value only.
    private func canSort(by fields: [FieldPath], _ selector: Selector) -> Bool {
        guard let first = fields.first else { return true }
        for (position, column) in columns.enumerated() {
            if column == first { return columns[position...].starts(with: fields) }
            if !selector.isConstant(column) { return false }
        }
        return false
    }
}

extension Selector {
    fileprivate var isTextSearch: Bool {
        switch self {
        case .text: true
        case .all(let parts), .any(let parts): parts.contains(where: \.isTextSearch)
        case .everything, .field: false
        }
    }
}
