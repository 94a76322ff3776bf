import Dispatch
import Synchronization

/// Reads the sequence log ahead of an index that is being built: while documents go through JavaScript, the next ones come
/// from the database on another thread. At most a few pages wait, however long the log is.
final class ChangesAhead: Sendable {
    typealias Change = (sequence: Int, id: String, document: [UInt8]?)

    private struct State {
        var pages: [[Change]] = []
        var failure: (any Error)?
        var isCancelled = false
    }

    private static let pageLength = 500
    private static let pageBytes = 1 << 20
    private static let pageCount = 4

    /// Protects the pages between the thread that reads and the one that takes.
    private let state = Mutex(State())
    private let room = DispatchSemaphore(value: ChangesAhead.pageCount)
    private let arrivals = DispatchSemaphore(value: 0)

    /// Begins to read after that sequence.
    init(of source: any ViewSource, after sequence: Int) {
        DispatchQueue(label: "reading ahead for a view index").async { [self] in read(source, sequence) }
    }

    /// The next page, in order; `nil` at the end of the log. Waits for it. Only one thread may ask.
    func next() throws -> [Change]? {
        arrivals.wait()
        let (page, failure) = state.withLock { state -> ([Change]?, (any Error)?) in
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

    private func read(_ source: any ViewSource, _ sequence: Int) {
        var page: [Change] = []
        var bytes = 0
        var failure: (any Error)?
        do {
            try source.readChanges(after: sequence) { sequence, id, document in
                page.append((sequence, id, document))
                bytes += document?.count ?? 0
                guard page.count >= Self.pageLength || bytes >= Self.pageBytes else { return true }
                defer {
                    page = []
                    bytes = 0
                }
                return hand(over: page)
            }
        } catch { failure = error }
        if failure == nil && !page.isEmpty { _ = hand(over: page) }
        state.withLock { $0.failure = failure }
        arrivals.signal()
    }

    /// Whether somebody still wants more.
    private func hand(over page: [Change]) -> Bool {
        room.wait()
        let isCancelled = state.withLock { state in
            if !state.isCancelled { state.pages.append(page) }
            return state.isCancelled
        }
        arrivals.signal()
        return !isCancelled
    }
}
