import GRDB
import Synchronization

/// The rows of a large answer after its first page, read as they are wanted, all from one snapshot of the index.
package final class ViewRowPages: Sendable {
    /// Rows of a page. Answers of no more are read at once and hold no snapshot.
    static let length = 1000

    private let snapshot: DatabaseSnapshot
    private let plan: ViewQueryPlan
    private let tree: ViewIndexFile.Tree
    private let reduceCount: Int
    /// Protects the ranks that are still to be read.
    private let left: Mutex<[Range<Int>]>

    init(
        _ snapshot: DatabaseSnapshot, plan: ViewQueryPlan, tree: ViewIndexFile.Tree, reduceCount: Int,
        ranks: [Range<Int>]
    ) {
        self.snapshot = snapshot
        self.plan = plan
        self.tree = tree
        self.reduceCount = reduceCount
        left = Mutex(ranks)
    }

    /// The next rows; `nil` when there are no more.
    package func next() async throws -> [ViewRow]? {
        let ranks = left.withLock { plan.take(Self.length, from: &$0) }
        if ranks.isEmpty { return nil }
        return try await snapshot.read { [plan, tree, reduceCount] database in
            // Nodes are not kept from page to page: a large answer has very many.
            let reader = TreeReader(
                root: tree.root, totalRows: tree.count, reduceCount: reduceCount,
                load: ViewIndexFile.Snapshot(database).node)
            return try ViewQueryRun(plan: plan, reader: reader).rows(ranks)
        }
    }
}

extension ViewQueryPlan {
    /// Takes the next so many ranks, in reading order, from those that are left.
    func take(_ limit: Int, from ranges: inout [Swift.Range<Int>]) -> [Swift.Range<Int>] {
        var taken: [Swift.Range<Int>] = []
        var wanted = limit
        while wanted > 0, let first = ranges.first {
            if first.count <= wanted {
                taken.append(first)
                ranges.removeFirst()
                wanted -= first.count
                continue
            }
            if descending {
                taken.append(first.upperBound - wanted..<first.upperBound)
                ranges[0] = first.lowerBound..<first.upperBound - wanted
            } else {
                taken.append(first.lowerBound..<first.lowerBound + wanted)
                ranges[0] = first.lowerBound + wanted..<first.upperBound
            }
            wanted = 0
        }
        return taken
    }
}
