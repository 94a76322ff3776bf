import CouchStore

/// Waiting for the next change, a sign of life that is due, the end of patience, or the end of the client or the server.
enum ChangeWait: Sendable {
    case changed, elapsed, ending

    /// - Parameter milliseconds: How long to wait at most.
    static func next(
        after sequence: Int, in database: StoredDatabase, milliseconds: Int, feeds: EndSignal, client: EndSignal
    ) async throws -> ChangeWait {
        let (signals, source) = AsyncStream<Void>.makeStream()
        let forget = feeds.whenOver { source.finish() }
        let forgetClient = client.whenOver { source.finish() }
        defer {
            forget()
            forgetClient()
        }
        return try await withThrowingTaskGroup(of: ChangeWait.self) { group in
            group.addTask {
                do {
                    try await database.waitForChange(after: sequence)
                    return .changed
                } catch let error as StoreError where error.code == .closed {
                    return .ending
                }
            }
            group.addTask {
                try await Task.sleep(for: .milliseconds(milliseconds))
                return .elapsed
            }
            group.addTask {
                for await _ in signals {}
                return .ending
            }
            defer { group.cancelAll() }
            return try await group.next() ?? .ending
        }
    }
}
