/// Changes a row tree: all changes of a batch in one pass down and up.
///
/// Only the nodes on the way to changed rows are read. The new nodes are built first, then reduced level by level (so that
/// JavaScript is called a few times for a batch, not once a node), then written.
final class TreeWriter {
    /// Where nodes are kept.
    struct Storage {
        let load: (Int) throws -> [UInt8]
        let save: (Int, [UInt8]) throws -> Void
        let delete: (Int) throws -> Void
        let nextID: () -> Int
    }

    // A node and its row in the table fill at most one page of 4096 bytes of SQLite.
    static let maximumSize = 4000
    // New nodes are not filled to the brim, so that the next rows do not split them at once.
    static let fillSize = 3200
    static let maximumChildren = 64

    /// A node that is new or changed.
    private final class Built {
        let height: Int
        /// Id of the stored node whose place it takes.
        var id: Int?
        var leafBytes: [UInt8] = []
        var children: [Branch] = []
        var count = 0
        var size = 0
        var first: ArraySlice<UInt8> = []
        var reductions: [ArraySlice<UInt8>] = []
        init(height: Int) { self.height = height }
    }

    private enum Branch {
        case kept(TreeNode.Child)
        case built(Built)

        var first: ArraySlice<UInt8> {
            switch self {
            case .kept(let child): child.first
            case .built(let node): node.first
            }
        }
        var count: Int {
            switch self {
            case .kept(let child): child.count
            case .built(let node): node.count
            }
        }
        var size: Int {
            switch self {
            case .kept(let child): child.size
            case .built(let node): node.size
            }
        }
    }

    private let storage: Storage
    private let reductions: TreeReductions
    private var levels: [[Built]] = []
    private var freed: [Int] = []

    init(storage: Storage, reductions: TreeReductions) {
        self.storage = storage
        self.reductions = reductions
    }

    /// Applies sorted changes to the tree with that root and answers the new tree.
    func apply(_ changes: RowChanges, root: Int) throws -> ViewIndexFile.Tree {
        guard !changes.isEmpty else { preconditionFailure("no changes to apply") }
        levels = []
        freed = []
        var top = try modify(root, changes, changes.items[...])
        var height = try topHeight(top)
        while top.count > 1 {
            height += 1
            top = inner(top, height: height, id: nil)
        }
        let newRoot = try finish(top.first)
        for id in freed { try storage.delete(id) }
        return ViewIndexFile.Tree(root: newRoot, count: top.first?.count ?? 0, size: top.first?.size ?? 0)
    }

    private func topHeight(_ branches: [Branch]) throws -> Int {
        switch branches.first {
        case .built(let node): node.height
        case .kept(let child): try node(child.id).height
        case nil: 0
        }
    }

    private func node(_ id: Int) throws -> TreeNode {
        TreeNode(try storage.load(id), reduceCount: reductions.functions.count)
    }

    private func modify(_ id: Int, _ changes: RowChanges, _ items: ArraySlice<RowChanges.Item>) throws -> [Branch] {
        let node = try node(id)
        if node.height == 0 { return leaves(node, id: id, changes, items) }
        var branches: [Branch] = []
        var rest = items
        for (index, child) in node.children.enumerated() {
            var end = rest.endIndex
            if index + 1 < node.children.count {
                end = partition(rest, changes, before: node.children[index + 1].first)
            }
            let own = rest[rest.startIndex..<end]
            rest = rest[end...]
            if own.isEmpty { branches.append(.kept(child)) } else { branches += try modify(child.id, changes, own) }
        }
        if node.height == 1 { branches = try joinSmallLeaves(branches) }
        return inner(branches, height: node.height, id: id)
    }

    /// The end of the items that stand before a position.
    private func partition(
        _ items: ArraySlice<RowChanges.Item>, _ changes: RowChanges, before first: ArraySlice<UInt8>
    ) -> Int {
        first.withUnsafeBufferPointer { first in
            changes.bytes.withUnsafeBufferPointer { buffer in
                var low = items.startIndex
                var high = items.endIndex
                while low < high {
                    let middle = (low + high) / 2
                    let position = UnsafeBufferPointer(rebasing: buffer[items[middle].position])
                    if compareBytes(position, first) < 0 { low = middle + 1 } else { high = middle }
                }
                return low
            }
        }
    }

    /// The rows of a leaf with the changes in them, cut into as many leaves as needed.
    private func leaves(
        _ node: TreeNode, id: Int?, _ changes: RowChanges, _ items: ArraySlice<RowChanges.Item>
    ) -> [Branch] {
        var merged: [UInt8] = []
        merged.reserveCapacity(node.bytes.count + items.reduce(0) { $0 + $1.row.count })
        var ends: [Int] = []
        node.bytes.withUnsafeBufferPointer { old in
            changes.bytes.withUnsafeBufferPointer { new in
                var index = 0
                var item = items.startIndex
                while index < node.rows.count || item < items.endIndex {
                    var order = 0
                    if index == node.rows.count {
                        order = 1
                    } else if item == items.endIndex {
                        order = -1
                    } else {
                        order = compareBytes(
                            UnsafeBufferPointer(rebasing: old[node.rows[index].position]),
                            UnsafeBufferPointer(rebasing: new[items[item].position]))
                    }
                    if order < 0 {
                        merged.append(contentsOf: old[node.rows[index].start..<node.rows[index].end])
                        ends.append(merged.count)
                        index += 1
                    } else {
                        if order == 0 { index += 1 }
                        if !items[item].isRemoval {
                            merged.append(contentsOf: new[items[item].row])
                            ends.append(merged.count)
                        }
                        item += 1
                    }
                }
            }
        }
        return cut(merged, ends: ends, id: id)
    }

    private func cut(_ rows: [UInt8], ends: [Int], id: Int?) -> [Branch] {
        guard !ends.isEmpty else {
            if let id { freed.append(id) }
            return []
        }
        let pieces = rows.count <= Self.maximumSize ? 1 : (rows.count + Self.fillSize - 1) / Self.fillSize
        let share = rows.count / pieces
        var branches: [Branch] = []
        var start = 0
        var startRow = 0
        for (index, end) in ends.enumerated() where index == ends.count - 1 || end - start >= share {
            let leaf = Built(height: 0)
            leaf.leafBytes = [0] + rows[start..<end]
            leaf.count = index + 1 - startRow
            leaf.size = end - start
            leaf.first = firstPosition(leaf.leafBytes)
            branches.append(.built(leaf))
            start = end
            startRow = index + 1
        }
        if let id, case .built(let leaf) = branches[0] { leaf.id = id }
        return branches
    }

    private func firstPosition(_ leaf: [UInt8]) -> ArraySlice<UInt8> {
        let range = leaf.withUnsafeBufferPointer { buffer in
            var reader = ByteReader(buffer)
            reader.position = 1
            return TreeNode.row(&reader).position
        }
        return leaf[range]
    }

    /// Joins leaves that became small with their neighbours, so that a view whose rows come and go stays dense.
    private func joinSmallLeaves(_ branches: [Branch]) throws -> [Branch] {
        var result: [Branch] = []
        for branch in branches {
            guard let last = result.last, isSmall(last) || isSmall(branch), last.size + branch.size < Self.fillSize,
                isBuilt(last) || isBuilt(branch)
            else {
                result.append(branch)
                continue
            }
            let left = try open(last)
            let right = try open(branch)
            let joined = Built(height: 0)
            joined.id = left.id
            if let id = right.id { freed.append(id) }
            joined.leafBytes = left.leafBytes + right.leafBytes.dropFirst()
            joined.count = left.count + right.count
            joined.size = left.size + right.size
            joined.first = left.first
            result[result.count - 1] = .built(joined)
        }
        return result
    }

    private func isBuilt(_ branch: Branch) -> Bool { if case .built = branch { true } else { false } }
    private func isSmall(_ branch: Branch) -> Bool { isBuilt(branch) && branch.size < Self.maximumSize / 4 }

    private func open(_ branch: Branch) throws -> Built {
        switch branch {
        case .built(let node): return node
        case .kept(let child):
            let node = Built(height: 0)
            node.id = child.id
            node.leafBytes = try storage.load(child.id)
            node.count = child.count
            node.size = child.size
            node.first = child.first
            return node
        }
    }

    private func inner(_ branches: [Branch], height: Int, id: Int?) -> [Branch] {
        guard !branches.isEmpty else {
            if let id { freed.append(id) }
            return []
        }
        var result: [Branch] = []
        for group in TreeNode.groups(branches.map(\.first.count)) {
            let node = Built(height: height)
            node.children = Array(branches[group])
            node.count = node.children.reduce(0) { $0 + $1.count }
            node.size = node.children.reduce(0) { $0 + $1.size }
            node.first = branches[group.lowerBound].first
            if group.lowerBound == 0 { node.id = id }
            result.append(.built(node))
        }
        return result
    }

    /// Reduces and stores what was built and answers the id of the root.
    private func finish(_ root: Branch?) throws -> Int {
        guard let root else { return 0 }
        guard case .built(var top) = root else {
            if case .kept(let child) = root { return child.id }
            return 0
        }
        // A root with one child is no root.
        while top.children.count == 1 {
            if let id = top.id { freed.append(id) }
            switch top.children[0] {
            case .built(let node): top = node
            case .kept(let child): return child.id
            }
        }
        collect(top)
        for (height, nodes) in levels.enumerated() {
            for node in nodes where node.id == nil { node.id = storage.nextID() }
            if height == 0 {
                let count = reductions.functions.count
                let reduced = try reductions.reduce(
                    leaves: count == 0 ? [] : nodes.map { TreeNode($0.leafBytes, reduceCount: 0) })
                for (index, node) in nodes.enumerated() {
                    node.reductions = count == 0 ? [] : reduced[index]
                    try storage.save(node.id!, node.leafBytes)
                }
            } else {
                let children = nodes.map { node in node.children.map(child) }
                let merged = try reductions.merge(nodes: children)
                for (index, node) in nodes.enumerated() {
                    node.reductions = merged[index]
                    try storage.save(node.id!, TreeNode.encode(height: height, children: children[index]))
                }
            }
        }
        return top.id!
    }

    private func child(_ branch: Branch) -> TreeNode.Child {
        switch branch {
        case .kept(let child): child
        case .built(let node):
            TreeNode.Child(
                id: node.id!, count: node.count, size: node.size, first: node.first, reductions: node.reductions)
        }
    }

    private func collect(_ node: Built) {
        while levels.count <= node.height { levels.append([]) }
        levels[node.height].append(node)
        for case .built(let child) in node.children { collect(child) }
    }
}
