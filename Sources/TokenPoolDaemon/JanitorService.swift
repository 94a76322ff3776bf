import CouchDB
import Logging
import ServiceLifecycle
import TokenPool

/// The daemon's janitor: keeps every pool in order that is in its store, over HTTP like any other client.
///
/// A pool is a database with our views. New ones are noticed within half a minute.
struct JanitorService: Service {
    /// The store's URL, once it serves.
    let url: AsyncStream<String>
    let administrator: String
    let password: String
    /// The store's host when it is this process, which knows itself whatever its certificate names.
    let unverifiedHost: String?
    let logger: Logger

    private static let pause = Duration.seconds(30)

    func run() async throws {
        try await cancelWhenGracefulShutdown { try await serve() }
    }

    private func serve() async throws {
        guard let url = await url.first(where: { _ in true }) else { return }
        var configuration = try ServerConfiguration(url: url)
        configuration.credentials = .basic(user: administrator, password: password)
        configuration.proxy = ""
        configuration.tls.unverifiedHost = unverifiedHost
        configuration.maxConnections = 4
        let server = try Server(configuration)
        await keep(server)
        await server.shutdown()
    }

    private func keep(_ server: Server) async {
        var known: Set<String> = []
        var plain: Set<String> = []
        var looks = 0
        await withTaskGroup(of: String.self) { group in
            // Wakes the loop that waits for the end of a janitor.
            func rest() {
                group.addTask {
                    do { try await Task.sleep(for: Self.pause) } catch { return "" }
                    return ""
                }
            }
            await look(server, &known, &plain, &group)
            rest()
            for await ended in group {
                if Task.isCancelled { continue }
                if ended.isEmpty {
                    looks += 1
                    // A database that was none may have become a pool; asking all of them each time would cost too much.
                    if looks % 10 == 0 { plain = [] }
                    await look(server, &known, &plain, &group)
                    rest()
                } else {
                    known.remove(ended)
                }
            }
        }
    }

    /// Begins a janitor for every pool that has none.
    private func look(
        _ server: Server, _ known: inout Set<String>, _ plain: inout Set<String>, _ group: inout TaskGroup<String>
    ) async {
        do {
            for name in try await server.allDatabases()
            where !name.hasPrefix("_") && !known.contains(name) && !plain.contains(name) {
                let database = server.database(name)
                guard try await isPool(database) else {
                    plain.insert(name)
                    continue
                }
                known.insert(name)
                group.addTask {
                    await tidy(Pool(database: database, logger: logger))
                    return name
                }
            }
        } catch {
            if !Task.isCancelled { logger.warning("looking for pools failed", metadata: ["error": "\(error)"]) }
        }
    }

    private func isPool(_ database: Database) async throws -> Bool {
        do { return try await database.designDocument("tokenpool") != nil } catch CouchDBError.notFound {
            return false  // Deleted since.
        }
    }

    private func tidy(_ pool: Pool) async {
        let name = pool.database.name
        let janitor = Janitor(pool: pool) { report in
            for failure in report.failures {
                logger.warning("janitor", metadata: ["database": "\(name)", "failure": "\(failure)"])
            }
        }
        do {
            try await janitor.run()
        } catch {
            // The database is gone, or its views are of another version: it is looked at again.
            logger.info("janitor ended", metadata: ["database": "\(name)", "reason": "\(error)"])
        }
    }
}
