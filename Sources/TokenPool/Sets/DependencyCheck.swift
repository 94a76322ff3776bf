import CouchDB
import CouchDocument

/// Whether new tokens would wait for each other for ever.
struct DependencyCheck: Sendable {
    /// What the new tokens wait for, by their ids; only of those that wait.
    private var waits: [String: [String]] = [:]

    /// Beyond so many documents of others nobody looks further.
    static let horizon = 100_000

    mutating func add(_ token: Token) {
        let dependencies = token.dependencies
        if !dependencies.isEmpty { waits[token.id] = dependencies }
    }

    var isEmpty: Bool { waits.isEmpty }

    /// Everything that is waited for and is not new itself.
    var awaited: Set<String> { Set(waits.values.joined()).subtracting(waits.keys) }

    /// A circle among the new tokens and what is known of others.
    ///
    /// - Parameter others: What documents that exist already wait for.
    func circle(with others: [String: [String]] = [:]) -> [String]? {
        enum Mark { case open, closed }
        var marks: [String: Mark] = [:]
        for start in waits.keys.sorted() where marks[start] == nil {
            // A path, and how far each of its nodes is; no recursion, for chains may be long.
            var path: [(id: String, next: Int)] = [(start, 0)]
            marks[start] = .open
            while let (id, next) = path.last {
                let targets = waits[id] ?? others[id] ?? []
                guard next < targets.count else {
                    marks[id] = .closed
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let target = targets[next]
                switch marks[target] {
                case .closed: continue
                case .open:
                    let first = path.firstIndex { $0.id == target } ?? 0
                    return path[first...].map(\.id) + [target]
                case nil:
                    marks[target] = .open
                    path.append((target, 0))
                }
            }
        }
        return nil
    }

    /// Looks at what others wait for already and refuses circles.
    ///
    /// - Parameter set: The set that the new tokens belong to; whoever waits for it waits for each of them.
    func refuseCircles(of set: String?, in pool: Pool) async throws {
        guard !isEmpty else { return }
        var others: [String: [String]] = [:]
        if let set { others[TokenSet.documentID(set)] = waits.keys.sorted() }
        try refuse(circle(with: others))
        var open = awaited.subtracting(others.keys)
        while !open.isEmpty, others.count < Self.horizon {
            let page = Array(open.prefix(500))
            open.subtract(page)
            for (id, document) in zip(page, try await pool.database.documents(page)) {
                guard let document else {
                    others[id] = []
                    continue
                }
                // A set's document says what its tokens wait for.
                let next = TokenSet(document).map { $0.awaits ?? [] } ?? Token(document).dependencies
                others[id] = next
                open.formUnion(next.filter { others[$0] == nil && waits[$0] == nil })
            }
        }
        try refuse(circle(with: others))
    }

    private func refuse(_ circle: [String]?) throws {
        guard let circle else { return }
        let shown = circle.count > 8 ? circle.prefix(4) + ["…"] + circle.suffix(3) : circle[...]
        throw PoolError(
            .badInput,
            "these would wait for each other for ever: " + shown.joined(separator: " → ") + "; nothing was created")
    }
}

extension TokenSet {
    /// What its tokens wait for outside of the set, as far as it fits into a document.
    var awaits: [String]? {
        get { document["awaits"]?.arrayValue?.compactMap(\.stringValue) }
        set { document["awaits"] = newValue.flatMap { $0.isEmpty ? nil : .array($0.map(JSON.string)) } }
    }

    /// More than so many are not listed.
    static let awaitsLimit = 1000
}
