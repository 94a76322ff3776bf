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
            let take: GroupTaking<[ViewRow]> = { run, left in
                try run.reduced(by: builtin, position: position, grouping, &left)
            }
            // A total is found at once; groups can be many.
            if case .none = grouping {
                let total = try await file.readShortly { try Self.groups(tree, plan, functions.count, $0, take) }
                return ViewResult(totalRows: nil, offset: nil, updateSequence: total.sequence, rows: total.taken)
            }
            return try await groups(tree, plan, functions.count, take) { $0 }
        case .javaScript(let function):
            return try await groups(
                tree, plan, functions.count,
                { run, left in try run.groups(function: function, position: position, grouping, &left) },
                finish: { try await self.reduce($0.groups, $0.calls, function) })
        }
    }

    /// Takes a page of groups off what is left of them.
    private typealias GroupTaking<Page> =
        @Sendable (ViewQueryRun, _ left: inout ViewQueryRun.GroupsLeft) throws -> Page

    private struct GroupPage<Page: Sendable>: Sendable {
        let taken: Page
        let left: ViewQueryRun.GroupsLeft
        let sequence: Int
    }

    /// Groups: at once when they are a page, else the first page and a snapshot for the rest.
    ///
    /// - Parameter finish: Makes rows of what was taken from the snapshot.
    private func groups<Page: Sendable>(
        _ tree: Int, _ plan: ViewQueryPlan, _ reduceCount: Int, _ take: @escaping GroupTaking<Page>,
        finish: @escaping @Sendable (Page) async throws -> [ViewRow]
    ) async throws -> ViewResult {
        let all = try await file.read { try Self.groups(tree, plan, reduceCount, $0, take) }
        if all.left.isEmpty {
            return ViewResult(
                totalRows: nil, offset: nil, updateSequence: all.sequence, rows: try await finish(all.taken))
        }
        let place = try LongRead.begin()
        let kept = try await file.makeSnapshot()
        let first = try await kept.read {
            try Self.groups(tree, plan, reduceCount, ViewIndexFile.Snapshot($0), take)
        }
        let rest = ViewRowPages(place, left: first.left) { left in
            if left.isEmpty { return nil }
            let page = try await kept.read { [left] in
                try Self.groups(tree, plan, reduceCount, ViewIndexFile.Snapshot($0), from: left, take)
            }
            left = page.left
            return try await finish(page.taken)
        }
        return ViewResult(
            totalRows: nil, offset: nil, updateSequence: first.sequence, rows: try await finish(first.taken), rest: rest
        )
    }

    /// - Parameter start: What is left; `nil`: all.
    private static func groups<Page>(
        _ tree: Int, _ plan: ViewQueryPlan, _ reduceCount: Int, _ snapshot: ViewIndexFile.Snapshot,
        from start: ViewQueryRun.GroupsLeft? = nil, _ take: GroupTaking<Page>
    ) throws -> GroupPage<Page> {
        let header = try snapshot.header()
        // Nodes are not kept from page to page: a large answer has very many.
        let run = ViewQueryRun(plan: plan, reader: reader(header.trees[tree], reduceCount, snapshot))
        var left = try start ?? run.groupsLeft()
        let taken = try take(run, &left)
        return GroupPage(taken: taken, left: left, sequence: header.sequence)
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
            let rest = ViewRowPages(place, left: ranks) { left in
                if left.isEmpty { return nil }
                let (rows, rest) = try await kept.read { [left] database in
                    let snapshot = ViewIndexFile.Snapshot(database)
                    let tree = try snapshot.header().trees[tree]
                    let run = ViewQueryRun(plan: plan, reader: Self.reader(tree, reduceCount, snapshot))
                    var rest = left
                    let page = try run.takePage(from: &rest)
                    return (try run.rows(page), rest)
                }
                left = rest
                return rows
            }
            return ViewResult(
                totalRows: header.trees[tree].count, offset: found.offset, updateSequence: header.sequence,
                rows: try run.rows(first), rest: rest)
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
