import CouchDB
public import CouchDocument

/// A worker as its document tells it.
public struct WorkerSight: Hashable, Sendable {
    /// Its name in leases.
    public let name: String
    /// Its machine.
    public let hostname: String
    /// How many tokens it runs at once.
    public let slots: Int
    /// The tokens that it ran when it last said so.
    public let running: [String]
    /// What it offers to tokens; `nil` when it does not look at what they require.
    public let offer: Offer?
    /// When it began.
    public let started: Timestamp?
    /// When it last said that it lives.
    public let seen: Timestamp?
    /// Until when that is to be believed.
    public let until: Timestamp?
    /// The batch job that it runs in, as PiCaS' fields name it.
    public let job: String?

    /// Reads a worker's document; `nil` when it is none.
    public init?(_ document: Document) {
        guard document["type"] == "worker", let name = document["name"]?.stringValue else { return nil }
        self.name = name
        hostname = document["hostname"]?.stringValue ?? ""
        slots = document["slots"]?.intValue ?? 1
        running = document["running"]?.arrayValue?.compactMap(\.stringValue) ?? []
        offer = Offer(document["offers"])
        started = Timestamp(document["started"])
        seen = Timestamp(document["seen"])
        until = Timestamp(document["until"])
        job = WorkerIdentity.JobIdentifier.fields.lazy.compactMap { document[$0]?.stringValue }.first
    }

    /// Whether it is to be believed alive.
    public func isAlive(at now: Timestamp) -> Bool { until.map { now < $0 } ?? false }
}

extension Pool {
    /// The workers that say they are there, by name; those that vanished are among them until a janitor comes by.
    public func workers() async throws -> [WorkerSight] {
        var workers: [WorkerSight] = []
        var query = ViewQuery(startKey: "worker_", endKey: "worker_\u{fff0}")
        query.includeDocuments = true
        query.limit = Self.workersPage
        while true {
            let rows = try await database.allDocuments(query).rows
            workers += rows.compactMap { $0.document.flatMap(WorkerSight.init) }
            guard rows.count == Self.workersPage, let last = rows.last?.id else { return workers }
            query.startKey = .string(last + "\u{0}")
        }
    }

    private static let workersPage = 1000

    /// Explains a token as it stands now, with what others have to do with it: what it waits for, which workers could run
    /// it, how much of its set may run.
    ///
    /// - Parameter date: Writes moments for people.
    public func explain(_ id: String, date: (Timestamp) -> String) async throws -> (Token, TokenExplanation) {
        let token = try await token(id)
        let now = clock.now()
        var notes: [String] = []
        switch token.state {
        case .waiting: notes = try await waitNotes(token)
        case .todo: notes = try await choiceNotes(token, now)
        case .locked, .done, .error: break
        }
        return (token, TokenExplanation(of: token, now: now, notes: notes, date: date))
    }

    private func waitNotes(_ token: Token) async throws -> [String] {
        let ids = token.dependencies
        guard !ids.isEmpty else { return [] }
        let progress = try await DependencyProgress(of: ids, in: self)
        var notes: [String] = []
        for (id, document) in zip(ids, try await database.documents(ids)) {
            let wantsSuccess = token.pool.after.contains(id)
            if wantsSuccess ? progress.done.contains(id) : progress.ended.contains(id) { continue }
            guard let document else {
                notes.append("it waits for \"\(id)\", which does not exist: nothing will free it")
                continue
            }
            if let set = TokenSet(document) {
                let counts = try await TokenSets(self).counts(of: set.name)
                let open = counts.total - counts.ended
                notes.append(
                    "it waits for set \"\(set.name)\": \(open) tokens are open, \(counts[.error]) in error"
                        + (wantsSuccess && counts[.error] > 0 ? ", which must be done too" : ""))
            } else {
                let state = Token(document).state
                notes.append(
                    "it waits for token \"\(id)\", which is \(state.rawValue)"
                        + (wantsSuccess && state == .error ? ": nothing will free it until that is done" : ""))
            }
        }
        return notes.isEmpty ? ["all that it waits for is over: the next janitor frees it"] : notes
    }

    private func choiceNotes(_ token: Token, _ now: Timestamp) async throws -> [String] {
        var notes: [String] = []
        if let set = token.pool.set, let limit = try await limits.limit(of: set, in: self) {
            var query = ViewQuery(key: .string(set))
            query.group = true
            let held = try await database.view(.running, query).rows.first?.value.intValue ?? 0
            notes.append(
                "\(held) tokens of its set are held, and \(limit) may be at once"
                    + (held >= limit ? ": it is not its turn" : ""))
        }
        let alive = try await workers().filter { $0.isAlive(at: now) }
        let measuring = alive.compactMap(\.offer)
        if alive.isEmpty {
            notes.append("no worker of ours is there: start one with `tokenpool work`")
        } else if measuring.count == alive.count, !measuring.contains(where: { $0.admits(token.pool.requires) }) {
            let lacks = Set(measuring.map { $0.missing(for: token.pool.requires).sorted().joined(separator: ", ") })
            notes.append(
                "none of the \(alive.count) workers that are there offers what it requires "
                    + "(\(JSON.object(token.pool.requires))): they lack \(lacks.sorted().joined(separator: "; "))")
        } else {
            notes.append("\(alive.count) workers of ours are there")
        }
        return notes
    }
}
