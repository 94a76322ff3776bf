import CouchDB
import Foundation

/// A `tokenpoold` of the tests' own: a real process on a free port, with a folder that goes when the tests end.
///
/// With `COUCHDB_URL` set (an admin in it), ``shared()`` is that server and nothing is started.
public struct TestServer: Sendable {
    /// `http://admin:password@127.0.0.1:PORT`.
    public let url: String
    private let process: ServerProcess?

    private static let common = Task { try await begin() }

    private static func begin() async throws -> TestServer {
        if let url = externalURL { return TestServer(url: url, process: nil) }
        return try await start()
    }

    /// The server named by `COUCHDB_URL`, if any.
    public static var externalURL: String? { ProcessInfo.processInfo.environment["COUCHDB_URL"] }

    /// The server that all tests of this process share; started by the first who asks.
    public static func shared() async throws -> TestServer { try await common.value }

    /// A server for one test alone, for tests that stop or kill it. It ends with the tests at the latest.
    ///
    /// - Parameter arguments: Added to the command line.
    public static func start(arguments: [String] = []) async throws -> TestServer {
        let process = try ServerProcess(arguments: arguments)
        let port = try await process.launch(port: 0)
        let scheme = arguments.contains("--tls-certificate") ? "https" : "http"
        return TestServer(
            url: "\(scheme)://\(ServerProcess.admin):\(ServerProcess.password)@127.0.0.1:\(port)", process: process)
    }

    /// A client of this server, if that is not over TLS.
    public func client() throws -> Server { try Server(url: url) }

    /// The folder of its databases.
    public var folder: String { own.folder }

    /// The process, while it runs and is the tests' own.
    public var processID: Int32? { process?.processID }

    private var own: ServerProcess {
        guard let process else { fatalError("the server at COUCHDB_URL is not the tests' own: use TestServer.start()") }
        return process
    }

    /// The memory that the server has now.
    public var residentBytes: Int { get throws { try own.residentBytes } }

    /// Asks the server to end (SIGTERM), waits until it has and answers its exit status.
    @discardableResult
    public func stop() async throws -> Int32 { try await own.end(SIGTERM) }

    /// Kills the server (SIGKILL) and waits until it is gone.
    public func kill() async throws { _ = try await own.end(SIGKILL) }

    /// Starts it again after ``stop()`` or ``kill()``: on the same folder and the same port.
    public func restart() async throws { _ = try await own.launch(port: own.port) }

    /// Runs a `tokenpoold` that is expected not to start; answers its exit status and what it said.
    public static func refused(_ arguments: [String]) async throws -> (status: Int32, text: String) {
        try await ServerProcess.run(arguments)
    }

    /// Runs a second `tokenpoold` that is expected to refuse; answers its exit status and what it said.
    public func runAnother(_ arguments: [String]) async throws -> (status: Int32, text: String) {
        try await ServerProcess.run(arguments)
    }
}
