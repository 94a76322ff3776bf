import CouchDB
import DesignDocuments
import Logging
import Synchronization
import TestSupport
import TokenPool

/// Counts the requests of a client, which logs each.
final class RequestCounter: Sendable {
    private let lines = Mutex<[String]>([])

    /// The requests since the last call, such as `POST`.
    func take() -> [String] {
        lines.withLock { lines in
            defer { lines = [] }
            return lines
        }
    }

    fileprivate func note(_ line: String) { lines.withLock { $0.append(line) } }

    var logger: Logger {
        var logger = Logger(label: "counter") { _ in Handler(counter: self) }
        logger.logLevel = .debug
        return logger
    }

    private struct Handler: LogHandler {
        let counter: RequestCounter
        var logLevel = Logger.Level.debug
        var metadata: Logger.Metadata = [:]

        init(counter: RequestCounter) { self.counter = counter }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { metadata[key] }
            set { metadata[key] = newValue }
        }

        func log(event: LogEvent) {
            guard event.message == "request", let request = event.metadata?["request"] else { return }
            counter.note("\(request)")
        }
    }
}

/// Runs a test with a pool whose requests are counted.
func withCountedPool(_ body: (Pool, RequestCounter) async throws -> Void) async throws {
    try await withDatabase { database in
        for design in DesignDocuments.all { try await database.push(design) }
        let counter = RequestCounter()
        var configuration = try ServerConfiguration(url: try await TestServer.shared().url)
        configuration.logger = counter.logger
        let server = try Server(configuration)
        do { try await body(Pool(database: server.database(database.name)), counter) } catch {
            await server.shutdown()
            throw error
        }
        await server.shutdown()
    }
}
