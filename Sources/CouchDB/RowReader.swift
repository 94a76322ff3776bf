import CouchDocument

/// Reads the elements of one array of a streamed answer, and in the end checks that the answer was complete.
struct RowReader {
    private var splitter: StreamSplitter
    private var chunks: ResponseBody.Iterator
    private let attempted: String
    private var ready: [JSON] = []
    private var position = 0
    private var hasEnded = false

    /// The elements of that member of the one object, or — with `nil` — the values of a body that is a row of values.
    init(_ response: StreamedResponse, array: String?, attempted: String) {
        splitter = StreamSplitter(array: array)
        chunks = response.body.makeAsyncIterator()
        self.attempted = attempted
    }

    /// The members beside the array, as far as they were read.
    var members: JSONObject { splitter.members }

    /// The next element; `nil` after the last.
    mutating func next() async throws -> JSON? {
        while position == ready.count {
            if hasEnded { return nil }
            ready.removeAll(keepingCapacity: true)
            position = 0
            let chunk = try await chunks.next()
            do throws(StreamSplitter.Fault) {
                if let chunk {
                    try splitter.feed(chunk) { ready.append($0) }
                } else {
                    hasEnded = true
                    try splitter.finish()
                }
            } catch {
                hasEnded = true
                throw failure(error)
            }
        }
        defer { position += 1 }
        return ready[position]
    }

    private func failure(_ fault: StreamSplitter.Fault) -> CouchDBError {
        switch fault {
        case .malformed(let reason):
            CouchDBError(code: .badAnswer, reason: "unexpected answer: \(reason)", attempted: attempted)
        case .incomplete:
            CouchDBError(code: .interrupted, reason: "the answer was cut short", attempted: attempted)
        case .refused(let fields):
            // CouchDB appends an error object to rows that it began to send (chttpd:send_delayed_error).
            CouchDBError(
                code: .init(errorWord: fields["error"]?.stringValue ?? ""), error: fields["error"]?.stringValue,
                reason: fields["reason"]?.stringValue ?? "the server failed while it answered", attempted: attempted)
        }
    }
}
