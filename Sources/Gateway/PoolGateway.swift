import CouchDB
import CouchDocument
import HTTPTypes
import Hummingbird
import Logging
import NIOCore
import Synchronization
import TokenPool

/// What is served below `/_pool`: the dispatcher for Data Dispatcher's clients.
///
/// A client of the store like any other: it keeps no state that another gateway would need.
package final class PoolGateway: Sendable {
    /// What it is told when it is made.
    package struct Settings: Sendable {
        /// The database of the pool.
        package var database: String
        /// Signs the tokens of those who signed in; gateways that share it take each other's.
        package var secret: String
        /// Whether projects and storage elements are shown only to those who signed in.
        package var isPrivate: Bool
        /// Who may sign in, how, and how often.
        package var signIn: SignInSettings

        package init(
            database: String, secret: String, isPrivate: Bool = false, signIn: SignInSettings = SignInSettings()
        ) {
            self.database = database
            self.secret = secret
            self.isPrivate = isPrivate
            self.signIn = signIn
        }
    }

    /// Everything below this path is the gateway's: no database can be there.
    package static let prefix = "/_pool"

    private let settings: Settings
    private let users: UserDirectory
    private let logger: Logger
    private let load = GatewayLoad()
    /// Protects the dispatcher, which is there as soon as the store is.
    private let dispatcher = Mutex<Dispatcher?>(nil)

    package init(settings: Settings, users: UserDirectory, logger: Logger) {
        self.settings = settings
        self.users = users
        self.logger = logger
    }

    /// Begins to serve the pool on that server.
    ///
    /// - Parameter note: Hears when something becomes due in the pool.
    /// - Returns: The pool.
    package func open(_ server: Server, note: @escaping @Sendable (Timestamp) -> Void) -> Pool {
        let pool = Pool(database: server.database(settings.database), logger: logger)
        let opened = Dispatcher(pool: pool, users: users, settings: settings, note: note)
        dispatcher.withLock { $0 = opened }
        return pool
    }

    /// Sends those home who wait for a file: the server is about to stop.
    package func endWaiting() { dispatcher.withLock { $0 }?.desk.endWaiting() }

    /// Answers a request below ``prefix``.
    package func respond(to request: Request, from client: GatewayClient) async throws -> Response {
        let target = request.head.path ?? "/"
        let end = target.firstIndex(of: "?") ?? target.endIndex
        let query = target[end...].dropFirst()
        var answer: GatewayAnswer
        do {
            let share = try load.admit()
            let path = try RawQuery.decoded(target[..<end].dropFirst(Self.prefix.count))
            let call = GatewayCall(request, path: path, query: query, from: client, load: share)
            answer = try await self.answer(call)
        } catch let refusal as GatewayRefusal {
            answer = GatewayAnswer(refusal)
        } catch let error as PoolError where error.code == .badInput {
            answer = .text(400, error.description)
        } catch let error as PoolError where error.code == .contended {
            answer = GatewayAnswer(.overload(error.description))
        } catch let error as CouchDBError
            where [.tooManyRequests, .unreachable].contains(error.code) || error.status == 503
        {
            answer = GatewayAnswer(.overload("the store is busy"))
        } catch CouchDBError.notFound {
            answer = .text(500, "there is no database \"\(settings.database)\": make it with `tokenpool init`")
        } catch let fault as DirectoryFault {
            logger.warning("gateway can not ask who somebody is", metadata: ["reason": "\(fault.reason)"])
            answer = GatewayAnswer(.overload("who you are can not be found out now"))
        } catch is CancellationError {
            answer = GatewayAnswer(.overload("the server is stopping"))
        } catch {
            logger.error(
                "gateway request failed",
                metadata: ["request": "\(request.method) \(target[..<end])", "error": "\(error)"])
            answer = .text(500, "the server failed: see its log")
        }
        return response(answer, to: request)
    }

    private func answer(_ call: GatewayCall) async throws -> GatewayAnswer {
        let dispatcher = try await opened()
        for (prefix, pages) in [("/dd/data", dispatcher.data), ("/dd/auth", dispatcher.authenticate)]
        where call.path.hasPrefix(prefix + "/") {
            let name = String(call.path.dropFirst(prefix.count + 1))
            // What is done in a moment stays on the connection's thread; nobody else has to wake up for it.
            if Dispatcher.shortPages.contains(name) { return try await pages(call, name) }
            return try await withTaskExecutorPreference(globalConcurrentExecutor) { try await pages(call, name) }
        }
        throw GatewayRefusal(404, "there is no such page")
    }

    /// The dispatcher, which is there a moment after the socket is.
    private func opened() async throws -> Dispatcher {
        for _ in 0..<100 {
            if let opened = dispatcher.withLock({ $0 }) { return opened }
            try await Task.sleep(for: .milliseconds(20))
        }
        throw GatewayRefusal.overload("the server is starting")
    }

    private func response(_ answer: GatewayAnswer, to request: Request) -> Response {
        var headers = HTTPFields()
        headers[.contentType] = answer.contentType
        headers[.cacheControl] = "no-store"
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers.append(HTTPField(name: name, value: value)) }
        }
        let status = HTTPResponse.Status(code: answer.status)
        switch answer.body {
        case .bytes(let bytes):
            if request.method == .head {
                headers[.contentLength] = String(bytes.count)
                return Response(status: status, headers: headers)
            }
            return Response(status: status, headers: headers, body: ResponseBody(byteBuffer: ByteBuffer(bytes: bytes)))
        case .stream(let write):
            if request.method == .head { return Response(status: status, headers: headers) }
            let logger = logger
            return Response(
                status: status, headers: headers,
                body: ResponseBody { writer in
                    do {
                        var stream = JSONStream(writer)
                        try await write(&stream)
                        try await stream.flush()
                    } catch {
                        // The status is out: all that can be told is that the answer has no end.
                        logger.error("gateway answer broke off", metadata: ["error": "\(error)"])
                        throw error
                    }
                    try await writer.finish(nil)
                })
        }
    }
}
