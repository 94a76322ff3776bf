import Dispatch
import Synchronization

/// Reads the sequence log ahead of an index that is being built: while documents go through JavaScript, the next ones come
/// from the database on another thread. At most a few pages wait, however long the log is.
final class ChangesAhead: Sendable {
    private struct State {
        var pages: [ViewChanges] = []
        var failure: (any Error)?
        var isCancelled = false
    }

    private static let pageCount = 4

    /// Protects the pages between the thread that reads and the one that takes.
    private let state = Mutex(State())
    // From zero: a semaphore may not go while it is below the value that it began with.
    private let room = DispatchSemaphore(value: 0)
    private let arrivals = DispatchSemaphore(value: 0)

    /// Begins to read the changes after one sequence and up to another.
    init(of source: any ViewSource, after first: Int, through last: Int) {
        for _ in 0..<Self.pageCount { room.signal() }
        DispatchQueue(label: "reading ahead for a view index").async { [self] in read(source, first, last) }
    }

    /// The next page, in order; `nil` at the end of the log. Waits for it. Only one thread may ask.
    func next() throws -> ViewChanges? {
        arrivals.wait()
        let (page, failure) = state.withLock { state -> (ViewChanges?, (any Error)?) in
            state.pages.isEmpty ? (nil, state.failure) : (state.pages.removeFirst(), nil)
        }
        room.signal()
        if let failure { throw failure }
        return page
    }

    /// Ends the reading. Nothing may be asked after that.
    func cancel() {
        state.withLock { state in
            state.isCancelled = true
            state.pages = []
        }
        // It can be waiting for room.
        room.signal()
    }

    private func read(_ source: any ViewSource, _ first: Int, _ last: Int) {
        var failure: (any Error)?
        do {
            var after = first
            while true {
                let page = try source.changes(after: after, through: last)
                after = page.lastSequence
                guard page.isEmpty || hand(over: page), page.isFull else { break }
            }
        } catch { failure = error }
        state.withLock { $0.failure = failure }
        arrivals.signal()
    }

    /// Whether somebody still wants more.
    private func hand(over page: ViewChanges) -> Bool {
        room.wait()
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.pages.append(page) }
            return state.isCancelled
        }
        arrivals.signal()
        return !isCancelled
    }
}
