import Synchronization

/// What the server has on its hands: requests being worked on, open feeds, bytes of request bodies in memory. Each is
/// bounded; what comes on top is refused at once with 503, so that a flood neither fills the memory nor makes everybody
/// wait.
package final class Workload: Sendable {
    struct Limits: Sendable {
        /// Requests being worked on. One that waits for its client, sending or receiving, does not count.
        var requests: Int
        /// Feeds of changes that wait for the next one.
        var feeds: Int
        /// Bytes of request bodies that must be in memory as a whole, of all requests together.
        var bodyBytes: Int
    }

    /// What a refused client is told to wait.
    static let retrySeconds = 1

    private struct State {
        var requests = 0
        var feeds = 0
        var bodyBytes = 0
    }
    /// Protects the counts.
    private let state = Mutex(State())
    private let limits: @Sendable () -> Limits

    /// - Parameter limits: Asked whenever something is to be taken on.
    init(limits: @escaping @Sendable () -> Limits) { self.limits = limits }

    /// Takes on a request.
    ///
    /// - Parameter isUrgent: It is taken on even when there is too much: whoever repairs the server must get in.
    func admit(isUrgent: Bool) throws(Refusal) -> Share {
        let limit = limits().requests
        let isTaken = state.withLock { state in
            guard isUrgent || state.requests < limit else { return false }
            state.requests += 1
            return true
        }
        if !isTaken { throw Self.overload("too many requests at once") }
        return Share(of: self)
    }

    static func overload(_ reason: String) -> Refusal {
        Refusal(503, "service_unavailable", reason, headers: [("Retry-After", String(retrySeconds))])
    }

    /// One request's part. Given back when nobody holds it any more: its answer was sent, or its client has gone.
    final class Share: Sendable {
        private enum Kind { case working, resting, feed }
        private struct Holding {
            var kind = Kind.working
            var bodyBytes = 0
        }

        private let workload: Workload
        /// Protects what this request counts as.
        private let holding = Mutex(Holding())

        fileprivate init(of workload: Workload) { self.workload = workload }

        deinit {
            let held = holding.withLock { $0 }
            workload.state.withLock { state in
                switch held.kind {
                case .working: state.requests -= 1
                case .feed: state.feeds -= 1
                case .resting: break
                }
                state.bodyBytes -= held.bodyBytes
            }
        }

        /// Waits for the client: does not count until ``resume()``.
        func rest() { turn(from: .working, to: .resting, by: -1) }

        /// Works again, also when there is much to do by now: what was begun is finished.
        func resume() { turn(from: .resting, to: .working, by: 1) }

        private func turn(from old: Kind, to new: Kind, by step: Int) {
            holding.withLock { holding in
                guard holding.kind == old else { return }
                holding.kind = new
                workload.state.withLock { $0.requests += step }
            }
        }

        /// From now on this is a feed that mostly waits.
        func becomeFeed() throws(Refusal) {
            let limit = workload.limits().feeds
            let isTaken = holding.withLock { holding in
                workload.state.withLock { state in
                    guard state.feeds < limit else { return false }
                    state.feeds += 1
                    if holding.kind == .working { state.requests -= 1 }
                    holding.kind = .feed
                    return true
                }
            }
            if !isTaken { throw Workload.overload("too many open feeds") }
        }

        /// The most that one body may have: a part of what there is for all.
        var largestBody: Int { workload.limits().bodyBytes / 4 }

        /// Takes room for so many bytes of a body.
        func hold(bytes count: Int) throws(Refusal) {
            let limit = workload.limits().bodyBytes
            let isTaken = holding.withLock { holding in
                workload.state.withLock { state in
                    guard state.bodyBytes + count <= limit else { return false }
                    state.bodyBytes += count
                    holding.bodyBytes += count
                    return true
                }
            }
            if !isTaken { throw Workload.overload("too many large requests at once") }
        }
    }
}
