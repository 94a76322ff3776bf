import CouchDocument
import CouchStore
import HTTPTypes

/// What a reader of `_changes` asks for.
struct ChangesOptions: Sendable {
    enum Feed: Sendable { case normal, longpoll, continuous, eventSource }

    var feed = Feed.normal
    /// The sequence after which to begin.
    var since = 0
    /// `nil`: no limit.
    var limit: Int?
    var isDescending = false
    var includesDocuments = false
    var conflicts = false
    var attachments = false
    var encodingInfo = false
    /// Whether all leaves are listed, not the winner alone.
    var allLeaves = false
    /// Every so many rows tell their sequence.
    var sequenceInterval = 1
    /// Milliseconds between signs of life; a feed with them does not end by itself.
    var heartbeat: Int?
    /// Milliseconds without a change after which a feed ends.
    var timeout: Int

    /// Reads the query of a request; the body of a POST says nothing here but to filters.
    ///
    /// - Parameter longestWait: Milliseconds that bound ``heartbeat`` and ``timeout``, as in CouchDB, and what they are
    ///   unless the request says.
    init(_ call: Call, database: StoredDatabase, longestWait: Int) throws {
        timeout = longestWait
        let query = call.query
        switch query["feed"] ?? "normal" {
        case "normal": feed = .normal
        case "longpoll": feed = .longpoll
        case "continuous", "live": feed = .continuous
        case "eventsource": feed = .eventSource
        default:
            throw Refusal.badRequest(
                "Supported `feed` types: normal, continuous, live, longpoll, eventsource")
        }
        let start = call.headers[.lastEventID] ?? query["last-event-id"] ?? query["since"]
        if let start { since = try Self.sequence(start, database: database) }
        if let text = query["limit"] {
            guard let number = Int(text) else { throw Self.crash("limit") }
            limit = number < 0 ? nil : number
        }
        isDescending = query["descending"] == "true"
        includesDocuments = query["include_docs"] == "true"
        conflicts = query["conflicts"] == "true"
        attachments = query["attachments"] == "true"
        encodingInfo = query["att_encoding_info"] == "true"
        switch query["style"] ?? "main_only" {
        case "main_only": allLeaves = false
        case "all_docs": allLeaves = true
        default: throw Self.crash("style")
        }
        if let text = query["seq_interval"] {
            guard let number = Int(text), number > 0 else { throw Refusal.badRequest("invalid_seq_interval") }
            sequenceInterval = number
        }
        try readTimes(query)
    }

    private mutating func readTimes(_ query: Query) throws {
        switch query["heartbeat"] {
        case nil, "false": heartbeat = nil
        case "true": heartbeat = timeout
        case let text?:
            guard let number = Int(text), number > 0 else {
                throw Refusal.badRequest(
                    "Invalid heartbeat value. Expecting a positive integer value (in milliseconds).")
            }
            heartbeat = min(number, timeout)
        }
        if let text = query["timeout"] {
            guard let number = Int(text), number >= 0 else { throw Self.crash("timeout") }
            timeout = min(number, timeout)
        }
    }

    /// CouchDB answers these with a crash; the status is kept, the words are ours.
    private static func crash(_ name: String) -> Refusal { Refusal(500, "bad_request", "Invalid value for `\(name)`.") }

    private static func sequence(_ text: String, database: StoredDatabase) throws(Refusal) -> Int {
        if text == "now" { return database.lastSequence }
        // Some clients send the sequence as JSON text.
        let bare = text.hasPrefix("\"") && text.hasSuffix("\"") ? String(text.dropFirst().dropLast()) : text
        guard let number = SequenceText.number(bare) else {
            throw .badRequest("Malformed sequence supplied in 'since' parameter.")
        }
        return min(number, Query.greatestInteger)
    }

    /// How a document is shown with its change.
    var view: DocumentView {
        var details: DocumentDetails = []
        if conflicts { details.insert(.conflicts) }
        if encodingInfo { details.insert(.attachmentEncodings) }
        return DocumentView(details: details, attachments: attachments)
    }
}
