import CouchDocument
import CouchStore
import Foundation
import Logging
import Synchronization
import Testing

/// A sequence log in memory, the smallest thing that an index can follow.
final class DocumentLog: ViewSource {
    private struct State {
        var sequence = 0
        var entries: [String: (sequence: Int, document: [UInt8]?)] = [:]
    }

    /// Protects the log: tests write while an index reads.
    private let state: Mutex<State>

    init(_ documents: [String] = []) throws {
        state = Mutex(State())
        for document in documents { try put(document) }
    }

    /// Writes a document given as JSON with an `_id`.
    func put(_ text: String) throws {
        let document = try JSON(parsing: text)
        set(document["_id"]?.stringValue ?? "", document.encoded())
    }

    func delete(_ id: String) { set(id, nil) }

    private func set(_ id: String, _ document: [UInt8]?) {
        state.withLock { state in
            state.sequence += 1
            state.entries[id] = (state.sequence, document)
        }
    }

    func lastSequence() -> Int { state.withLock { $0.sequence } }

    /// The log as it is now, for ever.
    func frozen() -> DocumentLog { DocumentLog(copying: state.withLock { $0 }) }

    private init(copying state: State) { self.state = Mutex(state) }

    func atOneMoment(_ body: (any ViewSource) throws -> Void) throws { try body(frozen()) }

    func changes(after first: Int, through last: Int) -> ViewChanges {
        let entries = state.withLock { $0.entries.filter { $0.value.sequence > first && $0.value.sequence <= last } }
        var page = ViewChanges()
        for (id, entry) in entries.sorted(by: { $0.value.sequence < $1.value.sequence }) where !page.isFull {
            if let document = entry.document {
                page.append(id, sequence: entry.sequence) { $0.raw(document) }
            } else {
                page.append(id, sequence: entry.sequence)
            }
        }
        return page
    }
}

/// Views over a log, in a folder that goes with them.
final class ViewBench: Sendable {
    let folder: String
    let log: DocumentLog
    let views: ViewIndexes

    init(
        _ documents: [String] = [], folder: String? = nil, log: DocumentLog? = nil,
        limits: JavaScriptLimits = .init(), logger: Logger = Logger(label: "test")
    ) throws {
        self.folder = folder ?? NSTemporaryDirectory() + "views-" + UUID().uuidString
        self.log = try log ?? DocumentLog(documents)
        views = ViewIndexes(folder: self.folder, source: self.log, limits: limits, logger: logger)
    }

    /// Runs a test and removes the folder after it.
    static func run(
        _ documents: [String] = [], seconds: Double = 5, bytes: Int = 256 << 20, messages: ViewMessages? = nil,
        _ body: (ViewBench) async throws -> Void
    ) async throws {
        let bench = try ViewBench(
            documents, limits: JavaScriptLimits(seconds: seconds, bytes: bytes),
            logger: messages?.logger ?? Logger(label: "test"))
        do { try await body(bench) } catch {
            try await bench.views.removeAll()
            throw error
        }
        try await bench.views.removeAll()
    }

    /// The rows of a view as texts: `id key value`, or `key value` when reduced.
    func rows(_ design: DesignDocument, _ view: String = "v", _ change: (inout ViewIndexQuery) -> Void = { _ in })
        async throws -> [String]
    {
        try await page(design, view, change).rows.map { row in
            let texts = [Array(row.key), Array(row.value)].map { String(decoding: $0, as: UTF8.self) }
            return ((row.id.map { [$0] } ?? []) + texts).joined(separator: " ")
        }
    }

    /// Says so when a view has other rows than these.
    func expect(
        _ design: DesignDocument, _ view: String = "v", gives wanted: [String],
        at location: SourceLocation = #_sourceLocation, _ change: (inout ViewIndexQuery) -> Void = { _ in }
    ) async throws {
        let found = try await rows(design, view, change)
        #expect(found == wanted, sourceLocation: location)
    }

    /// Says so when other documents than these have rows.
    func expect(_ design: DesignDocument, ids wanted: [String], at location: SourceLocation = #_sourceLocation)
        async throws
    {
        let found = try await page(design).rows.map(\.id)
        #expect(found == wanted, sourceLocation: location)
    }

    func page(_ design: DesignDocument, _ view: String = "v", _ change: (inout ViewIndexQuery) -> Void = { _ in })
        async throws -> ViewResult
    {
        var query = ViewIndexQuery()
        change(&query)
        return try await views.query(design: design, view: view, query)
    }
}

extension DesignDocument {
    /// A design document with one view `v`.
    init(map: String, reduce: String? = nil, name: String = "d") {
        self.init(name: name)
        views = ["v": View(map: map, reduce: reduce)]
    }
}

/// Gathers what view functions say, and what is said of them.
final class ViewMessages: LogHandler, Sendable {
    private let texts = Mutex<[String]>([])
    var logLevel: Logger.Level {
        get { .debug }
        set {}
    }
    var metadata: Logger.Metadata {
        get { [:] }
        set {}
    }
    subscript(metadataKey _: String) -> Logger.Metadata.Value? {
        get { nil }
        set {}
    }

    var logger: Logger { Logger(label: "test") { _ in self } }

    func log(event: LogEvent) {
        if let message = event.metadata?["message"] { texts.withLock { $0.append("\(message)") } }
    }

    /// The messages since the last call.
    func take() -> [String] {
        texts.withLock { texts in
            defer { texts = [] }
            return texts
        }
    }
}
