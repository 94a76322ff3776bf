import CouchDB
public import CouchDocument
public import Logging

/// A line of a log as a document of type `log`, with the fields of PiCaS' `CouchDBLogger`.
///
/// What PiCaS does not have stands in `label` and `metadata`.
public struct LogDocument: Hashable, Sendable {
    /// The document, all fields included.
    public var document: Document

    /// Takes a document; `nil` when its type is not `log`.
    public init?(_ document: Document) {
        guard document["type"] == "log" else { return nil }
        self.document = document
    }

    init(id: String, event: LogEvent, label: String, metadata: Logger.Metadata, host: String, trace: Int, at: Timestamp)
    {
        var text = event.message.description
        if let error = event.error { text += ": \(error)" }
        document = Document(
            id: id,
            fields: [
                "lvl": .integer(event.level.pythonNumber), "msg": .string(Self.bounded(text)), "created": at.json,
                "func": .string(event.function), "host": .string(host),
                // PiCaS spells it so, and its readers look for it under this name.
                "trance_nr": .integer(trace), "type": "log", "label": .string(label),
            ])
        if !metadata.isEmpty {
            document["metadata"] = .object(
                JSONObject(
                    metadata.sorted { $0.key < $1.key }.map { ($0.key, .string(Self.bounded($0.value.description))) }))
        }
    }

    /// A line is no place for a file.
    private static func bounded(_ text: String) -> String {
        text.utf8.count <= 32_768 ? text : String(text.prefix(8_000)) + " … (cut)"
    }

    /// When it was written.
    public var created: Timestamp? { Timestamp(document["created"]) }
    /// The level, as Python's `logging` numbers it: 10 debug, 20 info, 30 warning, 40 error, 50 critical.
    public var level: Int { document["lvl"]?.intValue ?? 0 }
    /// The level's name.
    public var levelName: String {
        Logger.Level.allCases.last { $0.pythonNumber <= level }?.rawValue ?? Logger.Level.trace.rawValue
    }
    /// What it says.
    public var message: String { document["msg"]?.stringValue ?? document["msg"]?.description ?? "" }
    /// The machine.
    public var host: String { document["host"]?.stringValue ?? "" }
    /// What goes with it, by name.
    public var metadata: JSONObject { document["metadata"]?.objectValue ?? [:] }
}

extension Logger.Level {
    /// The number of the level in Python's `logging`.
    public var pythonNumber: Int {
        switch self {
        case .trace: 5
        case .debug: 10
        case .info: 20
        case .notice: 25
        case .warning: 30
        case .error: 40
        case .critical: 50
        }
    }
}

extension ViewName {
    /// Log documents by the moment.
    public static let log = ViewName(design: "log", view: "by_time")
}

extension Pool {
    /// The log documents of a pool, oldest first, PiCaS' and ours.
    ///
    /// - Parameters:
    ///   - since: From this moment on; `nil` from the beginning.
    ///   - level: Only those that are as grave, as Python's `logging` numbers it.
    ///   - limit: At most so many, the newest of them.
    public func log(since: Timestamp? = nil, level: Int = 0, limit: Int = 1000) async throws -> [LogDocument] {
        var query = ViewQuery(startKey: [:], endKey: since.map(\.json))
        query.descending = true
        query.includeDocuments = true
        var found: [LogDocument] = []
        while found.count < limit {
            query.limit = min(500, max(limit - found.count, 50))
            let rows: [ViewRow]
            do { rows = try await database.view(.log, query).rows } catch CouchDBError.notFound {
                throw try await missing("view \"\(ViewName.log)\" is not in")
            }
            found += rows.compactMap { $0.document.flatMap(LogDocument.init) }.filter { $0.level >= level }
            guard rows.count == query.limit, let last = rows.last else { break }
            query.startKey = last.key
            query.startKeyDocumentID = last.id
            query.skip = 1
        }
        return found.prefix(limit).reversed()
    }
}
