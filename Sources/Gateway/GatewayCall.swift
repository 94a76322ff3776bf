import CouchDocument
import HTTPTypes
import Hummingbird
import NIOCore

/// A request as the pages of the gateway see it.
struct GatewayCall: Sendable {
    let method: String
    /// The rest of the path behind the gateway's own, decoded.
    let path: String
    /// The query as it was sent.
    let query: Substring
    let headers: HTTPFields
    let client: GatewayClient
    private let request: Request
    private let load: GatewayLoad.Share

    init(_ request: Request, path: String, query: Substring, from client: GatewayClient, load: GatewayLoad.Share) {
        self.request = request
        self.path = path
        self.query = query
        self.client = client
        self.load = load
        headers = request.headers
        method = request.method.rawValue
    }

    /// Refuses other methods; `HEAD` goes where `GET` does.
    func allow(_ wanted: String) throws(GatewayRefusal) {
        if method != wanted, !(method == "HEAD" && wanted == "GET") {
            throw GatewayRefusal(405, "only \(wanted) is allowed here")
        }
    }

    /// Does something that may take long, and cancels it when the client goes away.
    ///
    /// - Parameter isLong: Whether to look after the client at all.
    func whileConnected<Value: Sendable>(
        if isLong: Bool = true, _ body: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        guard isLong else { return try await body() }
        let work = Task { try await body() }
        client.whenGone { work.cancel() }
        return try await withTaskCancellationHandler {
            try await work.value
        } onCancel: {
            work.cancel()
        }
    }

    /// The whole body, which is bounded, for one request and for all together.
    func body(atMost most: Int = .max) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await piece in request.body {
            try load.hold(piece.readableBytes)
            if bytes.count + piece.readableBytes > most { throw GatewayRefusal(413, "the request is too large") }
            bytes.append(contentsOf: piece.readableBytesView)
        }
        return bytes
    }

    /// The body as a JSON object, whatever its media type.
    func object() async throws -> JSONObject {
        let json: JSON
        do { json = try JSON(parsing: try await body()) } catch is JSONError {
            throw GatewayRefusal.badRequest("the body is no JSON")
        }
        guard let members = json.objectValue else {
            throw GatewayRefusal.badRequest("the body must be a JSON object, not a \(json.kind)")
        }
        return members
    }
}
