import GRDB
import Synchronization

/// The rows of a large answer after its first page, read as they are wanted, all from one snapshot of the index.
package final class ViewRowPages: Sendable {
    /// Rows of a page, and about how many bytes of them: a row that emits a whole document can be large. Answers of no
    /// more are read at once and hold no snapshot.
    static let length = 1000
    static let bytes = 1 << 20

    private let snapshot: DatabaseSnapshot
    private let place: LongRead
    private let plan: ViewQueryPlan
    private let tree: ViewIndexFile.Tree
    private let reduceCount: Int
    /// Protects the ranks that are still to be read.
    private let left: Mutex<[Range<Int>]>

    init(
        _ snapshot: DatabaseSnapshot, place: LongRead, plan: ViewQueryPlan, tree: ViewIndexFile.Tree, reduceCount: Int,
        ranks: [Range<Int>]
    ) {
        self.snapshot = snapshot
        self.place = place
        self.plan = plan
        self.tree = tree
        self.reduceCount = reduceCount
        left = Mutex(ranks)
    }

    /// The next rows; `nil` when there are no more. To be called by one reader, one page after the other.
    package func next() async throws -> [ViewRow]? {
        let ranks = left.withLock { $0 }
        if ranks.isEmpty { return nil }
        let (rows, rest) = try await snapshot.read { [plan, tree, reduceCount] database in
            // Nodes are not kept from page to page: a large answer has very many.
            let reader = TreeReader(
                root: tree.root, totalRows: tree.count, reduceCount: reduceCount,
                load: ViewIndexFile.Snapshot(database).node)
            let run = ViewQueryRun(plan: plan, reader: reader)
            var rest = ranks
            let page = try run.takePage(from: &rest)
            return (try run.rows(page), rest)
        }
        left.withLock { $0 = rest }
        return rows
    }
}

extension ViewQueryRun {
    /// Takes the ranks of the next page, in reading order, from those that are left.
    func takePage(from ranges: inout [Range<Int>]) throws -> [Range<Int>] {
        var taken: [Range<Int>] = []
        var rows = ViewRowPages.length
        var bytes = ViewRowPages.bytes
        while rows > 0, bytes > 0, let first = ranges.first {
            let most = min(first.count, rows)
            let window = plan.descending ? first.suffix(most) : first.prefix(most)
            let (count, size) = try reader.count(of: window, upTo: bytes, backwards: plan.descending)
            if plan.descending {
                taken.append(first.upperBound - count..<first.upperBound)
                ranges[0] = first.lowerBound..<first.upperBound - count
            } else {
                taken.append(first.lowerBound..<first.lowerBound + count)
                ranges[0] = first.lowerBound + count..<first.upperBound
            }
            if ranges[0].isEmpty { ranges.removeFirst() }
            rows -= count
            bytes -= size
            if count < most { break }
        }
        return taken
    }
}
