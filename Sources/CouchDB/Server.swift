import CouchDocument
import Logging

/// A CouchDB server: a cheap handle, to be copied freely. Its copies share one transport, which is one thread and its
/// connections; it ends when the last handle goes, or at ``shutdown()``.
///
/// ```swift
/// let server = try Server(url: "http://admin:secret@localhost:5984")
/// let database = try await server.createDatabaseIfMissing("pool")
/// ```
public struct Server: Sendable {
    let core: ServerCore

    /// A handle on the server of that configuration. Nothing is sent yet.
    ///
    /// - Throws: ``CouchDBError/badRequest`` when a file named there (`.netrc`) can not be used.
    public init(_ configuration: ServerConfiguration) throws { core = try ServerCore(configuration) }

    /// A handle on the server at `http(s)://[name:password@]host[:port]`.
    public init(url: String) throws { try self.init(ServerConfiguration(url: url)) }

    /// What this handle was made with.
    public var configuration: ServerConfiguration { core.configuration }

    /// Ends all requests with ``CouchDBError/cancelled``, closes the connections and waits for the thread's end. Later
    /// requests fail in the same way.
    public func shutdown() async { await core.transport.shutdown() }

    /// Runs `body`, and the child tasks that it makes, on the thread that moves this client's bytes.
    ///
    /// A request then costs no change of thread on its way out and none back, which is half the time of a short one to a
    /// server nearby: good for work that makes one request after the other. What is computed there holds up the client's
    /// other requests, and it must never block.
    public func onTransportThread<Result, Failure: Error>(
        isolation: isolated (any Actor)? = #isolation, _ body: () async throws(Failure) -> Result
    ) async throws(Failure) -> Result {
        try await withTaskExecutorPreference(core.transport.executor, isolation: isolation, operation: body)
    }

    /// Starts a task on the thread that moves this client's bytes; see ``onTransportThread(isolation:_:)``.
    package func startOnTransportThread(_ body: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
        Task(executorPreference: core.transport.executor) { await body() }
    }

    /// A handle on a database. Nothing is sent: it need not exist.
    public func database(_ name: String) -> Database { Database(server: self, name: name) }

    /// Sends any request and collects its answer: the door to what has no function of its own here.
    ///
    /// - Parameters:
    ///   - path: From the server's root, already percent-encoded (see `percentEncodedSegment` in CouchDocument).
    ///   - query: Names and values as they are; they are encoded here.
    ///   - headers: Added to, and before, the client's own.
    /// - Throws: ``CouchDBError`` for every status from 300 on.
    public func request(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
        body: RequestBody? = nil
    ) async throws -> Response {
        try await perform(Call(method, path, query: query, headers: headers, body: body))
    }

    /// Sends any request and hands its answer over as it comes. See ``request(_:_:query:headers:body:)``.
    public func stream(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
        body: RequestBody? = nil
    ) async throws -> StreamedResponse {
        try await open(Call(method, path, query: query, headers: headers, body: body))
    }
}

/// What the copies of a handle share.
final class ServerCore: Sendable {
    let configuration: ServerConfiguration
    let transport: CouchTransport
    let authentication: Authentication
    /// Scheme, host, port and prefix.
    let root: String

    init(_ configuration: ServerConfiguration) throws {
        self.configuration = configuration
        root = configuration.address.description
        authentication = try Authentication(configuration.credentials, address: configuration.address)
        transport = CouchTransport(TransportSettings(configuration))
    }
}
