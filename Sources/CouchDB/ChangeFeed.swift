import CouchDocument
import Logging

/// Changes as they happen. See ``Database/changeFeed(_:)``.
public struct ChangeFeed: AsyncSequence, Sendable {
    /// A change.
    public typealias Element = Change
    /// A ``CouchDBError``.
    public typealias Failure = any Error

    let database: Database
    let query: ChangesQuery

    /// Begins a feed of its own.
    public func makeAsyncIterator() -> Iterator { Iterator(database: database, query: query) }

    /// Reads one feed, over as many connections as it takes.
    public struct Iterator: AsyncIteratorProtocol {
        private let database: Database
        private var query: ChangesQuery
        private var reader: RowReader?
        /// Connections lost in a row without a byte read between.
        private var failures = 0
        private var hasEnded = false

        init(database: Database, query: ChangesQuery) {
            self.database = database
            self.query = query
        }

        /// Where the feed would go on: the sequence of the last change read, or what it began with.
        public var lastSequence: String? { query.since }

        /// The next change; `nil` after ``ChangesQuery/limit``, and after an error was thrown.
        public mutating func next() async throws -> Change? {
            while !hasEnded {
                if query.limit == 0 { break }
                do {
                    if let change = try await nextOfConnection() { return change }
                } catch let error as CouchDBError where error.endsOnlyConnection {
                    reader = nil
                    failures += 1
                    try await pause(after: error)
                } catch {
                    hasEnded = true
                    throw error
                }
            }
            hasEnded = true
            reader = nil
            return nil
        }

        /// `nil` when the server ended this connection in order, as it does now and then.
        private mutating func nextOfConnection() async throws -> Change? {
            let attempted = "GET " + database.path("_changes")
            if reader == nil {
                let heartbeat = String(Swift.max(1, query.heartbeat.milliseconds))
                var call = query.call(
                    database.path("_changes"), feed: [("feed", "continuous"), ("heartbeat", heartbeat)])
                // Two heartbeats missed and a margin: the other end is gone.
                call.patience = .feed(stall: query.heartbeat * 2 + .seconds(5))
                reader = RowReader(try await database.server.open(call), array: nil, attempted: attempted)
            }
            guard let row = try await reader?.next() else {
                reader = nil
                // A server or proxy that ends each connection at once must not be asked in a tight loop.
                failures += 1
                if failures > 1 { try await pause(after: nil) }
                return nil
            }
            failures = 0
            if let last = sequenceText(row["last_seq"]) {
                query.since = last
                reader = nil
                return nil
            }
            guard let change = Change(row) else {
                if let fields = row.objectValue, let word = fields["error"]?.stringValue {
                    throw CouchDBError(
                        code: .init(errorWord: word), error: word, reason: fields["reason"]?.stringValue ?? "",
                        attempted: attempted)
                }
                throw CouchDBError(code: .badAnswer, reason: "a line is no change: \(row)", attempted: attempted)
            }
            if let sequence = change.sequence { query.since = sequence }
            if let limit = query.limit { query.limit = limit - 1 }
            return change
        }

        private func pause(after error: CouchDBError?) async throws {
            var policy = database.server.configuration.retry
            policy.attempts = .max
            policy.within = .seconds(.max / 4)
            let jitter = Double.random(in: 0...1)
            let delay = policy.delay(after: failures, elapsed: .zero, retryAfter: nil, jitter: jitter)
            database.server.configuration.logger.debug(
                "change feed reconnects",
                metadata: ["database": "\(database.name)", "reason": "\(error?.description ?? "ended by the server")"])
            do {
                try await Task.sleep(for: delay ?? .seconds(1))
            } catch {
                throw CouchDBError(
                    code: .cancelled, reason: "the task was cancelled", attempted: "GET " + database.path("_changes"))
            }
        }
    }
}

extension CouchDBError {
    /// Whether a feed goes on with a new connection.
    var endsOnlyConnection: Bool {
        switch code {
        case .interrupted, .timedOut, .unreachable, .tooManyRequests, .serverError: true
        default: false
        }
    }
}
