import CouchDocument
import CouchStore
import Testing

@Suite("Revision trees")
struct RevisionTreeTests {
    private func revisions(_ texts: String...) -> [Revision] { texts.compactMap { Revision($0) } }

    @Test("random histories give what a naive tree gives", arguments: 0..<200)
    func randomHistories(seed: Int) {
        var random = SeededRandom(seed: UInt64(seed))
        // A world of histories, of which the tree hears in random pieces and any order.
        var world: [[Revision]] = [[Revision(generation: 1, hash: "r")]]
        for _ in 0..<30 {
            let path = world.randomElement(using: &random) ?? world[0]
            let hash =
                Bool.random(using: &random)
                ? String(UInt64.random(in: 0...9, using: &random))
                : hexadecimal((0..<16).map { _ in UInt8.random(in: 0...255, using: &random) })
            let next = Revision(generation: path[0].generation + 1, hash: hash)
            if !world.contains(where: { $0[0] == next }) { world.append([next] + path) }
        }
        var tree: RevisionTree?
        var naive = NaiveTree()
        for _ in 0..<40 {
            let whole = world.randomElement(using: &random) ?? world[0]
            let path = Array(whole.prefix(Int.random(in: 1...whole.count, using: &random)))
            let isDeleted = Int.random(in: 0..<4, using: &random) == 0
            naive.merge(path, isDeleted: isDeleted)
            if tree == nil { tree = RevisionTree(path[0], isDeleted: isDeleted) }
            tree?.merge(path: path, isDeleted: isDeleted)
            if Int.random(in: 0..<10, using: &random) == 0 {
                let limit = Int.random(in: 1...6, using: &random)
                naive.stem(limit)
                tree?.stem(to: limit)
            }
        }
        guard let tree else { return }
        #expect(tree.leaves.map(\.revision) == naive.leaves)
        #expect(tree.leaves.map(\.isDeleted) == naive.leaves.map { naive.deleted.contains($0) })
        #expect(tree.winner == tree.leaves[0])
        #expect(tree.count == naive.parents.count)
        for revision in naive.parents.keys { #expect(tree.path(to: revision) == naive.path(revision)) }
        #expect(RevisionTree(decoding: tree.encoded()) == tree)
    }

    @Test("not deleted wins over deleted, then the generation, then the hash")
    func winner() {
        var tree = RevisionTree(Revision(generation: 1, hash: "a"))
        tree.merge(path: revisions("2-b", "1-a"), isDeleted: false)
        tree.merge(path: revisions("2-c", "1-a"), isDeleted: false)
        #expect(tree.winner.revision.description == "2-c")
        tree.merge(path: revisions("3-d", "2-c"), isDeleted: true)
        #expect(tree.winner.revision.description == "2-b")
        #expect(tree.conflicts.isEmpty)
        tree.merge(path: revisions("3-e", "2-b"), isDeleted: true)
        #expect(tree.winner.revision.description == "3-e")
        #expect(tree.winner.isDeleted)
    }

    @Test("hashes that are no digests keep their text, and stand among digests by their bytes as in CouchDB")
    func textHashes() {
        let upper = "ABCDEF00ABCDEF00ABCDEF00ABCDEF00"
        var tree = RevisionTree(Revision(generation: 1, hash: upper))
        tree.merge(path: [Revision(generation: 1, hash: upper.lowercased())], isDeleted: false)
        tree.merge(path: [Revision(generation: 1, hash: "zürich")], isDeleted: false)
        #expect(tree.leaves.map(\.revision.hash) == [upper.lowercased(), "zürich", upper])
        #expect(RevisionTree(decoding: tree.encoded()) == tree)
    }

    @Test("a tree of a thousand revisions takes 17 bytes for each")
    func size() {
        var tree = RevisionTree(Revision(editing: nil, isDeleted: false, body: [:]))
        for number in 1..<1000 {
            let parent = tree.winner.revision
            let next = Revision(editing: parent, isDeleted: false, body: ["n": .integer(number)])
            tree.merge(path: [next, parent], isDeleted: false)
        }
        #expect(tree.count == 1000)
        #expect(tree.encoded().count <= 17 * 1000 + 4)
        #expect(tree.isLeaf(tree.winner.revision))
    }
}

/// SplitMix64: the same numbers for the same seed.
struct SeededRandom: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var value = state
        value = (value ^ (value >> 30)) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ (value >> 27)) &* 0x94D0_49BB_1331_11EB
        return value ^ (value >> 31)
    }
}
