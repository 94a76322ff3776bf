import CouchDocument
import GRDB

// Answers from the rows that are committed.
extension ViewIndex {
    /// Rows that are read in passing.
    private static let fewRows = 128

    /// Answers a query from the rows that are committed.
    func read(_ place: ViewDefinitions.Place, _ plan: ViewQueryPlan) async throws -> ViewResult {
        let functions = definitions.reduces[place.rows]
        let tree = place.rows + 1
        guard case .reduced(let grouping) = plan.output, let position = place.reduce else {
            return try await rows(tree, plan, reduceCount: functions.count)
        }
        switch functions[position] {
        case .builtin(let builtin):
            // Groups can be many; a total is found at once.
            let read = { @Sendable (snapshot: ViewIndexFile.Snapshot) throws -> ViewResult in
                let header = try snapshot.header()
                let reader = Self.reader(header.trees[tree], functions.count, snapshot)
                let rows = try ViewQueryRun(plan: plan, reader: reader).reduced(
                    by: builtin, position: position, grouping)
                return ViewResult(totalRows: nil, offset: nil, updateSequence: header.sequence, rows: rows)
            }
            if case .none = grouping { return try await file.readShortly(read) }
            return try await file.read(read)
        case .javaScript(let function):
            let (groups, calls, sequence) = try await file.read { snapshot in
                let header = try snapshot.header()
                let reader = Self.reader(header.trees[tree], functions.count, snapshot)
                let found = try ViewQueryRun(plan: plan, reader: reader).groups(
                    function: function, position: position, grouping)
                return (found.groups, found.calls, header.sequence)
            }
            let rows = groups.isEmpty ? [] : try await reduce(groups, calls, function)
            return ViewResult(totalRows: nil, offset: nil, updateSequence: sequence, rows: rows)
        }
    }

    /// Rows that are not reduced: at once when they are few, else the first page and a snapshot for the rest.
    private func rows(_ tree: Int, _ plan: ViewQueryPlan, reduceCount: Int) async throws -> ViewResult {
        if plan.ranges.count <= Self.fewRows,
            let few = try await file.readShortly({ try Self.few(Self.fewRows, tree, plan, reduceCount, $0) })
        {
            return few
        }
        if let page = try await file.read({ try Self.few(.max, tree, plan, reduceCount, $0) }) {
            return page
        }
        let place = try LongRead.begin()
        let kept = try await file.makeSnapshot()
        return try await kept.read { database in
            let snapshot = ViewIndexFile.Snapshot(database)
            let header = try snapshot.header()
            let run = ViewQueryRun(plan: plan, reader: Self.reader(header.trees[tree], reduceCount, snapshot))
            let found = try run.ranks()
            var ranks = found.ranks
            let first = try run.takePage(from: &ranks)
            return ViewResult(
                totalRows: header.trees[tree].count, offset: found.offset, updateSequence: header.sequence,
                rows: try run.rows(first),
                rest: ViewRowPages(
                    kept, place: place, plan: plan, tree: header.trees[tree], reduceCount: reduceCount, ranks: ranks))
        }
    }

    /// All rows of an answer; `nil` when they are more than `most`, or more than a page.
    private static func few(
        _ most: Int, _ tree: Int, _ plan: ViewQueryPlan, _ reduceCount: Int, _ snapshot: ViewIndexFile.Snapshot
    ) throws -> ViewResult? {
        let header = try snapshot.header()
        let run = ViewQueryRun(plan: plan, reader: reader(header.trees[tree], reduceCount, snapshot))
        var (offset, ranks) = try run.ranks()
        guard ranks.reduce(0, { $0 + $1.count }) <= most else { return nil }
        let page = try run.takePage(from: &ranks)
        guard ranks.isEmpty else { return nil }
        return ViewResult(
            totalRows: header.trees[tree].count, offset: offset, updateSequence: header.sequence,
            rows: try run.rows(page))
    }

    private static func reader(
        _ tree: ViewIndexFile.Tree, _ reduceCount: Int, _ snapshot: ViewIndexFile.Snapshot
    ) -> TreeReader {
        TreeReader(root: tree.root, totalRows: tree.count, reduceCount: reduceCount, load: snapshot.node)
    }

    /// The values of groups. The last call is a rereduce even of one piece, as CouchDB's coordinator does it.
    private func reduce(_ groups: [ViewQueryRun.Group], _ calls: ReduceCalls, _ function: Int) async throws -> [ViewRow]
    {
        try await thread.run { engine in
            let results = try engine.run(calls)
            var finals = ReduceCalls()
            for group in groups {
                finals.rereduce(
                    function,
                    group.pieces.map { piece in
                        switch piece {
                        case .kept(let bytes): bytes[...]
                        case .call(let index): results[index][...]
                        }
                    })
            }
            let values = try engine.run(finals)
            return zip(groups, values).map { ViewRow(id: nil, key: $0.key[...], value: $1[...]) }
        }
    }
}
