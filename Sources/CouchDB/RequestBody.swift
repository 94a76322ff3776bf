public import CouchDocument

/// What is sent with a request.
public enum RequestBody: Sendable {
    /// These bytes.
    case bytes([UInt8])
    /// A JSON value, with `Content-Type: application/json`.
    case json(JSON)
    /// A file, streamed; its length is taken when the request begins.
    case file(path: String)
    /// Pieces as they come, at most a few held in memory; without a length they are sent chunked. Can be sent only once,
    /// so such a request is never repeated.
    case stream(length: Int?, any AsyncSequence<[UInt8], any Error> & Sendable)

    /// Whether a second attempt can send the same.
    var isReplayable: Bool {
        if case .stream = self { false } else { true }
    }
}
