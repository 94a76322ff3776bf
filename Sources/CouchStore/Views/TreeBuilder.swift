/// Builds a row tree from rows that come in order, from its leaves up, and writes every node once.
struct TreeBuilder {
    /// Leaves that are reduced and written together.
    private static let batch = 128

    private let save: ([(id: Int, body: [UInt8])]) throws -> Void
    private let reductions: TreeReductions
    /// The id of the next node.
    private(set) var nextID: Int
    private var leaf: [UInt8] = [0]
    private var leaves: [[UInt8]] = []
    private var children: [TreeNode.Child] = []

    init(nextID: Int, reductions: TreeReductions, save: @escaping ([(id: Int, body: [UInt8])]) throws -> Void) {
        self.nextID = nextID
        self.reductions = reductions
        self.save = save
    }

    /// Adds a row as a leaf holds it, after all that were added.
    mutating func add(_ row: UnsafeBufferPointer<UInt8>) throws {
        if leaf.count > 1 && leaf.count + row.count > TreeWriter.fillSize {
            leaves.append(leaf)
            leaf.removeAll(keepingCapacity: true)
            leaf.append(0)
            if leaves.count >= Self.batch { try writeLeaves() }
        }
        leaf.append(contentsOf: row)
    }

    /// Writes what is left and answers the whole tree.
    mutating func finish() throws -> ViewIndexFile.Tree {
        if leaf.count > 1 { leaves.append(leaf) }
        try writeLeaves()
        var height = 0
        while children.count > 1 {
            height += 1
            try writeLevel(height)
        }
        guard let root = children.first else { return ViewIndexFile.Tree() }
        return ViewIndexFile.Tree(root: root.id, count: root.count, size: root.size)
    }

    private mutating func writeLeaves() throws {
        if leaves.isEmpty { return }
        let nodes = leaves.map { TreeNode($0, reduceCount: 0) }
        let reduced = try reductions.reduce(leaves: nodes)
        var written: [(id: Int, body: [UInt8])] = []
        for (node, reductions) in zip(nodes, reduced) {
            guard let first = node.rows.first else { continue }
            written.append((nextID, node.bytes))
            children.append(
                TreeNode.Child(
                    id: nextID, count: node.count, size: node.bytes.count - 1,
                    // A copy, which does not keep the leaf in memory.
                    first: Array(node.bytes[first.position])[...], reductions: reductions))
            nextID += 1
        }
        leaves.removeAll(keepingCapacity: true)
        try save(written)
    }

    private mutating func writeLevel(_ height: Int) throws {
        let groups = TreeNode.groups(children.map(\.first.count)).map { Array(children[$0]) }
        let reduced = try reductions.merge(nodes: groups)
        children.removeAll(keepingCapacity: true)
        var written: [(id: Int, body: [UInt8])] = []
        for (group, reductions) in zip(groups, reduced) {
            written.append((nextID, TreeNode.encode(height: height, children: group)))
            children.append(
                TreeNode.Child(
                    id: nextID, count: group.reduce(0) { $0 + $1.count }, size: group.reduce(0) { $0 + $1.size },
                    first: group[0].first, reductions: reductions))
            nextID += 1
        }
        try save(written)
    }
}
