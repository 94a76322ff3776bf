import CouchDB
import CouchDocument
import Logging

/// Speaks Data Dispatcher's HTTP interface: with our gateway and with the original.
///
/// A cheap handle, to be copied freely. A server that says 503 is asked again after growing pauses, as its other clients
/// do; nothing else is repeated.
package struct DispatcherClient: Sendable {
    /// The data server's URL, as it was given: the name under which a ``TokenLibrary`` keeps its token.
    package let url: String
    private let server: Server
    private let session: DispatcherSession
    private let patience: Duration

    /// - Parameters:
    ///   - url: The data server's, such as `https://host:5984/_pool/dd/data`.
    ///   - patience: How long a server may say 503.
    /// - Throws: ``DispatcherError`` when that is no URL.
    package init(
        url: String, session: DispatcherSession, tls: TLSOptions = TLSOptions(), patience: Duration = .seconds(300),
        logger: Logger
    ) throws {
        self.url = url
        self.session = session
        self.patience = patience
        server = try Self.server(url, tls: tls, logger: logger)
    }

    /// A way to that address, without anybody's name.
    static func server(_ url: String, tls: TLSOptions, logger: Logger) throws -> Server {
        do {
            var configuration = try ServerConfiguration(url: url)
            configuration.credentials = nil
            configuration.tls = tls
            configuration.retry = .never
            configuration.logger = logger
            return try Server(configuration)
        } catch let error as CouchDBError {
            throw DispatcherError(code: .refused, reason: error.reason, attempted: error.attempted)
        }
    }

    /// Ends what is on its way, and the connections.
    package func shutdown() async { await server.shutdown() }

    /// What the server calls its version.
    package func version() async throws -> String {
        let answer = try await send("GET", "version", isSafe: true)
        return String(decoding: answer.body, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init)
            ?? ""
    }

    // MARK: requests

    /// What is asked for by a query. Values are encoded, all of them.
    func get(
        _ page: String, _ query: [(String, String)] = [], isSafe: Bool = false, silence: Duration? = nil
    ) async throws -> JSON {
        var target = page
        for (index, (name, value)) in query.enumerated() {
            target += (index == 0 ? "?" : "&") + name + "=" + value.percentEncodedSegment
        }
        return try Self.json(try await send("GET", target, isSafe: isSafe, silence: silence))
    }

    /// What is asked for by an object. The interface wants it without a media type.
    func post(_ page: String, _ body: JSONObject, isSafe: Bool = false) async throws -> JSON {
        try Self.json(try await send("POST", page, body: .bytes(JSON.object(body).encoded()), isSafe: isSafe))
    }

    /// As ``get(_:_:isSafe:silence:)``, where an object is wanted.
    func getObject(_ page: String, _ query: [(String, String)], isSafe: Bool = false) async throws -> JSONObject {
        try Self.object(try await get(page, query, isSafe: isSafe), "GET /\(page)")
    }

    func getList(_ page: String, _ query: [(String, String)]) async throws -> [JSONObject] {
        try Self.list(try await get(page, query, isSafe: true), "GET /\(page)")
    }

    static func object(_ json: JSON, _ attempted: String) throws -> JSONObject {
        guard let object = json.objectValue else {
            throw DispatcherError(code: .badAnswer, reason: "an object was expected", attempted: attempted)
        }
        return object
    }

    static func list(_ json: JSON, _ attempted: String) throws -> [JSONObject] {
        guard let list = json.arrayValue else {
            throw DispatcherError(code: .badAnswer, reason: "a list was expected", attempted: attempted)
        }
        return try list.map { try object($0, attempted) }
    }

    private static func json(_ response: Response) throws -> JSON {
        do throws(JSONError) { return try JSON(parsing: response.body) } catch {
            throw DispatcherError(
                code: .badAnswer, status: response.status, reason: "the answer is no JSON: \(error)",
                attempted: response.attempted)
        }
    }

    private func send(
        _ method: String, _ target: String, body: RequestBody? = nil, isSafe: Bool = false, silence: Duration? = nil
    ) async throws -> Response {
        var token = try await session.token()
        let start = ContinuousClock.now
        var pauses = 0
        while true {
            var headers = [("Accept", "*/*")]
            if let token { headers.append(("X-Authentication-Token", token)) }
            let response: Response
            do {
                response = try await server.plainRequest(
                    method, "/" + target, headers: headers, body: body, isSafe: isSafe,
                    silence: silence ?? .seconds(300))
            } catch let error as CouchDBError {
                throw DispatcherError(error)
            }
            if response.status == 200 { return response }
            if response.status == 401, let newer = try await session.token(after: token) {
                token = newer
                continue
            }
            let refusal = DispatcherError(response, at: url)
            let pause = Self.pause(pauses)
            guard response.status == 503, ContinuousClock.now - start + pause < patience else { throw refusal }
            pauses += 1
            do { try await Task.sleep(for: pause) } catch {
                throw DispatcherError(code: .cancelled, reason: "cancelled", attempted: response.attempted)
            }
        }
    }

    /// Growing, and never the same for two clients.
    private static func pause(_ count: Int) -> Duration {
        var seconds = 1.0
        for _ in 0..<min(count, 12) { seconds *= 1.5 }
        return .milliseconds(Int(seconds * Double.random(in: 200...1000)))
    }
}
