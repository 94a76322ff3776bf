import NIOCore
import Synchronization

/// Says to those who wait for changes that something has come to its end: the server, which could not stop otherwise, or the
/// client, who may go while its feed has nothing to write.
final class EndSignal: Sendable {
    private struct State {
        var isOver = false
        var nextID = 0
        var waiting: [Int: @Sendable () -> Void] = [:]
    }
    /// Protects whether it is over and who is to be told.
    private let state = Mutex(State())

    /// The end of the client at the other side of a connection; never where there is none.
    static func client(of channel: (any Channel)?) -> EndSignal {
        let signal = EndSignal()
        channel?.whenClientHangsUp { [weak signal] in signal?.end() }
        return signal
    }

    var isOver: Bool { state.withLock(\.isOver) }

    /// Calls `act` at the end, at once when it is over, until the answer is called.
    func whenOver(_ act: @escaping @Sendable () -> Void) -> @Sendable () -> Void {
        let id: Int? = state.withLock { state in
            if state.isOver { return nil }
            state.nextID += 1
            state.waiting[state.nextID] = act
            return state.nextID
        }
        guard let id else {
            act()
            return {}
        }
        return { [self] in state.withLock { _ = $0.waiting.removeValue(forKey: id) } }
    }

    func end() {
        let waiting = state.withLock { state in
            state.isOver = true
            defer { state.waiting = [:] }
            return state.waiting.values.map { $0 }
        }
        for act in waiting { act() }
    }
}
