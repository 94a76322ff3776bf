import Synchronization

/// What tasks ask of the transport's thread.
enum TransportCommand: Sendable {
    case start(TransportRequest, Exchange)
    case cancel(Exchange)
    /// Go on with what was paused, in both directions.
    case resume(Exchange)
    /// Run a part of a task that prefers this thread.
    case run(UnownedJob)
    case shutDown
}

/// Commands on their way to the thread, which is woken when it sleeps.
final class Mailbox: Sendable {
    private struct State {
        var commands: [TransportCommand] = []
        /// Whether the thread will look here again before it sleeps, so that it need not be woken.
        var isAwake = true
        /// `nil` once the thread has gone.
        var bell: Bell?
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    /// Protects the commands and whether somebody takes them.
    private let state: Mutex<State>

    init(bell: Bell) { state = Mutex(State(bell: bell)) }

    /// Adds a command. `false`: the thread has gone, nothing will be done.
    @discardableResult
    func post(_ command: TransportCommand) -> Bool {
        state.withLock { state in
            guard let bell = state.bell else { return false }
            state.commands.append(command)
            if !state.isAwake {
                state.isAwake = true
                bell.ring()
            }
            return true
        }
    }

    /// Takes all commands; for the thread.
    func take() -> [TransportCommand] {
        state.withLock { state in
            state.isAwake = true
            if state.commands.isEmpty { return [] }
            defer { state.commands = [] }
            return state.commands
        }
    }

    /// Whether there is something to take.
    var hasCommands: Bool { state.withLock { !$0.commands.isEmpty } }

    /// Whether the thread may sleep now: it will be woken for the next command.
    func fallAsleep() -> Bool {
        state.withLock { state in
            state.isAwake = !state.commands.isEmpty
            return !state.isAwake
        }
    }

    /// Ends it; answers the commands that came too late and those who wait for the end.
    func close() -> ([TransportCommand], [CheckedContinuation<Void, Never>]) {
        state.withLock { state in
            defer { state = State() }
            return (state.commands, state.waiters)
        }
    }

    /// Waits for the thread's end.
    func waitForEnd() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if state.bell == nil { return true }
                state.waiters.append(continuation)
                return false
            }
            if isOver { continuation.resume() }
        }
    }
}
