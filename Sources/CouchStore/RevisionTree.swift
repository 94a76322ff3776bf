import CouchDocument

/// All revisions of one document: which followed which, and which are tombstones.
///
/// A value without bodies. Several leaves that are not deleted are a conflict; there can be several roots once old
/// revisions were dropped (``stem(to:)``) or when replication brought histories without a common beginning.
///
/// Two trees of the same revisions and links are equal, however they came about.
package struct RevisionTree: Hashable, Sendable {
    /// A revision that nobody followed.
    package struct Leaf: Hashable, Sendable {
        /// The revision.
        package let revision: Revision
        /// Whether it is a tombstone.
        package let isDeleted: Bool
    }

    struct Node: Hashable, Sendable {
        var generation: Int
        var hash: RevisionHash
        /// The position of the parent, always a smaller one; -1 for a root.
        var parent: Int
        var isDeleted: Bool

        var revision: Revision { Revision(generation: generation, hash: hash.text) }
    }

    /// In ascending order of generation and hash, so that a revision is found by halving and parents come first.
    var nodes: [Node]

    init(nodes: [Node]) { self.nodes = nodes }

    /// A tree of one revision.
    package init(_ revision: Revision, isDeleted: Bool = false) {
        nodes = [
            Node(
                generation: revision.generation, hash: RevisionHash(revision.hash), parent: -1, isDeleted: isDeleted)
        ]
    }

    // MARK: Asking

    /// The number of revisions that are remembered.
    package var count: Int { nodes.count }

    /// The positions of the leaves, the winner first.
    private var leafPositions: [Int] {
        var hasChild = [Bool](repeating: false, count: nodes.count)
        for node in nodes where node.parent >= 0 { hasChild[node.parent] = true }
        return nodes.indices.filter { !hasChild[$0] }.sorted { left, right in
            nodes[left].isDeleted != nodes[right].isDeleted ? nodes[right].isDeleted : left > right
        }
    }

    private func leaf(at position: Int) -> Leaf {
        Leaf(revision: nodes[position].revision, isDeleted: nodes[position].isDeleted)
    }

    /// All leaves, the winner first: not deleted before deleted, the highest generation, the greatest hash bytewise.
    package var leaves: [Leaf] { leafPositions.map(leaf) }

    /// The leaf that stands for the document.
    package var winner: Leaf {
        // The last node is the greatest leaf; only a tombstone there needs a look at the others.
        if let last = nodes.last, !last.isDeleted { return leaf(at: nodes.count - 1) }
        return leaf(at: leafPositions[0])
    }

    /// The leaves besides the winner that are not deleted.
    package var conflicts: [Revision] { leaves.dropFirst().filter { !$0.isDeleted }.map(\.revision) }

    /// Where the revision is, or where it would have to stand.
    private func search(_ generation: Int, _ hash: RevisionHash) -> (position: Int, isFound: Bool) {
        var low = 0
        var high = nodes.count
        while low < high {
            let middle = (low + high) / 2
            let node = nodes[middle]
            if node.generation < generation || (node.generation == generation && node.hash < hash) {
                low = middle + 1
            } else {
                high = middle
            }
        }
        return (low, low < nodes.count && nodes[low].generation == generation && nodes[low].hash == hash)
    }

    private func position(of revision: Revision) -> Int? {
        let found = search(revision.generation, RevisionHash(revision.hash))
        return found.isFound ? found.position : nil
    }

    /// Whether the revision is known, its body there or not.
    package func contains(_ revision: Revision) -> Bool { position(of: revision) != nil }

    /// Whether the revision is known and a tombstone.
    package func isDeleted(_ revision: Revision) -> Bool { position(of: revision).map { nodes[$0].isDeleted } ?? false }

    /// Whether the revision is a leaf.
    package func isLeaf(_ revision: Revision) -> Bool {
        guard let position = position(of: revision) else { return false }
        return !nodes[(position + 1)...].contains { $0.parent == position }
    }

    /// The revision and its ancestors, newest first; empty when it is not known.
    package func path(to revision: Revision) -> [Revision] {
        var result: [Revision] = []
        var next = position(of: revision) ?? -1
        while next >= 0 {
            result.append(nodes[next].revision)
            next = nodes[next].parent
        }
        return result
    }

    /// The leaves that descend from the revision, or are it; the best first.
    package func leaves(descendingFrom revision: Revision) -> [Leaf] {
        guard let start = position(of: revision) else { return [] }
        var descends = [Bool](repeating: false, count: nodes.count)
        descends[start] = true
        for position in nodes.indices.dropFirst(start + 1) {
            let parent = nodes[position].parent
            if parent >= 0 && descends[parent] { descends[position] = true }
        }
        return leafPositions.filter { descends[$0] }.map(leaf)
    }

    /// Those of the revisions that are not known, in their order.
    package func missing(_ revisions: [Revision]) -> [Revision] { revisions.filter { !contains($0) } }

    /// The leaves that can be ancestors of one of these revisions, which are not known here.
    package func possibleAncestors(of missing: [Revision]) -> [Revision] {
        guard let highest = missing.map(\.generation).max() else { return [] }
        return leaves.map(\.revision).filter { $0.generation < highest }
    }

    // MARK: Changing

    /// Takes in a revision with its ancestors, newest first, each one generation below the one before.
    ///
    /// What is known stays as it is; a root that turns out to have a parent is linked to it.
    ///
    /// - Returns: Whether the revision itself is new.
    @discardableResult
    package mutating func merge(path: [Revision], isDeleted: Bool) -> Bool {
        guard let newest = path.first else { return false }
        let isNew = !contains(newest)
        // Begin at the newest known revision that has a parent: what is older is there, or was forgotten on purpose.
        let known = path.firstIndex { revision in position(of: revision).map { nodes[$0].parent >= 0 } ?? false }
        let oldest = known ?? path.count - 1
        var parent: Revision?
        for index in stride(from: oldest, through: 0, by: -1) {
            add(path[index], after: parent, isDeleted: isDeleted && index == 0)
            parent = path[index]
        }
        return isNew
    }

    /// Adds one revision, or links it to its parent when it was a root. The parent must be there.
    private mutating func add(_ revision: Revision, after parent: Revision?, isDeleted: Bool) {
        let hash = RevisionHash(revision.hash)
        let (position, isFound) = search(revision.generation, hash)
        let parentPosition = parent.flatMap { self.position(of: $0) } ?? -1
        if isFound {
            if nodes[position].parent < 0 { nodes[position].parent = parentPosition }
            return
        }
        let node = Node(
            generation: revision.generation, hash: hash, parent: parentPosition, isDeleted: isDeleted)
        nodes.insert(node, at: position)
        for later in nodes.indices.dropFirst(position + 1) where nodes[later].parent >= position {
            nodes[later].parent += 1
        }
    }

    /// Forgets, on every branch, what is more than `limit` revisions back. What another branch still needs stays.
    package mutating func stem(to limit: Int) {
        guard nodes.count > limit else { return }
        var isKept = [Bool](repeating: false, count: nodes.count)
        for leaf in leafPositions {
            var next = leaf
            var remaining = limit
            while next >= 0 && remaining > 0 {
                isKept[next] = true
                next = nodes[next].parent
                remaining -= 1
            }
        }
        keep(isKept)
    }

    /// Takes a leaf out, with those ancestors that led to nothing else.
    ///
    /// - Returns: Whether it was a leaf. An empty tree is left when it was the last one.
    package mutating func purge(_ revision: Revision) -> Bool {
        guard isLeaf(revision), let start = position(of: revision) else { return false }
        var children = [Int](repeating: 0, count: nodes.count)
        for node in nodes where node.parent >= 0 { children[node.parent] += 1 }
        var isKept = [Bool](repeating: true, count: nodes.count)
        var next = start
        while next >= 0 && children[next] == 0 {
            isKept[next] = false
            next = nodes[next].parent
            if next >= 0 { children[next] -= 1 }
        }
        keep(isKept)
        return true
    }

    private mutating func keep(_ isKept: [Bool]) {
        var newPositions = [Int](repeating: -1, count: nodes.count)
        var kept: [Node] = []
        for (position, node) in nodes.enumerated() where isKept[position] {
            newPositions[position] = kept.count
            var moved = node
            moved.parent = node.parent < 0 ? -1 : newPositions[node.parent]
            kept.append(moved)
        }
        nodes = kept
    }

    /// Whether no revision is left.
    package var isEmpty: Bool { nodes.isEmpty }
}
