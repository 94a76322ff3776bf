import CouchDocument
import HTTPTypes
import Hummingbird
import NIOCore
import NIOHTTPTypes

/// A request as the routes see it: path and query taken apart, who sends it, and its body to be read once.
package struct Call: Sendable {
    package let method: String
    package internal(set) var path: RequestPath
    package internal(set) var query: Query
    package let headers: HTTPFields
    /// Who sends it; nobody until sign-in was looked at.
    package var account = Account.nobody
    /// The sender's address, without port.
    package let peer: String
    private let request: Request
    /// What it came over; `nil` when it is from this process.
    let channel: (any Channel)?
    /// Its part of what the server has to do.
    let share: Workload.Share
    /// Bytes; CouchDB's `max_http_request_size`.
    private let largestRequest: Int
    /// Whether it came over TLS.
    let isSecure: Bool

    init(
        _ request: Request, channel: (any Channel)?, share: Workload.Share, largestRequest: Int, isSecure: Bool = false
    ) throws(Refusal) {
        self.isSecure = isSecure
        self.request = request
        self.channel = channel
        self.share = share
        self.largestRequest = largestRequest
        headers = request.headers
        peer = channel?.remoteAddress?.ipAddress ?? "local"
        var target = Substring(request.head.path ?? "/")
        if target.hasPrefix("http://") || target.hasPrefix("https://") {
            let afterScheme = target.dropFirst(target.hasPrefix("https") ? 8 : 7)
            target = afterScheme.firstIndex(of: "/").map { afterScheme[$0...] } ?? "/"
        }
        let end = target.utf8.firstIndex { $0 == UInt8(ascii: "?") || $0 == UInt8(ascii: "#") } ?? target.endIndex
        path = try RequestPath(target[..<end])
        let rest = target[end...]
        query = try Query(rest.hasPrefix("?") ? rest.dropFirst() : "")
        let verb = request.method.rawValue
        method = verb == "POST" ? request.headers[.methodOverride] ?? verb : verb
    }

    /// `http://HOST`, for `Location`.
    var base: String { "\(isSecure ? "https" : "http")://\(hostHeader ?? "localhost")" }

    /// The host as the client named it.
    var hostHeader: String? { request.head.authority }

    /// The absolute address of a place below the root, its names encoded.
    func location(_ names: String...) -> String { base + names.map { "/" + RequestPath.encode($0) }.joined() }

    /// The path and query as they were sent.
    var target: String { request.head.path ?? "/" }

    /// Refuses other verbs. `allowed` as CouchDB lists them; `HEAD` counts as given wherever `GET` is.
    func allow(_ allowed: String) throws(Refusal) {
        let verbs = allowed.split(separator: ",")
        if verbs.contains(where: { $0 == method }) || method == "HEAD" && verbs.contains("GET") { return }
        throw .methodNotAllowed(allowed)
    }

    /// Whether this asks to read: `GET`, or `HEAD` which is answered alike without the body.
    var isReading: Bool { method == "GET" || method == "HEAD" }

    /// Whether the client says that it takes JSON.
    var acceptsJSON: Bool {
        guard let accept = headers[.accept] else { return false }
        return accept.split(separator: ",").contains {
            let type = $0.split(separator: ";").first.map { $0.filter { $0 != " " }.lowercased() }
            return type == "application/json"
        }
    }

    /// Whether the client's copy, named by `If-None-Match`, is this one. `tag` with its quotes.
    func alreadyHas(_ tag: String) -> Bool {
        guard let known = headers[.ifNoneMatch] else { return false }
        return known.split(separator: ",").contains { $0.drop { $0 == " " } == tag }
    }
}

extension Call {
    /// Whether the body is more than what is read in passing; also when its size is not told.
    var hasLargeBody: Bool {
        if headers[.transferEncoding] != nil || headers[.contentEncoding] != nil { return true }
        guard let length = headers[.contentLength].flatMap({ Int($0) }) else { return false }
        return length > 64 << 10
    }

    /// The pieces of the body as they come. The client is told to go on when it waits for that.
    func bodyStream() async throws -> BodyPieces {
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > largestRequest {
            throw Refusal.requestTooLarge
        }
        if headers[.expect]?.lowercased() == "100-continue" {
            // Written past the response writer, which Hummingbird keeps to itself.
            try await channel?.writeAndFlush(HTTPResponsePart.head(HTTPResponse(status: .continue))).get()
        }
        return BodyPieces(body: request.body, share: share, limit: largestRequest)
    }

    /// Whether the body is gzipped.
    private var isCompressed: Bool {
        get throws(Refusal) {
            let encoding = headers[.contentEncoding]?.lowercased() ?? "identity"
            guard encoding == "identity" || encoding == "gzip" else {
                throw Refusal(415, "bad_content_type", "\(encoding) is not a supported content encoding.")
            }
            return encoding == "gzip"
        }
    }

    /// The body piece by piece for one who keeps it, decompressed when it is gzipped: then it is one piece. What must be in
    /// memory at once is bounded, for one request and for all of them together.
    func keptPieces() async throws -> KeptPieces {
        if try isCompressed { return KeptPieces(whole: try await body()) }
        let limit = min(largestRequest, share.largestBody)
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw Refusal.requestTooLarge }
        return KeptPieces(try await bodyStream(), share: share, limit: limit)
    }

    /// The whole body, decompressed when it is gzipped. What must be in memory at once is bounded, for one request and
    /// for all of them together.
    func body() async throws -> ByteBuffer {
        let isCompressed = try isCompressed
        let limit = min(largestRequest, share.largestBody)
        if let length = headers[.contentLength].flatMap({ Int($0) }), length > limit { throw Refusal.requestTooLarge }
        var pieces = KeptPieces(try await bodyStream(), share: share, limit: limit)
        var buffer = ByteBuffer()
        while var piece = try await pieces.next() { buffer.writeBuffer(&piece) }
        guard isCompressed else { return buffer }
        do {
            let plain = try await Gzip.decompress(Array(buffer.readableBytesView), limit: limit)
            try share.hold(bytes: plain.count)
            return ByteBuffer(bytes: plain)
        } catch Gzip.Fault.tooLarge {
            throw Refusal.requestTooLarge
        } catch Gzip.Fault.malformed {
            throw Refusal.badRequest("Request body is not properly gzipped.")
        }
    }

    /// The body as JSON, whatever its media type.
    func json() async throws -> JSON {
        let buffer = try await body()
        let parse: @Sendable () throws -> JSON = { try JSON(parsing: buffer.readableBytesView, numbers: .canonical) }
        do {
            return buffer.readableBytes < LargeBodies.size ? try parse() : try await LargeBodies.perform(parse)
        } catch is JSONError {
            throw Refusal.invalidJSON
        }
    }

    /// The size beyond which a document in the body is to be measured: none is larger than the body itself.
    func documentLimit(_ limit: Int) -> Int {
        guard headers[.contentEncoding] == nil, let length = headers[.contentLength].flatMap({ Int($0) }) else {
            return limit
        }
        return length <= limit ? .max : limit
    }

    /// Refuses a body that does not say to be JSON.
    func requireJSONContent() throws(Refusal) {
        let type = headers[.contentType]?.split(separator: ";").first.map { $0.filter { $0 != " " }.lowercased() }
        guard type == "application/json" else { throw .notJSONContent }
    }

    /// The body of a POST, which must be a JSON object and say so.
    func postedObject() async throws -> JSONObject {
        try requireJSONContent()
        guard let object = try await json().objectValue else { throw Refusal.notAnObject }
        return object
    }
}
