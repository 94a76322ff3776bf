/// Looks through one row tree for damage: what inner nodes say of those below them must be so.
struct TreeCheck {
    let reductions: TreeReductions
    let load: (Int) throws -> [UInt8]

    private struct Damage: Error { let reason: String }

    /// What a node is found to hold.
    private struct Found {
        let node: TreeNode
        let size: Int
        let first: ArraySlice<UInt8>
        let last: ArraySlice<UInt8>
    }

    /// What is wrong with the tree; `nil`: nothing.
    func problem(_ tree: ViewIndexFile.Tree) throws -> String? {
        do throws(Damage) {
            guard tree.root != 0 else { return tree.count == 0 ? nil : "its \(tree.count) rows are not there" }
            let found = try look(at: tree.root)
            if found.node.count != tree.count || found.size != tree.size {
                return "counts \(tree.count) rows of \(tree.size) bytes, has \(found.node.count) of \(found.size)"
            }
            return nil
        } catch {
            return error.reason
        }
    }

    private func look(at id: Int, height: Int? = nil) throws(Damage) -> Found {
        let body: [UInt8]
        do { body = try load(id) } catch { throw Damage(reason: "node \(id) can not be read: \(error)") }
        guard let node = TreeNode(checking: body, reduceCount: reductions.functions.count),
            node.height == height ?? node.height
        else { throw Damage(reason: "node \(id) is damaged") }
        if node.height > 0 { return try look(below: node, id) }
        let positions = node.rows.map { node.bytes[$0.position] }
        guard let first = positions.first, let last = positions.last else {
            throw Damage(reason: "node \(id) is empty")
        }
        for (row, next) in zip(positions, positions.dropFirst()) where !row.lexicographicallyPrecedes(next) {
            throw Damage(reason: "rows of node \(id) are out of order")
        }
        return Found(node: node, size: node.bytes.count - 1, first: first, last: last)
    }

    private func look(below node: TreeNode, _ id: Int) throws(Damage) -> Found {
        var below: [Found] = []
        for child in node.children {
            let found = try look(at: child.id, height: node.height - 1)
            guard found.node.count == child.count, found.size == child.size, found.first == child.first,
                below.last.map({ $0.last.lexicographicallyPrecedes(found.first) }) ?? true
            else { throw Damage(reason: "node \(id) does not agree with node \(child.id) below it") }
            below.append(found)
        }
        guard let first = below.first, let last = below.last else { throw Damage(reason: "node \(id) is empty") }
        if !reductions.functions.isEmpty {
            let kept: [[ArraySlice<UInt8>]]
            do {
                kept =
                    node.height == 1
                    ? try reductions.reduce(leaves: below.map(\.node))
                    : try reductions.merge(nodes: below.map(\.node.children))
            } catch {
                throw Damage(reason: "its rows can not be reduced: \(error)")
            }
            guard kept == node.children.map(\.reductions) else {
                throw Damage(reason: "the reductions that node \(id) keeps are not those of its rows")
            }
        }
        return Found(
            node: node, size: node.children.reduce(0) { $0 + $1.size }, first: first.first, last: last.last)
    }
}

extension TreeNode {
    /// Reads a node that may be damaged; `nil` when it can not have been written as it is.
    convenience init?(checking bytes: [UInt8], reduceCount: Int) {
        if bytes.isEmpty { return nil }
        self.init(bytes, reduceCount: reduceCount)
        var again: [UInt8] = [UInt8(height)]
        if height > 0 {
            again = Self.encode(height: height, children: children)
        } else {
            for row in rows {
                guard (0...row.position.count).contains(row.sortLength) else { return nil }
                Self.appendRow(
                    position: bytes[row.position], sortLength: row.sortLength, key: bytes[row.key],
                    value: bytes[row.value], to: &again)
            }
        }
        if again != bytes || children.contains(where: { $0.count <= 0 || $0.size < 0 }) { return nil }
    }
}
