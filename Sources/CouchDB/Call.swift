import CouchDocument

/// One request as CouchDB understands it, before sign-in and transport.
struct Call: Sendable {
    /// How long the server may be silent.
    enum Patience: Sendable {
        /// ``Timeouts/stall``.
        case normal
        /// ``Timeouts/indexing``.
        case indexing
        /// So long, and without a limit for the whole: a feed.
        case feed(stall: Duration)
    }

    var method: String
    /// From the server's root, percent-encoded.
    var path: String
    var query: [(String, String)] = []
    var headers: [(String, String)] = []
    var body: RequestBody?
    var repeatability: Repeatability
    var patience = Patience.normal

    init(
        _ method: String, _ path: String, query: [(String, String)] = [], headers: [(String, String)] = [],
        body: RequestBody? = nil, repeatability: Repeatability? = nil, patience: Patience = .normal
    ) {
        self.method = method
        self.path = path
        self.query = query
        self.headers = headers
        self.body = body
        self.repeatability = repeatability ?? (method == "GET" || method == "HEAD" ? .safe : .onlyIfNothingHappened)
        self.patience = patience
    }

    /// Method and path, for errors. What may stand behind a question mark is not for everybody's eyes.
    var attempted: String { method + " " + path.prefix { $0 != "?" } }

    /// The path with its query.
    var target: String {
        if query.isEmpty { return path }
        var text = path + (path.utf8.contains(UInt8(ascii: "?")) ? "&" : "?")
        for (index, (name, value)) in query.enumerated() {
            if index > 0 { text += "&" }
            text += name.percentEncodedSegment + "=" + value.percentEncodedSegment
        }
        return text
    }
}
