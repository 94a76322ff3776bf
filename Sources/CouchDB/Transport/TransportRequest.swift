import Synchronization

/// What one transport's connections have in common.
struct TransportSettings: Sendable {
    var connect: Duration
    var proxy: String?
    var unixSocket: String?
    var tls: TLSOptions
    /// Off only for the one host that the caller named.
    var isVerified: Bool
    var maxConnections: Int

    init(_ configuration: ServerConfiguration) {
        connect = configuration.timeouts.connect
        proxy = configuration.proxy
        unixSocket = configuration.unixSocket
        tls = configuration.tls
        isVerified = !(configuration.tls.unverifiedHost.map(configuration.address.isNamed) ?? false)
        maxConnections = max(1, configuration.maxConnections)
    }
}

/// One HTTP request, ready to be sent: nothing here knows of CouchDB.
struct TransportRequest: Sendable {
    var method: String
    var url: String
    var headers: [(String, String)]
    var body: Upload?
    /// Whether the answer is handed over with its first byte, or when it is complete.
    var isStreamed = false
    /// Whether libcurl may send it again when a kept connection turns out to be dead.
    var mayBeRepeated = false
    var stall: Duration = .seconds(60)
    var whole: Duration?
}

/// What is sent as a request's body.
enum Upload: Sendable {
    case bytes([UInt8])
    case source(any UploadSource)
}

/// An answer: complete, or with a body that is still coming.
struct TransportAnswer: Sendable {
    let status: Int
    let headers: HeaderFields
    let body: [UInt8]
    let stream: Exchange?
}

/// Why there was no complete answer.
struct TransportFailure: Error, Sendable {
    let code: CouchDBError.Code
    let reason: String

    static let cancelled = TransportFailure(code: .cancelled, reason: "the task was cancelled")
    static let shutDown = TransportFailure(code: .cancelled, reason: "the client was shut down")
}
