import CouchDocument

extension Database {
    /// The changes so far: `GET /db/_changes`.
    public func changes(_ query: ChangesQuery = .init()) async throws -> ChangesPage {
        try await changes(query.call(path("_changes"), feed: []))
    }

    /// The changes so far, or — if there are none yet — the first to come: `GET /db/_changes?feed=longpoll`.
    ///
    /// - Parameter wait: An empty answer after so long. The server may allow less.
    public func changes(_ query: ChangesQuery = .init(), waiting wait: Duration) async throws -> ChangesPage {
        let feed = [("feed", "longpoll"), ("timeout", String(wait.milliseconds))]
        var call = query.call(path("_changes"), feed: feed)
        call.patience = .feed(stall: wait + server.configuration.timeouts.stall)
        return try await changes(call)
    }

    private func changes(_ call: Call) async throws -> ChangesPage {
        let response = try await server.perform(call)
        let object = try response.object()
        guard let rows = object["results"]?.arrayValue, let last = sequenceText(object["last_seq"]) else {
            throw response.badAnswer("results or last_seq is missing")
        }
        let results = try rows.map { row in
            guard let change = Change(row) else { throw response.badAnswer("a row is no change") }
            return change
        }
        return ChangesPage(results: results, lastSequence: last, pending: object["pending"]?.intValue)
    }

    /// The changes so far and all to come: `GET /db/_changes?feed=continuous`.
    ///
    /// It goes on over lost connections and time-outs, from the last sequence that was read, until the task is cancelled,
    /// the sequence dropped, ``ChangesQuery/limit`` reached, or the server refuses it (database deleted, not allowed).
    /// After a reconnect a change may come a second time if its sequence was left out
    /// (``ChangesQuery/sequenceInterval``). Each feed holds a connection.
    public func changeFeed(_ query: ChangesQuery = .init()) -> ChangeFeed { ChangeFeed(database: self, query: query) }
}

extension Duration {
    /// Whole milliseconds, rounded up.
    var milliseconds: Int {
        let (seconds, attoseconds) = components
        let rest = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return Int(clamping: seconds.multipliedReportingOverflow(by: 1000).partialValue + rest)
    }
}
