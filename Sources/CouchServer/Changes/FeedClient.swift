import NIOCore
import Synchronization

/// The client at the other end of a feed, who may go while the feed waits and has nothing to write.
final class FeedClient: Sendable {
    private struct State {
        var hasGone = false
        var wake: (@Sendable () -> Void)?
    }
    /// Protects whether the client has gone and who is to be woken then.
    private let state = Mutex(State())

    init(of channel: any Channel) { channel.whenClientHangsUp { [weak self] in self?.leave() } }

    var hasGone: Bool { state.withLock(\.hasGone) }

    private func leave() {
        let wake = state.withLock { state in
            state.hasGone = true
            defer { state.wake = nil }
            return state.wake
        }
        wake?()
    }

    /// Calls `wake` when the client goes, at once when it has, until the answer is called. One at a time.
    func onLeaving(_ wake: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let hasGone = state.withLock { state in
            if !state.hasGone { state.wake = wake }
            return state.hasGone
        }
        if hasGone { wake() }
        return { [self] in state.withLock { $0.wake = nil } }
    }
}
