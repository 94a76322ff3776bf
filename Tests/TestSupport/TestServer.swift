/// A `tokenpoold` of the tests' own: a real process on a free port, with a folder that goes when the tests end.
///
/// With `COUCHDB_URL` set (an admin in it), that server is used instead and nothing is started.
public struct TestServer: Sendable {
    /// `http://admin:password@127.0.0.1:PORT`.
    public let url: String

    /// The server that all tests of this process share; started by the first who asks.
    public static func shared() async throws -> TestServer { fatalError("not built yet") }

    /// A server for one test alone, for tests that stop or kill it.
    public static func start(arguments: [String] = []) async throws -> TestServer { fatalError("not built yet") }
}
