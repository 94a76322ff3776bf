import CouchDB
import CouchDocument
import Logging

extension Pool {
    /// Claims up to `count` tokens that fit into what the worker has left, from the queues that the chooser prefers.
    ///
    /// No more tokens of a set are held at once than its `limit` says.
    ///
    /// - Parameter ahead: So many tokens that require nothing are taken although there is no room for them yet: the worker
    ///   expects that there soon will be.
    /// - Returns: The tokens, now locked by `worker`; none when nothing that is there can be taken.
    /// - Throws: ``PoolError/Code/noSuchView`` without our views.
    public func claim(
        _ count: Int, offering left: Offer, ahead: Int = 0, as worker: WorkerIdentity, lease: Duration,
        chooser: inout QueueChooser
    ) async throws -> [ClaimedToken] {
        try await claim(
            count, offering: left, ahead: ahead, as: worker, lease: lease, chooser: &chooser, taking: nil)
    }

    /// The same; requests that write locks take results along that wait to be written.
    package func claim(
        _ count: Int, offering left: Offer, ahead: Int = 0, as worker: WorkerIdentity, lease: Duration,
        chooser: inout QueueChooser, taking riders: Riders?
    ) async throws -> [ClaimedToken] {
        var random = SystemRandomNumberGenerator()
        var left = left
        var ahead = ahead
        var claimed: [ClaimedToken] = []
        chooser.begin(now: clock.now())
        do {
            while claimed.count < count {
                switch chooser.next(count - claimed.count, left, ahead: ahead, using: &random) {
                case .nothing: return claimed
                case .read(let isFresh):
                    // What is held already can begin while others look for the rest.
                    if isFresh && !claimed.isEmpty { return claimed }
                    chooser.fill(
                        try await queues(of: chooser.sets, isFresh: isFresh), isFresh: isFresh, now: clock.now())
                    for name in chooser.setNames {
                        chooser.setShare(try await limits.share(of: name, in: self), of: name)
                    }
                case .claim(let queue, let wanted):
                    let some = try await take(wanted, from: queue, as: worker, lease: lease, &chooser, riders)
                    chooser.note(queue, claimed: some.count, of: wanted)
                    for claim in some {
                        if !left.admits(claim.token.pool.requires) { ahead -= 1 }
                        left = left.less(claim.token.pool.requires)
                    }
                    claimed += some
                }
            }
        } catch {
            // What is held is held.
            guard !claimed.isEmpty else { throw error }
            logger.warning("some tokens could not be claimed", metadata: ["error": "\(error)"])
        }
        return claimed
    }

    private func take(
        _ count: Int, from queue: WorkQueue, as worker: WorkerIdentity, lease: Duration, _ chooser: inout QueueChooser,
        _ riders: Riders?
    ) async throws -> [ClaimedToken] {
        var window = chooser.window(of: queue)
        let source = queue.source(chooser.order)
        defer { chooser.keep(window, of: queue) }
        guard let limit = try await limits.limit(of: queue.set, in: self) else {
            return try await claim(
                count, from: source, as: worker, lease: lease, window: &window, taking: riders)
        }
        return try await permitted(count, of: queue.set, limit: limit) { allowed in
            try await claim(allowed, from: source, as: worker, lease: lease, window: &window, taking: riders)
        } ?? []
    }

    /// The queues in which there are tokens: one look into a reduced view, however many tokens there are.
    public func queues(of sets: Set<String>? = nil, isFresh: Bool = true) async throws -> [WorkQueue] {
        var query = ViewQuery()
        query.groupLevel = 2
        if !isFresh { query.update = .lazy }
        if let sets, let first = sets.min(), let last = sets.max() {
            query.startKey = [.string(first)]
            query.endKey = [.string(last), [:]]
        }
        do {
            return try await database.view(.queues, query).rows.compactMap(WorkQueue.init)
        } catch CouchDBError.notFound {
            throw try await missing("view \"\(ViewName.queues)\" is not in")
        }
    }
}
