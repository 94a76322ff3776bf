import CouchDocument

/// The free tokens of a simulated cluster, in the order of their view, as each node knows them.
struct SimulatedView: Sendable {
    /// When each token was taken, and where; infinity for free ones.
    private var takenAt: [Double]
    private var takenOn: [UInt8]
    /// Up to when each node's view knows of its node's documents.
    private var indexed: [Double]
    /// For each token the next one that some view may still have; itself if that is so.
    private var following: [Int32]
    /// Taken tokens in the order of their taking; those before ``retired`` are in no view any more.
    private var taken: [Int32] = []
    private var retired = 0
    /// How many each node's view has taken in.
    private var known: [Int]
    private let lag: Double

    init(tokens: Int, nodes: Int, lag: Double) {
        takenAt = Array(repeating: .infinity, count: tokens)
        takenOn = Array(repeating: 0, count: tokens)
        indexed = Array(repeating: 0, count: nodes)
        following = (0...Int32(tokens)).map { $0 }
        known = Array(repeating: 0, count: nodes)
        self.lag = lag
    }

    /// How many tokens are free.
    var left: Int { takenAt.count - taken.count }

    /// How many changes a node's view has not taken in yet.
    func behind(on node: Int) -> Int { taken.count - known[node] }

    /// Whether the node's documents say at that moment that the token is taken.
    private func isTaken(_ token: Int, for node: Int, at time: Double) -> Bool {
        takenAt[token] + (Int(takenOn[token]) == node ? 0 : lag) <= time
    }

    /// Writes a lock; whether nobody was faster.
    mutating func take(_ token: Token, on node: Int, _ now: Double) -> Bool {
        guard let number = Int(token.id), takenAt[number] == .infinity else { return false }
        takenAt[number] = now
        takenOn[number] = UInt8(truncatingIfNeeded: node)
        taken.append(Int32(number))
        return true
    }

    /// The rows of a read, with the documents as the node has them. A lazy read gets the view as it is, and brings it up
    /// to date for the next one, if it is to follow.
    mutating func read(
        _ read: ClaimWindow.Read, on node: Int, _ now: Double
    ) -> [(key: JSON, token: Token?)] {
        if read.isFresh { update(node, now) }
        let count = takenAt.count
        var rows: [(key: JSON, token: Token?)] = []
        rows.reserveCapacity(read.limit)
        var skip = read.skip
        // Tokens that share a place stand together, so a read begins at the first of ten.
        var start = read.place.map { min(count, ($0 * count / ClaimWindow.places + 9) / 10 * 10) } ?? 0
        if let last = read.afterID.flatMap({ Int($0) }) { start = last + 1 }
        var place = next(start)
        while place < count, rows.count < read.limit {
            if !isTaken(place, for: node, at: indexed[node]) {
                if skip > 0 {
                    skip -= 1
                } else {
                    let lock: JSON = isTaken(place, for: node, at: now) ? 1 : 0
                    rows.append(
                        (
                            [.integer(place * ClaimWindow.places / count)],
                            Token(Document(id: String(place), fields: ["lock": lock, "done": 0]))
                        ))
                }
            }
            place = next(place + 1)
        }
        if !read.isFresh, read.follows { update(node, now) }
        return rows
    }

    private mutating func update(_ node: Int, _ now: Double) {
        indexed[node] = now
        known[node] = taken.count
        let oldest = indexed.min() ?? now
        while retired < taken.count, takenAt[Int(taken[retired])] + lag <= oldest {
            following[Int(taken[retired])] = taken[retired] + 1
            retired += 1
        }
    }

    /// The first token from there on that some view may have.
    private mutating func next(_ start: Int) -> Int {
        var end = start
        while following[end] != Int32(end) { end = Int(following[end]) }
        // What was walked over is stepped over from now on.
        var place = start
        while following[place] != Int32(place), place != end {
            let next = Int(following[place])
            following[place] = Int32(end)
            place = next
        }
        return end
    }
}
