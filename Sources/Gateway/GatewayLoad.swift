import Synchronization

/// What the gateway has on its hands: requests, and bytes of bodies in memory. What comes on top is refused with 503,
/// upon which every client waits and tries again.
final class GatewayLoad: Sendable {
    private struct State {
        var requests = 0
        var bytes = 0
    }
    // Protects the counts.
    private let state = Mutex(State())
    private static let mostRequests = 2000
    private static let mostBytes = 1 << 30
    /// Of one request: a project of a million files is about 120 MB.
    private static let largestBody = 512 << 20

    func admit() throws(GatewayRefusal) -> Share {
        let isTaken = state.withLock { state in
            guard state.requests < Self.mostRequests else { return false }
            state.requests += 1
            return true
        }
        if !isTaken { throw .overload("too many requests at once") }
        return Share(of: self)
    }

    /// One request's part; given back when nobody holds it any more.
    final class Share: Sendable {
        private let load: GatewayLoad
        private let held = Mutex(0)

        fileprivate init(of load: GatewayLoad) { self.load = load }

        deinit {
            let bytes = held.withLock { $0 }
            load.state.withLock { state in
                state.requests -= 1
                state.bytes -= bytes
            }
        }

        /// Takes room for so many bytes of a body.
        func hold(_ count: Int) throws(GatewayRefusal) {
            let own = held.withLock { $0 }
            if own + count > GatewayLoad.largestBody { throw GatewayRefusal(413, "the request is too large") }
            let isTaken = load.state.withLock { state in
                guard state.bytes + count <= GatewayLoad.mostBytes else { return false }
                state.bytes += count
                return true
            }
            if !isTaken { throw .overload("too many large requests at once") }
            held.withLock { $0 += count }
        }
    }
}
