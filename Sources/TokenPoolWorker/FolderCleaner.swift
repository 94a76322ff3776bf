import Synchronization

/// Removes work folders on a thread beside the work, one after the other, however many come.
final class FolderCleaner: Sendable {
    private struct State {
        var folders: [WorkFolder] = []
        var isRunning = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    // Protects the list of what is to be removed, and who waits for its end.
    private let state = Mutex(State())
    private let threads: BlockingThreads
    private let logs: LogStock
    private let trouble: @Sendable (String) -> Void

    init(_ threads: BlockingThreads, logs: LogStock, trouble: @escaping @Sendable (String) -> Void) {
        self.threads = threads
        self.logs = logs
        self.trouble = trouble
    }

    /// Has it removed soon; never waits.
    func remove(_ folder: WorkFolder) {
        let mustStart = state.withLock { state in
            state.folders.append(folder)
            defer { state.isRunning = true }
            return !state.isRunning
        }
        if mustStart { threads.begin { self.removeAll() } }
    }

    /// Waits until all that was given so far is removed.
    func finish() async {
        await withCheckedContinuation { continuation in
            let isIdle = state.withLock { state in
                if state.isRunning { state.waiters.append(continuation) }
                return !state.isRunning
            }
            if isIdle { continuation.resume() }
        }
    }

    private func removeAll() {
        while true {
            let (folders, waiters) = state.withLock { state in
                defer {
                    if state.folders.isEmpty {
                        state.isRunning = false
                        state.waiters = []
                    }
                    state.folders = []
                }
                return (state.folders, state.folders.isEmpty ? state.waiters : [])
            }
            for folder in folders {
                logs.retire(folder.outputPath)
                logs.retire(folder.errorPath)
                if !folder.remove(withLogs: false) {
                    trouble("the work folder \(folder.path) could not be removed wholly")
                }
            }
            for waiter in waiters { waiter.resume() }
            if folders.isEmpty { return }
        }
    }
}
