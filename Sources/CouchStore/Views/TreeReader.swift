import GRDB

/// Reads a row tree within one snapshot of the index.
///
/// Rows are addressed by rank, their number from the beginning: a range of keys becomes a range of ranks with two paths
/// down the tree, and then limits, skips, offsets and directions are arithmetic.
final class TreeReader {
    // About 7 MB of rows.
    private static let mostNodes = 1024

    private let load: (Int) throws -> [UInt8]
    private let reduceCount: Int
    private let root: Int
    private var nodes: [Int: TreeNode] = [:]
    let totalRows: Int

    init(root: Int, totalRows: Int, reduceCount: Int, load: @escaping (Int) throws -> [UInt8]) {
        self.root = root
        self.totalRows = totalRows
        self.reduceCount = reduceCount
        self.load = load
    }

    private func node(_ id: Int) throws -> TreeNode {
        if let known = nodes[id] { return known }
        let node = TreeNode(try load(id), reduceCount: reduceCount)
        // Reads go from left to right: what was read long ago is not needed again.
        if nodes.count >= Self.mostNodes { nodes.removeAll(keepingCapacity: true) }
        nodes[id] = node
        return node
    }

    /// How many rows stand before a position.
    func rank(of position: [UInt8]) throws -> Int {
        guard root != 0 else { return 0 }
        return try position.withUnsafeBufferPointer { position in
            var rank = 0
            var current = try node(root)
            while current.height > 0 {
                let index = current.childIndex(for: position)
                for child in current.children[..<index] { rank += child.count }
                current = try node(current.children[index].id)
            }
            return rank + current.rowCount(before: position)
        }
    }

    /// The row of a rank that exists.
    func row(at rank: Int) throws -> TreeRow {
        var rank = rank
        var current = try node(root)
        while current.height > 0 {
            var index = 0
            while rank >= current.children[index].count {
                rank -= current.children[index].count
                index += 1
            }
            current = try node(current.children[index].id)
        }
        return TreeRow(node: current, row: current.rows[rank])
    }

    /// The value of the row at a position; `nil` when there is none.
    func value(at position: [UInt8]) throws -> ArraySlice<UInt8>? {
        guard root != 0 else { return nil }
        return try position.withUnsafeBufferPointer { position in
            var current = try node(root)
            while current.height > 0 { current = try node(current.children[current.childIndex(for: position)].id) }
            let index = current.rowCount(before: position)
            guard index < current.count else { return nil }
            let row = current.rows[index]
            let isEqual = current.bytes.withUnsafeBufferPointer { bytes in
                compareBytes(UnsafeBufferPointer(rebasing: bytes[row.position]), position) == 0
            }
            return isEqual ? current.bytes[row.value] : nil
        }
    }

    /// The rows of a range of ranks, in order.
    func rows(_ ranks: Range<Int>) throws -> [TreeRow] {
        var result: [TreeRow] = []
        guard !ranks.isEmpty else { return result }
        result.reserveCapacity(ranks.count)
        try visit(root, start: 0, ranks, whole: { _ in false }) { leaf, rows in
            for row in leaf.rows[rows] { result.append(TreeRow(node: leaf, row: row)) }
        }
        return result
    }

    /// How many rows of a range, from its beginning or from its end, have no more than so many bytes together; one at
    /// least. Leaves that fit whole are not read.
    func count(of ranks: Range<Int>, upTo bytes: Int, backwards: Bool) throws -> (rows: Int, bytes: Int) {
        var taken = (rows: 0, bytes: 0)
        guard !ranks.isEmpty else { return taken }
        _ = try add(root, start: 0, ranks, upTo: bytes, backwards, to: &taken)
        return taken
    }

    /// - Returns: Whether there is room for more.
    private func add(
        _ id: Int, start: Int, _ ranks: Range<Int>, upTo bytes: Int, _ backwards: Bool,
        to taken: inout (rows: Int, bytes: Int)
    ) throws -> Bool {
        func take(_ rows: Int, _ size: Int) -> Bool {
            guard taken.rows == 0 || taken.bytes + size <= bytes else { return false }
            taken.rows += rows
            taken.bytes += size
            return true
        }
        let node = try node(id)
        if node.height == 0 {
            let rows = node.rows[max(0, ranks.lowerBound - start)..<min(node.count, ranks.upperBound - start)]
            func takeAll(_ rows: some Sequence<TreeNode.Row>) -> Bool { rows.allSatisfy { take(1, $0.end - $0.start) } }
            return backwards ? takeAll(rows.reversed()) : takeAll(rows)
        }
        var starts: [Int] = []
        var end = start
        for child in node.children {
            starts.append(end)
            end += child.count
        }
        for index in backwards ? Array(node.children.indices.reversed()) : Array(node.children.indices) {
            let child = node.children[index]
            let range = starts[index]..<starts[index] + child.count
            guard range.overlaps(ranks) else { continue }
            let isWhole = ranks.lowerBound <= range.lowerBound && range.upperBound <= ranks.upperBound
            if isWhole && child.size <= bytes - taken.bytes && take(child.count, child.size) { continue }
            if try !add(child.id, start: range.lowerBound, ranks, upTo: bytes, backwards, to: &taken) { return false }
        }
        return true
    }

    /// A range of ranks as reductions that are kept and rows that no kept reduction covers, from left to right.
    func parts(_ ranks: Range<Int>, reduce: Int) throws -> [ReducePart] {
        var result: [ReducePart] = []
        guard !ranks.isEmpty else { return result }
        try visit(
            root, start: 0, ranks,
            whole: { child in
                result.append(.kept(child.reductions[reduce]))
                return true
            },
            rows: { leaf, rows in result.append(.rows(leaf, rows)) })
        return result
    }

    /// Walks over the leaves in a range. `whole` is asked about each child that lies within it entirely; `true` means
    /// that nothing below has to be seen.
    private func visit(
        _ id: Int, start: Int, _ ranks: Range<Int>, whole: (TreeNode.Child) -> Bool,
        rows: (TreeNode, Range<Int>) -> Void
    ) throws {
        let node = try node(id)
        if node.height == 0 {
            rows(node, max(0, ranks.lowerBound - start)..<min(node.count, ranks.upperBound - start))
            return
        }
        var position = start
        for child in node.children {
            let end = position + child.count
            if end > ranks.lowerBound && position < ranks.upperBound {
                let isInside = position >= ranks.lowerBound && end <= ranks.upperBound
                if !(isInside && whole(child)) {
                    try visit(child.id, start: position, ranks, whole: whole, rows: rows)
                }
            }
            position = end
            if position >= ranks.upperBound { return }
        }
    }
}

/// A piece of a range that is to be reduced.
enum ReducePart {
    /// What all rows below a child reduce to.
    case kept(ArraySlice<UInt8>)
    /// Rows of a leaf.
    case rows(TreeNode, Range<Int>)
}
